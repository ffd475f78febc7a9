#!/usr/bin/env python3
"""A real guest moves from cloud to cloud until it has crossed every pair of NATs, and lives on.

Usage: nat_migration.py [--godwit GODWIT] [--images DIRECTORY]    (root; about ten minutes)

The clouds are behind NATs of all kinds of RFC 4787 (mapping x filtering), and where UDP is blocked; of the two kinds that can't be
joined with their like there are two clouds each. A guest that stays, where there is no NAT, has a connection to the one that moves,
from the beginning to the end. nat_transfer.py carries bytes between the same in half a minute, without a guest.
"""
import itertools
import json
import time

from rig.acknowledged import GuestAddress
from rig.journey import journey
from rig.nats import BLOCKED, KINDS as NATS, config_of, expected
from rig.patience import PATIENCE_S
from stage import Failed, wait_until

CLUSTER, BOOT_LIMIT_S, LOOK_EVERY_S, SILENCE_LIMIT_MS = "nat", 240, 0.3, 2000
KINDS = [*NATS, BLOCKED]
KINDS += KINDS[-2:]  # the symmetric one, and the blocked one, once more: to be joined with their like
CLOUDS = {f"c{number}": kind for number, kind in enumerate(KINDS, 1)}
PAIRS = [*itertools.combinations(list(CLOUDS)[:-2], 2), ("c9", "c11"), ("c10", "c12")]
HOME = "c0"


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


def nat_of(cloud):
    kind = CLOUDS[cloud]
    return kind if kind == BLOCKED else config_of(kind)


def config():
    out = f'[wan]\nround_trip = "20ms"\n[public]\nnodes = ["user"]\n[[cloud]]\nname = "{HOME}"\nnat = false\nhosts = ["h0"]\n'
    for name in CLOUDS:
        out += f'[[cloud]]\nname = "{name}"\nnat = {nat_of(name)}\nhosts = ["h{name[1:]}"]\n'
    return out


def way(lab, source, destination):
    """How the switch of the one cloud's host says that it reaches the other's: "direct", "mapped" or "relayed"."""
    control = f"{lab.directory}/hosts/h{source[1:]}/switch.sock"
    said = json.loads(lab.exec(f"h{source[1:]}", [lab.godwit, "network", "status", "--switch", control, "--json"]))
    return next((peer["path"] for peer in said["hosts"][0]["peers"] if peer["host"] == f"h{destination[1:]}"), "none")


def check_ways(source, destination, seen):
    """Without a relay, but where both give every peer another port or let in nobody else; so, in the end: at first a
    switch tries the address that it was told, and a relay carries while ways are looked for."""
    kinds = CLOUDS[source], CLOUDS[destination]
    directly = False if BLOCKED in kinds else expected(*kinds)
    said = f"{nat_of(source)} to {nat_of(destination)} by {', then '.join(seen) or 'no way'}"
    if directly and not set(seen[-1:]) & {"direct", "mapped"}:
        raise Failed(f"{said}, and there is one without a relay")
    if directly is False and seen[-1:] != ["relayed"]:
        raise Failed(f"{said}, which can't be")
    return said


def move(lab, guests, member, source, destination):
    began, seen = time.monotonic(), []
    boot = words_of(guests["m"].insist("STAT")[0])["boot"]
    asked = lab.cli("instance", "migrate", member, "--to", destination, "--no-wait")

    def has_ended():
        found = way(lab, source, destination)  # the source forgets it, with the network, when the guest has gone
        if found not in ("none", *seen[-1:]):
            seen.append(found)
        return ended_as(lab, asked["migrations"][0]["id"])

    ended = wait_until(f"the move to {destination}", has_ended, 300, LOOK_EVERY_S)
    if ended["phase"] != "completed":
        raise Failed(f"to {destination}: {json.dumps(ended)}")
    took = time.monotonic() - began
    told = wait_until("the guest answers", lambda: status(guests["m"]), PATIENCE_S)
    if told["boot"] != boot:
        raise Failed(f"it has booted anew at {destination}")
    check_connection(guests["w"], destination)
    print(f"  {check_ways(source, destination, seen)}: {took:.1f} s", flush=True)


def words_of(answer):
    return dict(word.split("=", 1) for word in answer.split()[1:])


def check_connection(watcher, at):
    """The one that it had from the beginning: nothing is missing, and it goes on."""
    def goes_on():
        seen = words_of(watcher.insist("FOLLOWED")[0])
        if seen["state"] not in ("connecting", "up") or seen["lost"] != "0" or seen["repeated"] != "0":
            raise Failed(f"at {at}: the connection to the guest: {seen}")
        return seen["state"] == "up" and int(seen["silent_ms"]) < SILENCE_LIMIT_MS
    wait_until(f"the connection goes on at {at}", goes_on, PATIENCE_S)


def ended_as(lab, migration):
    report = lab.cli("migration", "show", migration)
    return report if report["phase"] in ("completed", "aborted") else None


def status(guest):
    try:
        return words_of(guest.ask("STAT")[0])
    except OSError:
        return None


def play(lab, _options):
    names = list(CLOUDS)
    made = lab.cli("cluster", "create", CLUSTER, "--member", f"m@{names[0]}", "--member", f"w@{HOME}", "--image", "tiny")
    guests = {each["name"]: GuestAddress(f"gw-{lab.name}-", each["ip"]) for each in made["members"]}
    for name, guest in guests.items():
        wait_until(f"guest {name} answers", lambda: status(guest), BOOT_LIMIT_S)
    guests["w"].insist(f"FOLLOW {guests['m'].ip} 20")
    check_connection(guests["w"], names[0])
    at, moves = names[0], 0
    for name in walk(at, PAIRS):
        move(lab, guests, "m", at, name)
        at, moves = name, moves + 1
    return f"{moves} moves, {words_of(guests['w'].insist('FOLLOWED')[0])}"


if __name__ == "__main__":
    journey("nat_migration", config(), play, placed=["tiny"])
