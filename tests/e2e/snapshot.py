#!/usr/bin/env python3
"""An instance's disk becomes an image while the guest writes to it; an instance begins with that image; the image comes home, is
exported, and goes to another cloud. The disk of an instance that has shut itself down becomes one too.

Usage: snapshot.py [--godwit GODWIT] [--images DIRECTORY]    (root; about a minute)
"""
import subprocess
import tempfile
import time
from pathlib import Path

from rig.acknowledged import RECORDS, GuestAddress, Writer
from rig.journey import config_of, expect, journey
from rig.patience import PATIENCE_S
from stage import Failed, wait_until

CLOUDS = {"one": ["h1", "h2"], "two": ["k1"]}
IMAGE, SNAPSHOT, STOPPED, CLUSTER = "small", "small:2", "small:stopped", "original"
THERE_LIMIT_S, BOOT_LIMIT_S, SNAPSHOT_LIMIT_S = 240, 240, 300  # of a busy machine


def holders(lab, image):
    return {each["host"] for each in lab.cli("image", "list")["images"] if each["name"] == image}


def guest_of(lab, cluster):
    guest = GuestAddress(f"gw-{lab.name}-", lab.cli("cluster", "show", cluster)["members"][0]["ip"])

    def answers():
        try:
            return guest.ask("STAT")
        except OSError:
            return None
    wait_until(f"the guest of {cluster} answers", answers, BOOT_LIMIT_S)
    return guest


def versions(guest, records):
    """Of each record that is on its disk."""
    answers = guest.insist(*(f"READ {record}" for record in records))
    return {record: int(answer.rsplit("=", 1)[1]) for record, answer in zip(records, answers) if answer.startswith("OK ")}


def taken(lab, writer):
    """While the guest writes. What it had acknowledged before, and what it may have written at most."""
    expect(writer.acknowledges(PATIENCE_S), "the guest takes no writes")
    before = writer.acknowledged()
    began = time.monotonic()
    seen = lab.cli("instance", "snapshot", f"{CLUSTER}/m", SNAPSHOT, limit_s=SNAPSHOT_LIMIT_S)
    took, after = time.monotonic() - began, writer.count
    expect(seen["phase"] == "done", f"it is {seen}")
    expect(writer.acknowledges(PATIENCE_S), "the guest takes no writes after the snapshot")
    print(f"  an image of the disk after {took:.1f} s, {after - max(before.values())} writes meanwhile", flush=True)
    return seen["image"], before, after


def holds_what_was_written(found, before, after, where):
    for record, version in before.items():
        expect(version <= found.get(record, 0) <= after,
               f"{where}: record {record} has version {found.get(record)}; {version} was acknowledged before, {after} came last")
    # One moment: the writer goes round and round, so that no record is older than the newest less one round.
    expect(max(found.values()) - min(found.values()) < RECORDS, f"{where}: of more than one moment: {found}")


def home_and_out(lab, content):
    """Pulled and exported: the file is what the hosts have."""
    pulled = lab.cli("image", "pull", SNAPSHOT)
    expect(pulled["id"] == content, f"another content came: {pulled}")
    with tempfile.TemporaryDirectory() as directory:
        raw, qcow2 = Path(directory, "disk.raw"), Path(directory, "disk.qcow2")
        lab.cli("image", "export", SNAPSHOT, raw)
        lab.cli("image", "export", SNAPSHOT, qcow2)
        for file in (raw, qcow2):
            subprocess.run(["qemu-img", "compare", "-q", "-f", file.suffix[1:], "-F", "raw", file,
                            lab.directory / "hosts" / "h1" / "images" / content / "disk"], check=True)
        print(f"  pulled ({pulled['pull']['received_bytes'] >> 10} KiB), exported: {raw.stat().st_blocks >> 1} KiB raw, "
              f"{qcow2.stat().st_size >> 10} KiB qcow2; equal to the hosts'", flush=True)
        try:
            lab.cli("image", "export", SNAPSHOT, raw)
        except Failed as refused:
            expect("already" in str(refused), f"refused otherwise: {refused}")
        else:
            raise Failed("a file that was there is written over")


def stopped(lab, guest, promised, last):
    """The guest has shut itself down: its disk is taken as it lies, and has all that was promised; then it is there no more."""
    try:
        guest.ask("POWEROFF")
    except OSError:
        pass  # it did not answer any more
    wait_until("the instance is stopped", lambda: lab.cli("cluster", "show", CLUSTER)["members"][0]["state"] == "stopped", BOOT_LIMIT_S)
    began = time.monotonic()
    seen = lab.cli("instance", "snapshot", f"{CLUSTER}/m", STOPPED, limit_s=SNAPSHOT_LIMIT_S)
    expect(seen["phase"] == "done", f"it is {seen}")
    print(f"  an image of a stopped instance's disk after {time.monotonic() - began:.1f} s", flush=True)
    lab.cli("cluster", "create", "last", "--member", "c@one", "--image", STOPPED)
    holds_what_was_written(versions(guest_of(lab, "last"), promised), promised, last, "the stopped one's clone")


def play(lab, options):
    lab.cli("image", "add", IMAGE, options.images / "tiny", "--to", "one")
    lab.cli("cluster", "create", CLUSTER, "--member", "m@one", "--image", IMAGE)
    guest = guest_of(lab, CLUSTER)
    with Writer(guest) as writer:
        content, before, after = taken(lab, writer)
    expect(not writer.problems(), f"{writer.problems()}")
    lab.cli("cluster", "create", "clone", "--member", "c@one", "--image", SNAPSHOT)
    holds_what_was_written(versions(guest_of(lab, "clone"), before), before, after, "the clone")
    print("  a clone has what was written", flush=True)
    home_and_out(lab, content)
    lab.cli("image", "push", SNAPSHOT, "--to", "two")
    wait_until("cloud two has the image", lambda: holders(lab, SNAPSHOT) >= set(CLOUDS["two"]), THERE_LIMIT_S)
    stopped(lab, guest, writer.acknowledged(), writer.count)
    left = [path for host in ("h1", "h2") for path in (lab.directory / "hosts" / host / "snapshots").iterdir()]
    expect(not left, f"left over: {left}")
    lab.cli("image", "rm", SNAPSHOT)
    wait_until("the hosts without an instance drop the image", lambda: not holders(lab, SNAPSHOT), THERE_LIMIT_S)


if __name__ == "__main__":
    journey("snapshot", config_of(CLOUDS), play)
