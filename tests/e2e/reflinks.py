#!/usr/bin/env python3
"""What a store's images take of a real disk: on XFS a sibling takes only what it has alone, on ext4 all of it (and on btrfs, which gives
no part of an extent back); and everywhere each image is what it was, bit for bit. The file systems are made in files, and mounted where nobody else sees it.
Usage: reflinks.py IMAGE_SIBLING    (the program bench/image_sibling; needs root; some seconds; exit 77 where this kernel has no such mounts)
"""
import json
import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path

MIB = 1 << 20
IMAGE_MIB, BLOCK, CHANGED_EVERY = 64, 4096, 50
DISK_MIB = 1024
FILE_SYSTEMS = {"xfs": (["mkfs.xfs", "-q"], True), "btrfs": (["mkfs.btrfs", "-q"], False), "ext4": (["mkfs.ext4", "-q"], False)}
CANNOT = 77


def check(truth, what):
    if not truth:
        raise AssertionError(what)
    print(f"  ok: {what}", flush=True)


def make_images(directory):
    """OLD, of chance, and NEW, in which every 50th block is another."""
    chance = random.Random(1)
    old = chance.randbytes(IMAGE_MIB * MIB)
    new = bytearray(old)
    for at in range(0, len(new), CHANGED_EVERY * BLOCK):
        new[at:at + BLOCK] = chance.randbytes(BLOCK)
    for name, content in (("old", old), ("new", bytes(new))):
        (directory / f"{name}.raw").write_bytes(content)
    return [directory / "old.raw", directory / "new.raw"]


def has_copy_of(image, store):
    found = [each for each in store.rglob("*") if each.is_file() and each.stat().st_size == image.stat().st_size]
    return any(subprocess.run(["cmp", "-s", image, each], check=False).returncode == 0 for each in found)


def look_at(kind, make, shares, program, directory, images):
    print(kind, flush=True)
    disk, mounted = directory / f"{kind}.img", directory / kind
    mounted.mkdir()
    with open(disk, "wb") as file:
        file.truncate(DISK_MIB * MIB)
    subprocess.run([*make, disk], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    if subprocess.run(["mount", "-t", kind, "-o", "loop", disk, mounted], check=False).returncode != 0:
        sys.exit(CANNOT)  # a container, say; mount has said why
    try:
        done = subprocess.run([program, mounted, *images], stdout=subprocess.PIPE, text=True, check=True)
        counted = json.loads(done.stdout)
        alone, beside = counted["disk_alone_bytes"] / MIB, counted["disk_beside_bytes"] / MIB
        print(f"  of {IMAGE_MIB} MiB: alone it takes {alone:.1f} MiB of the disk, beside its sibling {beside:.1f} MiB")
        check(alone > IMAGE_MIB * 0.95, "alone it takes what it is")
        if shares:
            check(beside < IMAGE_MIB * 0.15, "beside its sibling it takes little more than what it has alone")
        else:
            check(beside > IMAGE_MIB * 0.95, "it takes all its space, as the documents say of that file system")
        check(has_copy_of(images[0], mounted / "there") and has_copy_of(images[1], mounted / "there"), "both are what they were")
        check(has_copy_of(images[1], mounted / "empty"), "and so is the one that is alone")
    finally:
        subprocess.run(["umount", mounted], check=True)
        disk.unlink()


def can_mount():
    known = Path("/proc/filesystems").read_text(encoding="ascii").split()
    return os.path.exists("/dev/loop-control") and all(kind in known for kind in FILE_SYSTEMS)


def main():
    if not can_mount():
        print("this kernel has no loop device, or lacks one of " + ", ".join(FILE_SYSTEMS))
        sys.exit(CANNOT)
    if os.environ.get("GODWIT_OWN_MOUNTS") != "1":
        os.environ["GODWIT_OWN_MOUNTS"] = "1"
        os.execvp("unshare", ["unshare", "--mount", "--propagation", "private", sys.executable, *sys.argv])
    program = Path(sys.argv[1]).resolve()
    with tempfile.TemporaryDirectory(prefix="godwit-reflinks-") as scratch:
        directory = Path(scratch)
        images = make_images(directory)
        for kind, (make, shares) in FILE_SYSTEMS.items():
            look_at(kind, make, shares, program, directory, images)
    print("ok")


if __name__ == "__main__":
    main()
