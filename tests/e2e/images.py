#!/usr/bin/env python3
"""An image goes from a user's file to the hosts of two clouds, an instance that was asked for before it was there begins when it
is, moves to the other cloud, and keeps its image when nobody else has it any more. What disks alter of it meanwhile is found and
repaired. Behind a slow link another begins of what is there of its image, reads what is true, whoever ends meanwhile, and needs
nobody when all of it has come.

Usage: images.py [--godwit GODWIT] [--images DIRECTORY]    (root; two minutes)
"""
import hashlib
import json
import os
import signal
import tempfile
import time
from pathlib import Path

from rig.acknowledged import GuestAddress
from rig.journey import config_of, expect, journey
from stage import Failed, wait_until

CLOUDS = {"one": ["h1", "h2", "h3"], "two": ["k1", "k2"], "slow": ["s1"]}
IMAGE, TAG, CLUSTER = "small", "small:kept", "images"
OTHER, OTHER_TAG = "other", "other:stable"
SEND_KIB_S, CALL_KIB = 4096, 4096  # of every process; one call of sky's goes as fast as the link
LARGE, LARGE_MIB = "large", 64
# What is booted from comes in 10 s; then the rest is held back, 4 minutes of it, until all has been seen that is to be seen before it is there.
SLOW_RATE, HELD_RATE, FREE_RATE = "16mbit", "2mbit", "100mbit"
THERE_LIMIT_S, BOOT_LIMIT_S, MOVE_LIMIT_S = 240, 240, 300  # of a busy machine


def holders(lab, image=IMAGE):
    return {each["host"] for each in lab.cli("image", "list")["images"] if each["name"] == image}


def stored(lab, host):
    """The images that a host has on disk, by content."""
    return {path.name for path in (lab.directory / "hosts" / host / "images").iterdir() if len(path.name) == 64}


def facts(answer):
    return dict(word.split("=", 1) for word in answer.split()[1:])


def answers(guest):
    try:
        return facts(guest.ask("STAT")[0])
    except OSError:
        return None


def insists(guest):
    """What a guest says that runs."""
    return facts(guest.insist("STAT")[0])


def brought(lab, directory):
    """Takes the image in, asks for an instance before the cloud has it everywhere, and gives the guest."""
    began = time.monotonic()
    added = lab.cli("image", "add", IMAGE, directory, "--to", "one")
    print(f"  taken in and at cloud one: {time.monotonic() - began:.1f} s, {added['bytes'] >> 20} MiB, "
          f"{added['pushes'][0]['sent_bytes'] >> 10} KiB sent", flush=True)
    made = lab.cli("cluster", "create", CLUSTER, "--member", "m@one", "--image", IMAGE)
    wait_until("every host of cloud one has the image", lambda: holders(lab) >= set(CLOUDS["one"]), THERE_LIMIT_S)
    print(f"  at its {len(CLOUDS['one'])} hosts: {time.monotonic() - began:.1f} s", flush=True)
    guest = GuestAddress(f"gw-{lab.name}-", made["members"][0]["ip"])
    wait_until("the guest answers", lambda: answers(guest), BOOT_LIMIT_S)
    return added["id"], guest


def initrd(lab, host, content):
    """The largest part of an image whose disk is all zeros."""
    return lab.directory / "hosts" / host / "images" / content / "initrd"


def flipped(path):
    """Another byte, in the middle of a page that holds something."""
    with path.open("r+b") as file:
        at = 0
        while not any(page := file.read(4096)):
            expect(page, f"{path} is all zeros")
            at += len(page)
        file.seek(at + 17)
        file.write(bytes([page[17] ^ 1]))


def repaired(lab, content, guest):
    """A disk alters an image under an instance that runs of it, another that of a host without one; a check finds both and mends them."""
    host = lab.cli("cluster", "show", CLUSTER)["members"][0]["host"]
    other = next(each for each in CLOUDS["one"] if each != host)
    right = initrd(lab, host, content).read_bytes()
    for each in (host, other):
        flipped(initrd(lab, each, content))
        expect(initrd(lab, each, content).read_bytes() != right, f"nothing was flipped at {each}")
    began = time.monotonic()
    found = {cloud["cloud"]: cloud["places"] for cloud in lab.cli("image", "check", IMAGE)["images"][0]["clouds"]}
    places = {place["host"]: place["check"] for place in found["one"]}
    expect(found[""][0]["check"]["pieces"] > 0 and found[""][0]["check"]["bad"] == 0, f"sky's own: {json.dumps(found)}")
    for each in (host, other):
        expect(places[each]["bad"] == 1 and places[each]["repaired"] == 1, f"{each}: {json.dumps(places)}")
        expect(initrd(lab, each, content).read_bytes() == right, f"{each} is not what it was")
    expect(sum(place["bad"] for place in places.values()) == 2 and len(places) == 1 + len(CLOUDS["one"]), json.dumps(places))
    expect(insists(guest), "the guest is gone")
    print(f"  two bad pieces found and repaired: {time.monotonic() - began:.1f} s", flush=True)


