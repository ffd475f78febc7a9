#!/usr/bin/env python3
"""Everything that can die, dies in the switchover of a migration, with all of Godwit's processes and the real QEMU.

From the pause of the source's vCPUs until the source has deleted its copy, its votes part the time into stretches
(rig/switchover.py). In each: kill -9 of either side's agent and QEMU, and a cut of the WAN. Whatever dies: never do two copies run (rig/copies.py), what
is left is one instance and nothing else, and no acknowledged write is lost (rig/acknowledged.py).

Usage: migration_faults.py --godwit GODWIT [--images DIR] [--only MOMENT/FAULT] …    (root; minutes, under emulation)
"""
import argparse
import json
import os
import signal
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from rig import switchover
from rig.acknowledged import GuestAddress, Writer
from rig.copies import Copies, beating
from rig.lab_host import LabHost, Missed
from rig.switchover import Move

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY / "demo"))
from stage import Failed, Lab, run, wait_until  # noqa: E402

# Memory goes quickly over 100 ms; and a step of the switchover over them leaves time to freeze whoever takes the next.
LAB = """
[wan]
rate = "unlimited"
round_trip = "2ms"
[[path]]
between = ["cloud-a", "cloud-b"]
rate = "unlimited"
round_trip = "100ms"
[[cloud]]
name = "cloud-a"
nat = false
control = "a0"
hosts = ["a1"]
[[cloud]]
name = "cloud-b"
nat = false
control = "b0"
hosts = ["b1"]
[public]
nodes = ["user"]
"""
CLUSTER, MEMBER = "faults", "guest"
BOOT_LIMIT_S, SETTLE_LIMIT_S, RUN_LIMIT_S, DOUBT_LIMIT_S = 240, 240, 180, 180  # of a busy machine
TRIES = 6


def check(truth, what):
    if not truth:
        raise Failed(what)


# ---- what is done to them; each gives what undoes it

def kill_agent(host):
    host.kill(host.agent())
    return host.start_agent


def kill_qemu(host, instance):
    host.kill(host.qemu(instance))
    return lambda: None


def cut(lab):
    places = ["--lab", lab.name, "cloud-a", "cloud-b"]
    run([lab.godwit, "lab", "cut", *places])
    return lambda: run([lab.godwit, "lab", "heal", *places])


FAULTS = {
    "source-agent": lambda move: kill_agent(move.source),
    "destination-agent": lambda move: kill_agent(move.destination),
    "source-qemu": lambda move: kill_qemu(move.source, move.instance),
    "destination-qemu": lambda move: kill_qemu(move.destination, move.instance),
    "wan": lambda move: cut(move.lab),
    "wan-fenced": lambda move: cut(move.lab),
}
MOMENTS = {"paused": switchover.before_prepared, "voted": switchover.after_voted, "released": switchover.after_released,
           "owned": switchover.after_owned}


@dataclass(frozen=True)
class Case:
    moment: str
    fault: str
    winner: str                # who has it in the end; "either": whom the source's cloud has voted for
    cold: bool = False         # its QEMU was killed: it boots anew, from the disk
    runs_unrepaired: bool = False  # the winner runs it before what was killed is started again, or the WAN is whole
    in_doubt: bool = False     # until then nobody runs it, and people are told

    @property
    def name(self):
        return f"{self.moment}/{self.fault}"


CASES = [
    Case("paused", "source-agent", "source"),
    Case("paused", "destination-agent", "source", runs_unrepaired=True),
    Case("paused", "source-qemu", "source", cold=True),
    Case("paused", "destination-qemu", "source"),
    Case("paused", "wan", "source", runs_unrepaired=True),
    Case("voted", "source-agent", "either"),
    Case("voted", "wan", "destination", in_doubt=True),
    Case("voted", "wan-fenced", "destination", in_doubt=True, runs_unrepaired=True),
    Case("released", "source-agent", "destination", runs_unrepaired=True),  # its cloud speaks for it
    Case("released", "destination-agent", "destination"),
    Case("released", "source-qemu", "destination"),
    Case("released", "destination-qemu", "destination", cold=True),
    Case("owned", "source-agent", "destination", runs_unrepaired=True),
    Case("owned", "destination-agent", "destination"),
    Case("owned", "source-qemu", "destination"),
    Case("owned", "destination-qemu", "destination", cold=True),
    Case("owned", "wan", "destination", runs_unrepaired=True),
]


