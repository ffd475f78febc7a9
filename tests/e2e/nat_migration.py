#!/usr/bin/env python3
"""A real guest moves from cloud to cloud through the NATs that are hardest to join, and lives on.

Usage: nat_migration.py [--godwit GODWIT] [--images DIRECTORY]    (root; about a minute)

Every other pair of NATs is nat_transfer.py's, which carries bytes between hosts as a migration does, without a guest.
"""
import argparse
import json
import os
import signal
import sys
import tempfile
import time
from pathlib import Path

from rig.acknowledged import GuestAddress

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY / "demo"))
from stage import Failed, Lab, run, wait_until  # noqa: E402

CLUSTER, BOOT_LIMIT_S = "nat", 90
SYMMETRIC = '{mapping = "address-port", filtering = "address-port"}'
# Each move is from one of these to the next: symmetric to symmetric, to port-restricted, to UDP blocked, to symmetric.
CLOUDS = {"one": SYMMETRIC, "two": SYMMETRIC, "three": '{mapping = "endpoint", filtering = "address-port"}', "four": "{udp = false}"}


def config():
    out = '[wan]\nround_trip = "20ms"\n[public]\nnodes = ["user"]\n'
    for number, (name, nat) in enumerate(CLOUDS.items(), 1):
        out += f'[[cloud]]\nname = "{name}"\nnat = {nat}\nhosts = ["h{number}"]\n'
    return out


def move(lab, guest, member, destination):
    began = time.monotonic()
    boot = status(guest)["boot"]
    asked = lab.cli("instance", "migrate", member, "--to", destination, "--no-wait")
    ended = wait_until(f"the move to {destination}", lambda: ended_as(lab, asked["migrations"][0]["id"]), 180, 0.5)
    if ended["phase"] != "completed":
        raise Failed(f"to {destination}: {json.dumps(ended)}")
    told = wait_until("the guest answers", lambda: status(guest), 30)
    if told["boot"] != boot:
        raise Failed(f"it has booted anew at {destination}")
    print(f"  to {destination}, {CLOUDS[destination]}: {time.monotonic() - began:.1f} s", flush=True)


def ended_as(lab, migration):
    report = lab.cli("migration", "show", migration)
    return report if report["phase"] in ("completed", "aborted") else None


def status(guest):
    try:
        return dict(word.split("=", 1) for word in guest.ask("STAT")[0].split()[1:])
    except OSError:
        return None


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--godwit", type=Path, default=REPOSITORY / "build/release/bin/godwit")
    arguments.add_argument("--images", type=Path, default=REPOSITORY / ".cache/images")
    options = arguments.parse_args()
    if os.geteuid() != 0:
        sys.exit("nat_migration: it makes network namespaces: run it as root")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("nat_migration: terminated"))  # by way of the lab's end
    with tempfile.NamedTemporaryFile("w", suffix=".toml") as file:
        file.write(config())
        file.flush()
        with Lab(f"nm{os.getpid()}", options.godwit, [options.images / "tiny"], file.name) as lab:
            names = list(CLOUDS)
            made = lab.cli("cluster", "create", CLUSTER, "--member", f"m@{names[0]}", "--image", "tiny")
            member = made["members"][0]
            guest = GuestAddress(f"gw-{lab.name}-", member["ip"])
            wait_until("the guest answers", lambda: status(guest), BOOT_LIMIT_S)
            for name in [*names[1:], names[0]]:
                move(lab, guest, "m", name)
    print("nat_migration: passed")


if __name__ == "__main__":
    main()
