"""Watches every copy of one instance, on whatever host, and tells when two of them ran.

A copy is known by its console, a file of its own, which grows only while its vCPUs run: the guest writes numbered beats there.
Two things must hold over any number of migrations, kills and cold boots, and no clock is compared for them:
1. the time in which a copy runs is one piece: who has fallen silent while another spoke never speaks again;
2. no beat is written by two copies, and their numbers go on where the one before has stopped.
The first catches whatever runs at the same time, cold boots too; the second even two copies that ran between two looks.
"""
import os
import re
import threading
import time

BEAT = re.compile(rb"beat (\d+) (\d+) \.\r?\n")
EVERY_S = 0.005
BEAT_EVERY_S = 0.04


def beating(nonce):
    """A command of the tiny guest that makes it beat for as long as it runs. The fifo is a clock that costs no process."""
    loop = f'n=0; while :; do n=$((n+1)); echo "beat {nonce} $n ." > /dev/ttyS0; read -t {BEAT_EVERY_S} x; done'
    return f"SH mkfifo /tmp/clock; ({loop}) <>/tmp/clock >/dev/null 2>&1 &"


class Console:
    """Kept open, so that a copy whose directory has been deleted is still heard."""

    def __init__(self, host, descriptor):
        self.host, self.descriptor, self.size = host, descriptor, 0

    def has_grown(self):
        size = os.fstat(self.descriptor).st_size
        grown, self.size = size > self.size, size
        return grown

    def end(self):
        return os.pread(self.descriptor, 800, max(0, self.size - 800)).decode(errors="replace")

    def beats(self):
        """{nonce: [number, …]} in the order in which they were written."""
        found = {}
        for nonce, number in BEAT.findall(os.pread(self.descriptor, self.size, 0)):
            found.setdefault(int(nonce), []).append(int(number))
        return found


class Copies(threading.Thread):
    """`paths`: {host: its console.log of the instance}, whether it is there yet or not."""

    def __init__(self, paths):
        super().__init__(daemon=True)
        self.paths, self.known, self.order, self.wrong = paths, {}, [], []
        self._changed, self._ended = threading.Condition(), False

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        with self._changed:
            self._ended = True
            self._changed.notify_all()
        self.join()
        for console in self.known.values():
            os.close(console.descriptor)

    def run(self):
        with self._changed:
            while not self._ended:
                self._look()
                self._changed.wait(EVERY_S)

    def _look(self):
        for host, path in self.paths.items():
            self._find(host, path)
        active = [console for console in self.known.values() if console.has_grown()]
        for console in sorted(active, key=lambda each: each is not self._last()):
            self._heard(console)

    def _find(self, host, path):
        try:
            status = os.stat(path)
            key = (status.st_dev, status.st_ino)  # can't be used again while we hold it
            if key not in self.known:
                self.known[key] = Console(host, os.open(path, os.O_RDONLY | os.O_CLOEXEC))
        except OSError:
            pass  # not there, or not any more

    def _last(self):
        return self.order[-1] if self.order else None

    def _heard(self, console):
        if console is self._last():
            return
        if console in self.order:
            self.wrong.append(f"the copy at {console.host} ran again after the one at {self._last().host} had run")
        self.order.append(console)

    def speaks(self, host, limit_s):
        """Whether the copy at `host` says something new within that time."""
        with self._changed:
            before = {console: console.size for console in self.known.values()}

            def spoken():
                return any(c.host == host and c.size > before.get(c, 0) for c in self.known.values())
            deadline = time.monotonic() + limit_s
            while not spoken() and time.monotonic() < deadline:
                self._changed.wait(EVERY_S)
            return spoken()

    def said(self):
        """How much all copies together have said: it stands still when none runs."""
        with self._changed:
            return sum(console.size for console in self.known.values())

    def last_words(self):
        """The end of what each of the last copies has said, for people."""
        with self._changed:
            return "\n".join(f"{console.host}: …{console.end()}" for console in self.order[-3:])

    def problems(self):
        """What was seen of two copies; empty when all is well."""
        with self._changed:
            return self.wrong + self._wrong_beats()

    def _wrong_beats(self):
        last, wrong = {}, []
        for console in dict.fromkeys(self.order):
            for nonce, numbers in console.beats().items():
                for number in numbers:
                    if number <= last.get(nonce, 0):
                        wrong.append(f"beat {number} of boot {nonce} was written at {console.host} after beat {last[nonce]}")
                    last[nonce] = max(number, last.get(nonce, 0))
        return wrong[:8]
