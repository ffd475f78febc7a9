#!/usr/bin/env python3
"""The directory of a cloud is lost, again and again, while a real guest moves there by references to what a sibling brought.

Two guests; one has moved to the other cloud, whose hosts know its pages. While the second follows, the agents of all other hosts there are killed and
started anew: those that own parts of the directory, and the one that holds the sibling's pages. The move ends as if nothing had been, and every page of both
guests is as they have written it.

Usage: directory_loss.py [--godwit GODWIT] [--images DIR]    (root; two minutes, under emulation)
"""
import json

from rig.acknowledged import GuestAddress
from rig.journey import expect, journey
from rig.lab_host import LabHost
from stage import wait_until

HOSTS = ["b1", "b2", "b3"]
LAB = f"""
[wan]
rate = "100mbit"
round_trip = "20ms"
[[path]]
between = ["cloud-a", "cloud-b"]
rate = "16mbit"
round_trip = "20ms"
[[cloud]]
name = "cloud-a"
nat = false
control = "a0"
hosts = ["a1", "a2"]
[[cloud]]
name = "cloud-b"
nat = false
control = "b0"
hosts = {json.dumps(HOSTS)}
[public]
nodes = ["user"]
"""
CLUSTER = "loss"
MIB = 24  # of memory that each guest has written, and that compresses little
CALM_MIB_PER_S, BUSY_MIB_PER_S = 1, 8  # written; the second is more than the path carries, so that the move lasts until it is calm again
BOOT_LIMIT_S, MOVE_LIMIT_S, RUN_LIMIT_S = 240, 600, 180  # of a busy machine
LOSS_EVERY = 4 << 20  # bytes of memory that have crossed
LEAST_LOSSES = 3
ENDS = ("completed", "aborted")


class Guest:
    def __init__(self, lab, name, member):
        self.name, self.address = name, GuestAddress(f"gw-{lab.name}-", member["ip"])

    def answers(self):
        try:
            return self.address.ask("PING")[0] == "OK"
        except OSError:
            return False

    def fill(self):
        wait_until(f"{self.name} boots", self.answers, BOOT_LIMIT_S)
        self.write_at(CALM_MIB_PER_S)

    def write_at(self, mib_per_s):
        answer = self.address.insist(f"DIRTY {mib_per_s} {MIB}")[0]
        expect(answer.startswith("OK"), f"{self.name} writes no memory: {answer}")

    def check(self):
        """It runs, and goes on writing: each page by its own numbers."""
        answer = self.address.insist("CHECK")[0]
        expect("corrupt=0" in answer and f"pages={MIB * 256}" in answer, f"{self.name}: {answer}")


def move(lab, guest):
    return lab.cli("instance", "migrate", guest.name, "--to", "cloud-b", "--no-wait")["migrations"][0]["id"]


def report_of(lab, migration):
    return lab.cli("migration", "show", migration)


def crossed(report):
    return report["cost"]["wan_bytes"]["memory"]


def lose_directories(lab, guest):
    """As soon as memory of the guest's crosses, until its move has ended; how often. It can't end before the least number."""
    guest.write_at(BUSY_MIB_PER_S)
    migration = move(lab, guest)
    hosts = {name: LabHost(lab, "cloud-b", name, set()) for name in HOSTS}
    wait_until("memory crosses", lambda: report_of(lab, migration)["phase"] in ("memory", *ENDS), MOVE_LIMIT_S)
    destination = report_of(lab, migration)["to_host"]
    losses = 0
    while (report := report_of(lab, migration))["phase"] not in ENDS:
        for name in sorted(hosts.keys() - {destination}):
            hosts[name].kill(hosts[name].agent())
            hosts[name].start_agent()
        losses += 1
        if losses == LEAST_LOSSES:
            guest.write_at(CALM_MIB_PER_S)
        level = crossed(report) + LOSS_EVERY  # the agents are back by then, and asked again
        wait_until("more crosses", lambda: (now := report_of(lab, migration))["phase"] in ENDS or crossed(now) > level, RUN_LIMIT_S)
    return losses, report


def play(lab, _options):
    made = lab.cli("cluster", "create", CLUSTER, "--member", "one@cloud-a", "--member", "two@cloud-a", "--image", "tiny")
    guests = [Guest(lab, member["name"], member) for member in made["members"]]
    one, two = sorted(guests, key=lambda guest: guest.name)
    for guest in (one, two):
        guest.fill()
    first = move(lab, one)
    ended = wait_until("the first has moved", lambda: report_of(lab, first)["phase"] in ENDS and report_of(lab, first), MOVE_LIMIT_S)
    expect(ended["phase"] == "completed", f"the first: {json.dumps(ended)}")
    losses, ended = lose_directories(lab, two)
    expect(ended["phase"] == "completed", f"after {losses} losses: {json.dumps(ended)}")
    expect(losses >= LEAST_LOSSES, f"it had moved after {losses} losses")
    for guest in (one, two):
        guest.check()
    return f"{losses} losses, {crossed(ended) / 1e6:.1f} MB of memory crossed"


if __name__ == "__main__":
    journey("directory_loss", LAB, play, placed=["tiny"])
