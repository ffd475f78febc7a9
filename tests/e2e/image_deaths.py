#!/usr/bin/env python3
"""Agents of a cloud are killed at random while two images that are alike come to its hosts and a third is removed on its way; afterwards every
image that is listed reads back bit for bit, at each host and at the cloud.

Usage: image_deaths.py [--godwit GODWIT]    (root; a minute)
"""
import os
import random
import subprocess
import tempfile
from pathlib import Path

from rig.journey import config_of, expect, journey
from rig.lab_host import LabHost
from stage import Failed, wait_until

CLOUD, HOSTS = "one", ["h1", "h2", "h3", "h4"]
RATE, HELD_RATE = "24mbit", "1mbit"  # of what the cloud gives: hardly anything while somebody dies, so that all die on the way
MIB = 32
DEATHS, UNWANTED_AFTER = 8, 2
DEATH_EVERY = 3 << 20  # bytes that have come to all hosts together; the cloud gives some 5 MiB meanwhile, of 48 that it must give
SEED = 5
COME_LIMIT_S, GROW_LIMIT_S = 300, 180  # of a busy machine


def make_disks(directory):
    """By name; the second has half of the first."""
    one = os.urandom(MIB << 20)
    disks = {"first": one, "sibling": one[:MIB << 19] + os.urandom(MIB << 19), "unwanted": os.urandom(MIB << 20)}
    for name, content in disks.items():
        Path(directory, f"{name}.raw").write_bytes(content)
    return disks


def bring(lab, name, directory):
    """A user's command, which runs while other things happen."""
    words = [lab.godwit, "lab", "exec", "--lab", lab.name, "user", "--", lab.godwit, "image", "add", name, Path(directory, f"{name}.raw"),
             "--to", CLOUD]
    return subprocess.Popen([str(word) for word in words], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def stores(lab):
    return [*(lab.directory / "hosts" / host / "images" for host in HOSTS), lab.directory / "clouds" / CLOUD / "images"]


def taken(lab):
    """Bytes of disks that have come to the hosts."""
    return sum(path.stat().st_blocks * 512 for host in HOSTS for path in (lab.directory / "hosts" / host / "images").glob("*/disk"))


def holders(lab, name):
    return {each["host"] for each in lab.cli("image", "list")["images"] if each["name"] == name}


def is_known(lab, name):
    try:
        return lab.cli("image", "show", name)["id"]
    except Failed:
        return None


def give_at(lab, rate, change="change"):
    lab.exec(f"{CLOUD}-control", ["tc", "qdisc", change, "dev", "eth0", "root", "tbf", "rate", rate, "burst", "64k", "latency", "50ms"])


def killed_on_the_way(lab, hosts, chance):
    """Until the two are everywhere."""
    for death in range(1, DEATHS + 1):
        level = taken(lab)
        give_at(lab, RATE)
        wait_until("more of the images comes", lambda level=level: taken(lab) >= level + DEATH_EVERY, GROW_LIMIT_S)
        give_at(lab, HELD_RATE)
        host = chance.choice(hosts)
        host.kill(host.agent())
        host.start_agent()
        if death == UNWANTED_AFTER:
            lab.cli("image", "rm", "unwanted")
    expect(not all(holders(lab, name) >= set(HOSTS) for name in ("first", "sibling")), "all had come before the last death")
    give_at(lab, RATE)
    wait_until("the two are everywhere", lambda: all(holders(lab, name) >= set(HOSTS) for name in ("first", "sibling")), COME_LIMIT_S)


def read_back(lab, disks):
    """Every image that is listed, wherever it is."""
    listed = {each["name"] for each in lab.cli("image", "list")["images"] if each["name"]}
    expect(listed == {"first", "sibling"}, f"listed are {sorted(listed)}")
    for name in listed:
        content = lab.cli("image", "show", name)["id"]
        for store in stores(lab):
            expect((store / content / "disk").read_bytes() == disks[name], f"{name} differs in {store}")
    for image in lab.cli("image", "check", "--all")["images"]:
        places = [place for cloud in image["clouds"] for place in cloud["places"]]
        expect(len(places) == len(HOSTS) + 2, f"{image['name']} was looked at in {len(places)} places")
        expect(all(place["check"]["bad"] == 0 for place in places), f"{image['name']}: {places}")


def play(lab, _options):
    hosts = [LabHost(lab, CLOUD, name, set()) for name in HOSTS]
    with tempfile.TemporaryDirectory() as directory:
        disks = make_disks(directory)
        give_at(lab, HELD_RATE, "add")
        bringing = [bring(lab, name, directory) for name in disks]
        wait_until("sky has the images", lambda: all(is_known(lab, name) for name in disks), COME_LIMIT_S)
        killed_on_the_way(lab, hosts, random.Random(SEED))
        for each in bringing[:2]:
            _, said = each.communicate(timeout=COME_LIMIT_S)
            expect(each.returncode == 0, f"{each.args}: {said}")
        bringing[2].communicate(timeout=COME_LIMIT_S)  # its image was removed, as it may say
        read_back(lab, disks)
    return f"{DEATHS} deaths"


if __name__ == "__main__":
    journey("image_deaths", config_of({CLOUD: HOSTS}), play)
