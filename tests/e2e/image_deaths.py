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
from stage import wait_until

CLOUD, HOSTS = "one", ["h1", "h2", "h3", "h4"]
RATE = "48mbit"  # of what the cloud gives: ten seconds for all
MIB = 32
DEATH_EVERY = 6 << 20  # bytes that have come to all hosts together
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


def killed_on_the_way(lab, hosts, chance):
    """Until the two are everywhere; how often."""
    deaths, level = 0, taken(lab)
    while not all(holders(lab, name) >= set(HOSTS) for name in ("first", "sibling")):
        def is_time():
            return taken(lab) >= level + DEATH_EVERY or all(holders(lab, name) >= set(HOSTS) for name in ("first", "sibling"))
        wait_until("more of the images comes", is_time, GROW_LIMIT_S)
        if taken(lab) < level + DEATH_EVERY:
            break
        host = chance.choice(hosts)
        host.kill(host.agent())
        host.start_agent()
        deaths, level = deaths + 1, taken(lab)
        if deaths == 2:
            lab.cli("image", "rm", "unwanted")
    return deaths


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
        lab.exec(f"{CLOUD}-control", ["tc", "qdisc", "add", "dev", "eth0", "root", "tbf", "rate", RATE, "burst", "64k", "latency", "50ms"])
        bringing = [bring(lab, name, directory) for name in disks]
        wait_until("the images begin to come", lambda: taken(lab) > DEATH_EVERY, COME_LIMIT_S)
        deaths = killed_on_the_way(lab, hosts, random.Random(SEED))
        expect(deaths >= 5, f"all came after {deaths} deaths")
        for each in bringing[:2]:
            _, said = each.communicate(timeout=COME_LIMIT_S)
            expect(each.returncode == 0, f"{each.args}: {said}")
        bringing[2].communicate(timeout=COME_LIMIT_S)  # its image was removed, as it may say
        read_back(lab, disks)
    return f"{deaths} deaths"


if __name__ == "__main__":
    journey("image_deaths", config_of({CLOUD: HOSTS}), play)