class Stage:
    """The lab, its one guest, and all that watches it."""

    def __init__(self, lab):
        self.lab, self.frozen, self.boot, self.boots = lab, set(), "", 0
        self.here, self.there = [LabHost(lab, cloud, host, self.frozen) for cloud, host in (("cloud-a", "a1"), ("cloud-b", "b1"))]
        made = lab.cli("cluster", "create", CLUSTER, "--member", f"{MEMBER}@{self.here.cloud}", "--image", "tiny")
        self.instance = made["members"][0]["instance"]
        self.guest = GuestAddress(f"gw-{lab.name}-", made["members"][0]["ip"])
        self.copies = Copies({host.name: host.console(self.instance) for host in (self.here, self.there)})
        self.writer = Writer(self.guest)

    def move(self):
        return Move(self.lab, MEMBER, self.instance, self.here, self.there)

    def thaw(self):
        for pid in list(self.frozen):
            os.kill(pid, signal.SIGCONT)
            self.frozen.discard(pid)

    def status(self):
        try:
            return dict(word.split("=", 1) for word in self.guest.ask("STAT")[0].split()[1:])
        except OSError:
            return None

    def meet_guest(self):
        """Whether it has booted since the last time; then it is made to beat."""
        boot = wait_until("the guest answers", self.status, BOOT_LIMIT_S)["boot"]
        if boot == self.boot:
            return False
        self.boot, self.boots = boot, self.boots + 1
        answer = self.guest.insist(beating(self.boots))
        check(answer == ["OK 0"], f"the guest would not beat: {answer}")
        return True

    def check_guest(self, at, cold):
        booted = self.meet_guest()
        check(booted == cold, "it has booted anew, and its memory is lost" if booted else "its QEMU died, and it has not booted")
        check(self.copies.speaks(at.name, RUN_LIMIT_S), f"nothing runs at {at.name}")
        check(self.writer.acknowledges(RUN_LIMIT_S), "the guest acknowledges no writes")
        problems = self.writer.problems() + self.copies.problems()
        check(not problems, "; ".join(problems[:8]))

    # ---- what all say about it

    def cloud_says(self, host):
        """The instance's state in the API of the host's cloud, or "nothing"."""
        url = json.loads((host.state / "agent.json").read_text(encoding="utf-8"))["cloud_url"]
        token = (self.lab.directory / "accounts" / host.cloud).read_text(encoding="utf-8").strip()
        name, address = f"api.{host.cloud}.godwit", url.split("/")[2]
        out = self.lab.exec("user", ["curl", "--silent", "--max-time", "10", "--header", "@-",
                                     "--cacert", self.lab.directory / "clouds" / host.cloud / "ca.pem",
                                     "--connect-to", f"{name}:443:{address}", f"https://{name}/v1/instances"],
                            feed=f"Authorization: Bearer {token}\n")
        states = [each["state"] for each in json.loads(out)["instances"] if each["spec"]["id"] == self.instance]
        return states[0] if states else "nothing"

    def unsettled(self, move, at):
        """What is not yet as it must be when `at` has the instance, and nobody else anything of it."""
        other = self.there if at is self.here else self.here
        wrong = [f"{other.name} has {trace}" for trace in other.traces(self.instance)]
        if (count := len(at.qemus(self.instance))) != 1:
            wrong.append(f"{at.name} has {count} QEMUs")
        if wrong:
            return wrong
        try:
            phase, seen = move.report()["phase"], self.lab.cli("instance", "show", MEMBER)
            clouds = self.cloud_says(at), self.cloud_says(other)
        except (Failed, ValueError) as error:
            return [str(error)]
        wanted = "completed" if at is move.destination else "aborted"
        shown = (seen["cloud"], seen["host"], seen["state"], seen["migration"])
        wrong += [f"the migration is {phase}, not {wanted}"] if phase != wanted else []
        wrong += [f"sky shows {shown}"] if shown != (at.cloud, at.name, "running", "") else []
        wrong += [f"the clouds say {clouds}"] if clouds[0] != "running" or clouds[1] not in ("moved", "nothing") else []
        return wrong

    def settle(self, move, at):
        last = ["it was not looked at"]

        def settled():
            last[:] = self.unsettled(move, at)
            return not last
        try:
            wait_until("settled", settled, SETTLE_LIMIT_S)
        except Failed as error:
            raise Failed(f"{error}: {'; '.join(last)}") from None
        if at is self.there:
            self.here, self.there = self.there, self.here

    def forgo(self, move):
        """A migration whose moment was missed ends by itself."""
        self.thaw()
        phase = wait_until("the migration ends", lambda: ended(move), SETTLE_LIMIT_S)
        self.settle(move, move.destination if phase == "completed" else move.source)


def ended(move):
    phase = move.report()["phase"]
    return phase if phase in ("completed", "aborted") else None


