#!/usr/bin/env python3
"""What `godwit tunnel` keeps on disk of what has crossed is altered, cut short and emptied, at either end, between migrations of a real
guest and while they go on: that costs bytes alone. All of its memory and disk at the destination equal the source's at the switchover.

Nothing that may befall a store makes a batch that can't be repaired, and so none is here that ends a migration: what the destination can't
rebuild it asks for again, and that comes whole from the sending end's memory, and refers to no store (docs/protocols/migration.md).
Usage: spoiled_stores.py GODWIT [IMAGE_DIR]    (needs root; about a minute under emulation)
"""
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import dump_comparison
from dump_comparison import BEFORE, LINK, NAMES, SINGLE, Tunnel, check, fill, make_vm
from rig.net import Net, run
from rig.qemu import Image

PAGE = 4096
SPOIL_EVERY_S = 0.1
NEEDED_MIB = 8  # said again, of some 40 that the destination had


def write_into_pages(path, at, count):
    with open(path, "r+b", buffering=0) as file:
        for page in range(0, os.fstat(file.fileno()).st_size, PAGE):
            os.pwrite(file.fileno(), os.urandom(count), page + at)


def scratch(path):
    """Some bytes of each page: they are hardly another, and what is compressed against them is all the more."""
    write_into_pages(path, 17, 8)


def overwrite(path):
    write_into_pages(path, 0, PAGE * 3 // 4)


def halve(path):
    os.truncate(path, os.stat(path).st_size // 2)


def empty(path):
    os.truncate(path, 0)


HARMS = [("there", scratch), ("here", scratch), ("there", overwrite), ("here", overwrite), ("there", empty), ("here", empty)]


class Account:
    """In MiB: what crossed; what was found equal to what had before; what was not, and of that what is new and as it is."""

    def __init__(self, said):
        found = re.search(r"([0-9.]+) MiB of memory .* ([0-9.]+) had crossed of it and ([0-9.]+) of others, "
                          r"([0-9.]+) like what had, ([0-9.]+) compressed away, ([0-9.]+) new", said)
        self.crossed, earlier, others, alike, compressed, self.new = map(float, found.groups())
        self.equal, self.other = earlier + others, alike + compressed + self.new


class Spoiled(threading.Thread):
    """All files of the store at one end of a tunnel, once, or again and again while the thread runs."""

    def __init__(self, tunnel, ends, harm):
        super().__init__(daemon=True)
        self.places, self.harm, self.count = [Path(tunnel.directory, end) for end in ends], harm, 0
        self._ended, self._wrong = threading.Event(), None

    def once(self):
        for place in self.places:
            for path in place.rglob("segment-*"):
                try:
                    self.harm(path)
                    self.count += 1
                except FileNotFoundError:
                    pass  # it was let go
        return self

    def run(self):
        try:
            while not self._ended.wait(SPOIL_EVERY_S):
                self.once()
        except OSError as error:
            self._wrong = error

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self._ended.set()
        self.join()
        if self._wrong:
            raise self._wrong


class Journeys:
    """Of one guest, there and back, by a tunnel each way that is kept."""

    def __init__(self, godwit, directory, net, image):
        self.directory, self.image, self.names = directory, image, NAMES
        self.tunnels, self.vm = {}, None
        self._parts = (godwit, directory, net, image)

    def begin(self):
        for names in (NAMES, NAMES[::-1]):
            self.tunnels[names] = Tunnel(*self._parts, names, "shrink")
        self.vm = make_vm(self.directory, self.image, NAMES[0])
        fill(self.vm)

    def next_tunnel(self):
        return self.tunnels[self.names]

    def go(self, what):
        """What the sending end says of it."""
        print(f"{what}, from {self.names[0]} to {self.names[1]}", flush=True)
        tunnel = self.next_tunnel()
        self.vm = dump_comparison.journey(self.directory, self.image, self.vm, self.names, tunnel, SINGLE, BEFORE)
        self.names = self.names[::-1]
        return Account(tunnel.accounts()[-1])

    def close(self):
        if self.vm:
            self.vm.kill()
        for each in self.tunnels.values():
            each.close()


def story(journeys):
    for _ in journeys.tunnels:
        journeys.go("for the first time")
    for end, harm in HARMS:
        spoiled = Spoiled(journeys.next_tunnel(), [end], harm).once()
        check(spoiled.count > 0, f"{spoiled.count} files of the store {end}: {harm.__name__}")
        account = journeys.go("from what is left")
        if end == "there":
            check(account.crossed > account.new + NEEDED_MIB, f"it was needed: {account.crossed} MiB crossed, and {account.new} are new")
        else:
            check(account.equal < account.other, f"it was needed: {account.equal} MiB are what had crossed, and {account.other} are not")
    for harm in (scratch, overwrite, halve, empty):
        with Spoiled(journeys.next_tunnel(), ("there", "here"), harm) as spoiled:
            journeys.go(f"while both stores are spoiled again and again ({harm.__name__})")
        check(spoiled.count > 0, f"{spoiled.count} times")


def main():
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    image = sys.argv[2] if len(sys.argv) > 2 else f"{root}/.cache/images/tiny"
    if os.geteuid() != 0:
        sys.exit("spoiled_stores: it makes a network namespace, and runs QEMU as another user: run it as root")
    subprocess.run([f"{root}/images/build-tiny", image], check=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("spoiled_stores: terminated"))
    directory = tempfile.mkdtemp(prefix="godwit-spoiled-stores.")
    os.chmod(directory, 0o711)
    net = Net(f"gwspoil{os.getpid()}")
    journeys = None
    try:
        net.add("wan")
        run("ip", "netns", "exec", net.full("wan"), "tc", "qdisc", "add", "dev", "lo", "root", "tbf", *LINK)
        godwit = os.path.abspath(sys.argv[1])
        subprocess.run([godwit, "tunnel", "keys", *NAMES, "--directory", directory], check=True, stdout=subprocess.DEVNULL)
        journeys = Journeys(godwit, directory, net, Image(os.path.abspath(image)))
        journeys.begin()
        story(journeys)
    except BaseException:
        for log in sorted(Path(directory).glob("*-to-*/*.log")):
            print(f"--- {log.parent.name}/{log.name}: {log.read_text(encoding='utf-8')[-2000:]}", file=sys.stderr)
        raise
    finally:
        if journeys:
            journeys.close()
        net.remove()
        shutil.rmtree(directory)
    print("spoiled_stores: passed")


if __name__ == "__main__":
    main()