def moved(lab, guest):
    """To a cloud that got the image meanwhile."""
    lab.cli("image", "push", IMAGE, "--to", "two")
    wait_until("every host of cloud two has the image", lambda: holders(lab) >= set(CLOUDS["two"]), THERE_LIMIT_S)
    boot = insists(guest)["boot"]
    report = lab.cli("instance", "migrate", "m", "--to", "two", limit_s=MOVE_LIMIT_S)
    told = wait_until("the guest answers", lambda: answers(guest), BOOT_LIMIT_S)
    expect(told["boot"] == boot, f"it has booted anew: {json.dumps(report)}")


def refused(lab, *words):
    """What a user reads of a command that is not done."""
    try:
        lab.cli(*words)
    except Failed as failed:
        return str(failed)
    raise Failed(f"{words} was done")


def tagged(lab, content):
    """Further names of a content cost nothing, and each goes alone."""
    expect(lab.cli("image", "tag", IMAGE, OTHER)["id"] == content, "the other name means another content")
    expect(lab.cli("image", "tag", OTHER, OTHER_TAG)["id"] == content, "its tag means another content")
    for name in (OTHER, OTHER_TAG):
        expect(lab.cli("image", "show", name)["id"] == content, f"{name} is shown with another content")
    said = lab.exec("user", [lab.godwit, "image", "show", OTHER])
    expect("Also" in said and IMAGE in said and OTHER_TAG in said, f"the names of the same content are not shown: {said}")
    expect("image" in refused(lab, "image", "tag", "nothing", "further"), "an image that there isn't is tagged")
    expect("name" in refused(lab, "image", "tag", IMAGE, "no name"), "what is no name is one")
    expect(sorted(lab.cli("image", "rm", OTHER)["names"]) == sorted([IMAGE, OTHER_TAG]), "it isn't said what keeps the content")
    expect(OTHER in refused(lab, "image", "show", OTHER), "a name that was removed is shown")
    expect(lab.cli("image", "rm", OTHER_TAG)["names"] == [IMAGE], "it isn't said what keeps the content")
    expect(lab.cli("image", "show", IMAGE)["id"] == content, "the content has gone with a name that wasn't the last")


def forgotten(lab, content, guest):
    """The name goes, and with it what no instance needs; the guest boots again of what it keeps."""
    host = lab.cli("cluster", "show", CLUSTER)["members"][0]["host"]
    expect(lab.cli("image", "tag", IMAGE, TAG)["id"] == content, "the tag means another content")
    expect(lab.cli("image", "rm", IMAGE)["names"] == [TAG], "its content goes with one of two names")
    lab.cli("image", "push", TAG, "--to", "two")
    lab.cli("image", "rm", TAG)
    wait_until("the hosts without an instance drop the image",
               lambda: all(not stored(lab, each) for name in ("one", "two") for each in CLOUDS[name] if each != host), THERE_LIMIT_S)
    expect(stored(lab, host) == {content}, f"{host} keeps {stored(lab, host)}")
    expect(insists(guest), "the guest is gone with its image's name")


class LargeImage:
    """The tiny guest, with a disk that doesn't compress."""

    def __init__(self, tiny, directory):
        self.directory = Path(directory)
        self.disk = os.urandom(LARGE_MIB << 20)
        (self.directory / "disk.raw").write_bytes(self.disk)
        recipe = json.loads((tiny / "manifest.json").read_text(encoding="utf-8"))
        for name in (recipe["kernel"], recipe["initrd"]):
            (self.directory / name).write_bytes((tiny / name).read_bytes())
        recipe.update(name=LARGE, disk="disk.raw", format="raw", virtual_size_bytes=len(self.disk),
                      sha256=hashlib.sha256(self.disk).hexdigest())
        (self.directory / "manifest.json").write_text(json.dumps(recipe), encoding="utf-8")

    def expect(self, guest, first_mib, count_mib):
        """That the guest reads there what the image has."""
        lines = guest.meet()
        lines.socket.settimeout(THERE_LIMIT_S)
        said = lines.ask(f"SH dd if=/dev/vda bs=1M skip={first_mib} count={count_mib} 2>/dev/null | sha256sum")
        lines.socket.close()
        wanted = hashlib.sha256(self.disk[first_mib << 20:(first_mib + count_mib) << 20]).hexdigest()
        expect(wanted in said, f"from {first_mib} MiB the guest reads {said}, where the image has {wanted}")


