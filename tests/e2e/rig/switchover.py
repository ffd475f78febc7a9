"""One migration between two hosts of a lab, and the three stretches of its switchover, each held for as long as one likes.

The stretches are parted by the votes of docs/protocols/migration.md, which the hosts' records tell. A moment is held by freezing
the process that must take the next step; the WAN's round trip is the time there is for it. Each function returns while its
moment holds, or raises Missed.
"""
from rig.lab_host import Missed, look_until

MOVE_LIMIT_S = 90
VOTE_LIMIT_S = 5


class Move:
    """`source` and `destination` are LabHosts."""

    def __init__(self, lab, member, instance, source, destination):
        self.lab, self.instance, self.source, self.destination = lab, instance, source, destination
        self.logged = source.log_size()
        self.id = lab.cli("instance", "migrate", member, "--to", destination.cloud, "--no-wait")["migrations"][0]["id"]

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


def after_released(move):
    """The source has voted; the destination's agent has not heard of it. Neither speaks."""
    giving, taking = move.source.agent(), move.destination.agent()
    look_until("prepared", lambda: move.vote(move.destination) == "prepared", MOVE_LIMIT_S)
    move.destination.freeze(taking)
    look_until("released", lambda: move.vote(move.source) != "none", VOTE_LIMIT_S)
    move.source.freeze(giving)
    expect("the votes", move.votes(), ("released", "prepared"))


def after_owned(move):
    """The destination owns; the source's agent has not heard of it, and has its copy still."""
    giving = move.source.agent()
    look_until("owned", lambda: move.vote(move.destination) == "released", MOVE_LIMIT_S)
    move.source.freeze(giving)
    expect("the decisions", move.decisions(), ("none", "released"))
