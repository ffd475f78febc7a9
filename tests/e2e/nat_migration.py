#!/usr/bin/env python3
"""A real guest moves from cloud to cloud until it has crossed every pair of NATs, and lives on.

Usage: nat_migration.py [--godwit GODWIT] [--images DIRECTORY]    (root; about ten minutes)

The clouds are behind NATs of all kinds of RFC 4787 (mapping x filtering), and where UDP is blocked; of the two kinds that can't be
joined with their like there are two clouds each. nat_transfer.py carries bytes between the same in half a minute, without a guest.
"""
import itertools
import json
import time

from rig.acknowledged import GuestAddress
from rig.journey import journey
from stage import Failed, wait_until

CLUSTER, BOOT_LIMIT_S = "nat", 90
SCOPES = ("endpoint", "address", "address-port")
KINDS = [f'{{mapping = "{mapping}", filtering = "{filtering}"}}' for mapping, filtering in itertools.product(SCOPES, SCOPES)]
KINDS.append("{udp = false}")
KINDS += KINDS[-2:]  # the symmetric one, and the blocked one, once more: to be joined with their like
CLOUDS = {f"c{number}": kind for number, kind in enumerate(KINDS, 1)}
PAIRS = [*itertools.combinations(list(CLOUDS)[:-2], 2), ("c9", "c11"), ("c10", "c12")]


def walk(at, pairs):
    """From there on along every pair; along some twice, which can't be avoided where many have an odd number of them."""
    left = {frozenset(pair) for pair in pairs}
    ways = {place: {other for pair in left if place in pair for other in pair if other != place} for pair in left for place in pair}
    while left:
        fresh = [place for place in ways[at] if frozenset((at, place)) in left]
        to = max(sorted(fresh or ways[at]), key=lambda place: sum(place in pair for pair in left))
        left.discard(frozenset((at, to)))
        yield to
        at = to


def config():
    out = '[wan]\nround_trip = "20ms"\n[public]\nnodes = ["user"]\n'
    for name, nat in CLOUDS.items():
        out += f'[[cloud]]\nname = "{name}"\nnat = {nat}\nhosts = ["h{name[1:]}"]\n'
    return out


def move(lab, guest, member, source, destination):
    began = time.monotonic()
    boot = status(guest)["boot"]
    asked = lab.cli("instance", "migrate", member, "--to", destination, "--no-wait")
    ended = wait_until(f"the move to {destination}", lambda: ended_as(lab, asked["migrations"][0]["id"]), 180, 0.5)
    if ended["phase"] != "completed":
        raise Failed(f"to {destination}: {json.dumps(ended)}")
    told = wait_until("the guest answers", lambda: status(guest), 30)
    if told["boot"] != boot:
        raise Failed(f"it has booted anew at {destination}")
    print(f"  {CLOUDS[source]} to {CLOUDS[destination]}: {time.monotonic() - began:.1f} s", flush=True)


def ended_as(lab, migration):
    report = lab.cli("migration", "show", migration)
    return report if report["phase"] in ("completed", "aborted") else None


def status(guest):
    try:
        return dict(word.split("=", 1) for word in guest.ask("STAT")[0].split()[1:])
    except OSError:
        return None


def play(lab, _options):
    names = list(CLOUDS)
    made = lab.cli("cluster", "create", CLUSTER, "--member", f"m@{names[0]}", "--image", "tiny")
    guest = GuestAddress(f"gw-{lab.name}-", made["members"][0]["ip"])
    wait_until("the guest answers", lambda: status(guest), BOOT_LIMIT_S)
    at, moves = names[0], 0
    for name in walk(at, PAIRS):
        move(lab, guest, "m", at, name)
        at, moves = name, moves + 1
    return f"{moves} moves"


if __name__ == "__main__":
    journey("nat_migration", config(), play, placed=["tiny"])
