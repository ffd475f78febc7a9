"""One migration between two hosts of a lab, and the stretches of its switchover, each held for as long as one likes.

The stretches are parted by the votes of docs/protocols/migration.md, which the hosts' records tell. A moment is held by freezing
the process that must take the next step; the WAN's round trip is the time there is for it. Each function returns while its
moment holds, or raises Missed.
"""
from rig.lab_host import Missed, look_until

MOVE_LIMIT_S = 90
VOTE_LIMIT_S = 5
VOTED = ("released", "aborted")
DOWNTIME_MS = 1000  # one round of memory and the pause: how quick it is, is not looked at here


class Move:
    """`source` and `destination` are LabHosts."""

    def __init__(self, lab, member, instance, source, destination):
        self.lab, self.instance, self.source, self.destination = lab, instance, source, destination
        self.logged = source.log_size()
        asked = lab.cli("instance", "migrate", member, "--to", destination.cloud, "--downtime", DOWNTIME_MS, "--no-wait")
        self.id = asked["migrations"][0]["id"]

    def has_begun(self, phase):
        return f"migrate {self.id}: {phase}\n" in self.source.log(self.logged)

    def vote(self, host):
        return host.ballot(self.id)["vote"]

    def votes(self):
        return self.vote(self.source), self.vote(self.destination)

    def decisions(self):
        return self.source.ballot(self.id)["decision"], self.destination.ballot(self.id)["decision"]

    def report(self):
        return self.lab.cli("migration", "show", self.id)


def expect(what, seen, wanted):
    if seen != wanted:
        raise Missed(f"{what} of source and destination were {seen}, not {wanted}")


def before_prepared(move):
    """The source's vCPUs stand still; the destination's QEMU can't load the rest."""
    look_until("memory", lambda: move.has_begun("memory"), MOVE_LIMIT_S)
    loading = move.destination.qemu(move.instance)
    look_until("the pause", lambda: move.has_begun("paused"), MOVE_LIMIT_S)
    move.destination.freeze(loading)
    expect("the votes", move.votes(), ("none", "none"))


def after_voted(move):
    """The source has voted; nobody has heard of it, unless its cloud, which it asks next."""
    giving, taking = move.source.agent(), move.destination.agent()
    look_until("the source's vote", lambda: move.vote(move.source) in VOTED, MOVE_LIMIT_S)
    move.source.freeze(giving)
    move.destination.freeze(taking)
    expect("the votes", move.votes(), ("released", "prepared"))


def after_released(move):
    """The source and its cloud have voted; the destination's agent has not heard of it."""
    giving, taking = move.source.agent(), move.destination.agent()
    look_until("the source's vote", lambda: move.vote(move.source) in VOTED, MOVE_LIMIT_S)
    move.destination.freeze(taking)
    look_until("the vote of the source's cloud", lambda: move.source.vote_of_cloud(move.id) in VOTED, VOTE_LIMIT_S)
    move.source.freeze(giving)
    expect("the votes", move.votes(), ("released", "prepared"))


def after_owned(move):
    """The destination owns; the source's agent has not heard of it, and has its copy still."""
    giving = move.source.agent()
    look_until("owned", lambda: move.vote(move.destination) == "released", MOVE_LIMIT_S)
    move.source.freeze(giving)
    expect("the decisions", move.decisions(), ("none", "released"))