def check_doubt(stage, move, said):
    """People are told, and nobody runs it meanwhile."""
    def in_doubt():
        if move.vote(move.destination) == "released":
            raise Missed("the destination had heard of the vote already")
        return move.report()["phase"] == "in_doubt"
    wait_until("in doubt is shown", in_doubt, DOUBT_LIMIT_S)
    told = stage.lab.cli("instance", "resolve", MEMBER)
    check(told["phase"] == "in_doubt" and "--fence" in told["error"], f"resolve says {told}")
    check(stage.copies.said() == said, "a copy runs, and it is in doubt who has the instance")
    check(all(host.qemus(stage.instance) for host in (move.source, move.destination)), "a copy was deleted in doubt")


def fence(stage):
    told = stage.lab.cli("instance", "resolve", MEMBER, "--fence", "--winner", "destination", "--yes")
    check(sorted(told["told"]) == ["cloud-a", "cloud-b"] and not told["problems"], f"the fence was not told: {told}")


def winner_of(move, case):
    if case.winner != "either":
        return move.source if case.winner == "source" else move.destination
    vote = wait_until("the destination votes", lambda: {"released", "aborted"} & {move.vote(move.destination)}, SETTLE_LIMIT_S)
    check(vote == {move.source.vote_of_cloud(move.id)}, f"the destination has voted {vote}, against the source's cloud")
    return move.destination if vote == {"released"} else move.source


def strike(stage, case, move):
    """The fault at its moment, and all that must hold before it is undone. Gives what undoes it, and the winner."""
    said = stage.copies.said()
    repair = FAULTS[case.fault](move)
    stage.thaw()
    try:
        if case.in_doubt:
            check_doubt(stage, move, said)
    except Missed:
        repair()
        raise
    if case.fault == "wan-fenced":
        fence(stage)
    winner = winner_of(move, case)
    if case.runs_unrepaired:
        check(stage.copies.speaks(winner.name, RUN_LIMIT_S), f"{winner.name} doesn't run it before {case.fault} is back")
    return repair, winner


def play(stage, case):
    for _ in range(TRIES):
        move = stage.move()
        try:
            MOMENTS[case.moment](move)
            repair, winner = strike(stage, case, move)
        except Missed as error:
            print(f"  missed {case.name}: {error}", flush=True)
            stage.forgo(move)
            continue
        repair()
        stage.settle(move, winner)
        stage.check_guest(winner, case.cold)
        return
    raise Failed(f"{case.name}: its moment was missed {TRIES} times")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--godwit", default=REPOSITORY / "build/release/bin/godwit", type=Path)
    parser.add_argument("--images", default=REPOSITORY / ".cache/images", type=Path)
    parser.add_argument("--only", action="append", metavar="MOMENT/FAULT", choices=[case.name for case in CASES])
    return parser.parse_args()


def play_all(stage, cases):
    wait_until("the guest boots", stage.status, BOOT_LIMIT_S)
    stage.meet_guest()
    for case in cases:
        began = time.monotonic()
        try:
            play(stage, case)
        except Failed as error:
            raise Failed(f"{case.name}: {error}") from None
        print(f"  ok: {case.name} ({time.monotonic() - began:.1f} s): {stage.here.name} has it", flush=True)
    print(f"  {stage.writer.count} writes, {stage.boots} boots, {len(stage.copies.order)} copies ran, one after the other")


def play_and_tell(stage, cases):
    """With what there is to see, when it went wrong."""
    try:
        with stage.writer:
            play_all(stage, cases)
    except BaseException:
        for host in (stage.here, stage.there):
            print(f"--- the agent of {host.name}:\n{host.log()[-4000:]}", file=sys.stderr)
        print(f"--- the consoles:\n{stage.copies.last_words()}", file=sys.stderr)
        raise
    finally:
        stage.thaw()


def main():
    options = arguments()
    if os.geteuid() != 0:
        sys.exit("migration_faults: it makes network namespaces: run it as root")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("migration_faults: terminated"))  # by way of the lab's end
    cases = [case for case in CASES if not options.only or case.name in options.only]
    with tempfile.NamedTemporaryFile("w", suffix=".toml") as config:
        config.write(LAB)
        config.flush()
        with Lab(f"flt{os.getpid()}", options.godwit, [options.images / "tiny"], config.name) as lab:
            stage = Stage(lab)
            with stage.copies:
                play_and_tell(stage, cases)
    print("migration_faults: passed")


if __name__ == "__main__":
    try:
        main()
    except Failed as failure:
        sys.exit(f"migration_faults: {failure}")
