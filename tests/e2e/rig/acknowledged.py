"""Writes to a guest's disk, from wherever it can be reached, and holds the disk to what the guest has acknowledged."""
import contextlib
import os
import re
import socket
import threading
import time

from rig.guest import Lines
from rig.net import enter
from rig.patience import PATIENCE_S

PORT = 7000
RECORDS = 48  # written round and round, each time with a higher version: few, so that a migration has little to copy
WRITE_EVERY_S = 0.1
CONNECT_LIMIT_S, SILENCE_LIMIT_S = 1, 2


@contextlib.contextmanager
def inside(namespace):
    """Moves the calling thread, and what it opens meanwhile."""
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    there = os.open(f"/run/netns/{namespace}", os.O_RDONLY)
    try:
        enter(there)
        yield
    finally:
        enter(home)
        os.close(there)
        os.close(home)


class GuestAddress:
    """The tiny guest at `ip`, from whichever namespace of its network it can be reached."""

    def __init__(self, prefix, ip):
        self.ip, self.network = ip, re.compile(re.escape(prefix) + r"[a-z0-9]+-\d+")

    def connect(self, limit_s=CONNECT_LIMIT_S):
        why = "no host has its network"
        for name in filter(self.network.fullmatch, sorted(os.listdir("/run/netns"))):
            try:
                with inside(name):
                    return Lines(socket.create_connection((self.ip, PORT), timeout=limit_s), SILENCE_LIMIT_S)
            except OSError as error:
                why = f"from {name}: {error}"
        raise ConnectionError(f"guest {self.ip}: {why}")

    def ask(self, *commands):
        """Whoever asks this may have to ask again: a guest that is about to be there, or a busy machine."""
        return self._ask(self.connect(), commands)

    def insist(self, *commands):
        """Asks a guest that runs, however slowly; nothing is said twice."""
        return self._ask(self.meet(), commands)

    def meet(self):
        """A connection to a guest that runs."""
        until = time.monotonic() + PATIENCE_S
        while True:
            try:
                lines = self.connect()
                lines.socket.settimeout(PATIENCE_S)
                return lines
            except OSError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.05)

    @staticmethod
    def _ask(lines, commands):
        try:
            return [lines.ask(command) for command in commands]
        finally:
            lines.socket.close()


class Writer(threading.Thread):
    """Always has one write under way, and goes on to the next record when it is acknowledged. One that was never acknowledged may or may not
    be on the disk, and both is right; it is written again, the same."""

    def __init__(self, guest):
        super().__init__(daemon=True)
        self.guest, self.count, self.refused = guest, 1, []  # count: what is under way
        self._acknowledged, self._perhaps = {}, {}  # record: version
        self._changed, self._ended = threading.Condition(), False

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        with self._changed:
            self._ended = True
            self._changed.notify_all()
        self.join()

    def run(self):
        while not self._ended:
            try:
                lines = self.guest.connect()
            except OSError:
                with self._changed:
                    self._changed.wait(WRITE_EVERY_S)
                continue
            with contextlib.suppress(OSError, ValueError):  # it moves, or has died: on with the next connection
                self._write(lines)
            lines.socket.close()

    def _write(self, lines):
        while not self._ended:
            with self._changed:
                record, version = self.count % RECORDS, self.count
                self._perhaps.setdefault(record, set()).add(version)
                answer = lines.ask(f"WRITE {record} {version}")
                if answer != f"OK {record}":
                    self.refused.append(answer)
                    return
                self._acknowledged[record] = version
                self._perhaps[record].clear()
                self.count += 1
                self._changed.notify_all()
                self._changed.wait(WRITE_EVERY_S)

    def acknowledged(self):
        """The last version of each record that was acknowledged."""
        with self._changed:
            return dict(self._acknowledged)

    def acknowledges(self, limit_s, more=5):
        """Whether so many more writes are acknowledged within that time."""
        with self._changed:
            wanted = dict(self._acknowledged)
            return self._changed.wait_for(
                lambda: sum(self._acknowledged[r] != wanted.get(r) for r in self._acknowledged) >= more, limit_s)

    def problems(self):
        """What was acknowledged and is not on the disk."""
        with self._changed:  # nothing is written meanwhile
            answers = self.guest.insist(*(f"READ {record}" for record in self._acknowledged))
            return self.refused + [
                f"version {version} of record {record} was acknowledged, and the disk says: {answer}"
                for (record, version), answer in zip(self._acknowledged.items(), answers)
                if answer not in {f"OK {record} version={each}" for each in {version} | self._perhaps[record]}]