def disk_server(lab):
    """The pid of the one that serves the slow host's instance; nothing where there is none."""
    for path in (lab.directory / "hosts" / "s1" / "instances").glob("*.disk-server.json"):
        try:
            return json.loads(path.read_text(encoding="utf-8"))["pid"]
        except FileNotFoundError:
            pass  # it has just ended
    return None


def give_at(lab, rate, change="change"):
    """How fast the slow cloud's store gives."""
    lab.exec("slow-control", ["tc", "qdisc", change, "dev", "eth0", "root", "tbf", "rate", rate, "burst", "64k", "latency", "50ms"])


def keeps_the_rate(lab, sent_kib, took_s):
    """Sky has sent no faster than the lab was told, and every other process knows of the rate."""
    expect(sent_kib >= LARGE_MIB << 10, f"an image of {LARGE_MIB} MiB that doesn't compress has crossed as {sent_kib} KiB")
    least_s = (sent_kib - CALL_KIB) / SEND_KIB_S
    expect(took_s >= least_s, f"{sent_kib} KiB at {SEND_KIB_S} KiB/s were there after {took_s:.1f} s, before {least_s:.1f} s")
    for path in (lab.directory / "hosts").glob("*/agent.json"):
        expect(json.loads(path.read_text(encoding="utf-8"))["image_send_kib_s"] == SEND_KIB_S, f"{path} has another rate")
    print(f"  {sent_kib >> 10} MiB at {SEND_KIB_S >> 10} MiB/s: {took_s:.1f} s", flush=True)


def begun_early(lab, image):
    give_at(lab, SLOW_RATE, "add")
    began = time.monotonic()
    added = lab.cli("image", "add", LARGE, image.directory, "--to", "slow")
    keeps_the_rate(lab, added["pushes"][0]["sent_bytes"] >> 10, time.monotonic() - began)
    began = time.monotonic()
    made = lab.cli("cluster", "create", LARGE, "--member", "s@slow", "--image", LARGE)
    guest = GuestAddress(f"gw-{lab.name}-", made["members"][0]["ip"])
    pid = wait_until("a disk server serves an instance whose image has not come", lambda: disk_server(lab), THERE_LIMIT_S)
    give_at(lab, HELD_RATE)
    boot = wait_until("the guest answers", lambda: answers(guest), BOOT_LIMIT_S)["boot"]
    expect(disk_server(lab) == pid, "the disk server was not needed any more, or has died")
    image.expect(guest, LARGE_MIB - 2, 1)
    expect("s1" not in holders(lab, LARGE), "the image was there before the guest")
    print(f"  behind {SLOW_RATE}, then {HELD_RATE}: the guest answers, and reads its disk's end, after {time.monotonic() - began:.1f} s", flush=True)
    os.kill(pid, signal.SIGKILL)
    image.expect(guest, LARGE_MIB - 4, 1)
    expect(disk_server(lab) not in (None, pid), "no other disk server has taken the place of the one that was killed")
    expect("s1" not in holders(lab, LARGE), "the image had come before the disk server was missed")
    give_at(lab, FREE_RATE)
    wait_until("the image comes", lambda: "s1" in holders(lab, LARGE), THERE_LIMIT_S)
    wait_until("the disk server ends", lambda: disk_server(lab) is None, THERE_LIMIT_S)
    print(f"  its image is there, and its disk server gone: {time.monotonic() - began:.1f} s", flush=True)
    lab.exec("s1", ["ip", "link", "set", "eth0", "down"])
    image.expect(guest, 0, LARGE_MIB)
    lab.exec("s1", ["ip", "link", "set", "eth0", "up"])
    expect(insists(guest)["boot"] == boot, "the guest has booted anew")


def play(lab, options):
    content, guest = brought(lab, options.images / "tiny")
    repaired(lab, content, guest)
    moved(lab, guest)
    tagged(lab, content)
    forgotten(lab, content, guest)
    with tempfile.TemporaryDirectory() as directory:
        begun_early(lab, LargeImage(options.images / "tiny", directory))


if __name__ == "__main__":
    journey("images", config_of(CLOUDS), play, up=["--image-send-kib-s", str(SEND_KIB_S)])
