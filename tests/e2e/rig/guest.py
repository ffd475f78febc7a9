"""Talks to the tiny guest (images/README.md has its commands), over TCP or its serial port."""
import re
import socket
import threading
import time

from .patience import PATIENCE_S

READY = re.compile(r"godwit-tiny ready")


class Lines:
    """Whole lines from a socket."""

    def __init__(self, connected, limit_s=PATIENCE_S):
        self.socket = connected
        self.socket.settimeout(limit_s)
        self._file = connected.makefile("r", encoding="utf-8", newline="\n")

    def send(self, line):
        self.socket.sendall(line.encode() + b"\n")

    def read(self):
        line = self._file.readline()
        if not line:
            raise ConnectionError("the guest closed the connection")
        return line.rstrip("\r\n")

    def ask(self, line):
        self.send(line)
        return self.read()


class Serial(Lines):
    """The console; `wait_ready` passes over what firmware and kernel say. What is said before it is connected is lost: connect it before the
    guest boots, or know from elsewhere that it is ready (rig/qemu.py, Vm.booted)."""

    def __init__(self, path, limit_s=PATIENCE_S):
        connected = socket.socket(socket.AF_UNIX)
        connected.connect(path)
        super().__init__(connected, limit_s)

    def wait_ready(self):
        while not READY.search(self.read()):
            pass
        return self

    def ask(self, line):
        self.send(line)
        while True:  # its terminal may echo what was sent
            got = self.read()
            if got.startswith(("OK", "ERR")):
                return got


class Stream:
    """Reads numbered lines ("SEQ 7 …" or "OK 7") without end, and notes what is missing and the longest silence."""

    def __init__(self, lines, command, number, first=0):
        self.lines, self.number, self.next, self.wrong = lines, re.compile(number), first, []
        self.max_gap_s, self.ended_with, self._stop = 0.0, None, False
        self._changed = threading.Condition()
        lines.send(command)
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        last = None
        try:
            while True:
                line = self.lines.read()
                now = time.monotonic()
                found = self.number.match(line)
                with self._changed:
                    if found is None:
                        if not self._stop:
                            self.wrong.append(line)
                        self.ended_with = line
                    else:
                        self.max_gap_s = max(self.max_gap_s, now - last) if last else 0.0
                        if int(found[1]) != self.next:
                            self.wrong.append(f"{line} instead of {self.next}")
                        self.next, last = int(found[1]) + 1, now
                    self._changed.notify_all()
                    if found is None:
                        return
        except (OSError, ConnectionError) as error:
            with self._changed:
                self.ended_with = f"broken: {error}"
                self.wrong.append(self.ended_with)
                self._changed.notify_all()

    def wait_past(self, number, limit_s=PATIENCE_S):
        """Waits until `number` more lines than now have come."""
        with self._changed:
            goal = self.next + number
            if not self._changed.wait_for(lambda: self.next >= goal or self.ended_with, limit_s) or self.next < goal:
                raise TimeoutError(f"the stream stands at {self.next}, not {goal}: {self.ended_with or 'silent'}")

    def stop(self, limit_s=PATIENCE_S):
        with self._changed:
            self._stop = True
        self.lines.send("PING")
        with self._changed:
            if not self._changed.wait_for(lambda: self.ended_with, limit_s):
                raise TimeoutError("the stream does not end")
