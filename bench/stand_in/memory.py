"""QEMU's migration stream (version 3, RAM version 4), from a source that makes its pages up to a destination that forgets them."""
import os
import socket
import struct
import threading
import time
from pathlib import Path

PAGE, PAGES = 4096, 256  # in one part of the stream
DIFFERENT = 8  # parts: no compressor of ours looks back so far
RAM_SECTION, DEVICE_SECTION = 2, 3
DEVICE_BYTES = 40_000
BLOCK = b"\x06pc.ram"
ZERO, MEM_SIZE, PAGE_IS_HERE, END_OF_PART, SAME_BLOCK = 0x02, 0x04, 0x08, 0x10, 0x20
U64 = struct.Struct(">Q")
DESCRIPTION = b'{"configuration": {}, "page_size": 4096, "devices": []}'
TAIL = b"\x00\x06" + struct.pack(">I", len(DESCRIPTION)) + DESCRIPTION
RETURN_SHUT = struct.pack(">HHI", 1, 4, 0)
MEASURED_EVERY_S = 0.5


def touched_bytes():
    """How much of its memory the guest has written; the rest is zeros. The benchmark says it, beside this file."""
    return int(Path(__file__).with_name("touched_bytes").read_text(encoding="ascii"))


def section(kind, number, data, name=b""):
    head = bytes([kind]) + struct.pack(">I", number)
    if name:
        head += bytes([len(name)]) + name + struct.pack(">II", 0, 4)
    return head + data + b"\x7e" + struct.pack(">I", number)


def part(kind, records=b"", name=b""):
    return section(kind, RAM_SECTION, records + U64.pack(END_OF_PART), name)


class Pages:
    """A part of PAGES pages, no two of a guest's alike, made again in place: Python is to be no slower than the agents."""

    def __init__(self):
        first = U64.pack(0) + BLOCK
        self.offsets = [0] + [len(first) + PAGE + each * (8 + PAGE) for each in range(PAGES - 1)]
        self.pages = [len(first)] + [offset + 8 for offset in self.offsets[1:]]
        self.bytes = bytearray(first + os.urandom(PAGE))
        for _ in range(PAGES - 1):
            self.bytes += U64.pack(0) + os.urandom(PAGE)

    def at(self, address):
        for number, (record, page) in enumerate(zip(self.offsets, self.pages)):
            where = address + number * PAGE
            U64.pack_into(self.bytes, record, where | PAGE_IS_HERE | (SAME_BLOCK if number else 0))
            U64.pack_into(self.bytes, page, where)
        return self.bytes


def zeros_at(address):
    first = U64.pack(address | ZERO) + BLOCK + b"\0"
    return first + b"".join(U64.pack(address + each * PAGE | ZERO | SAME_BLOCK) + b"\0" for each in range(1, PAGES))


class Outgoing:
    """The source's end."""

    def __init__(self, machine, path):
        self.machine, self.path = machine, path
        self.status, self.sent_bytes, self.left_bytes, self.rate = "setup", 0, machine.memory_bytes, 0.0
        self.end, self.may_go_on = socket.socket(socket.AF_UNIX), threading.Event()
        self.become("setup")
        threading.Thread(target=self.run, daemon=True).start()

    def become(self, status):
        self.status = status
        self.machine.monitor.event("MIGRATION", status=status)

    def send(self, data):
        self.end.sendall(data)
        self.sent_bytes += len(data)

    def run(self):
        try:
            self.end.connect(self.path)
            self.become("active")
            self.machine.monitor.event("MIGRATION_PASS", **{"pass": 1})
            self.send_memory()
            self.machine.become("finish-migrate")
            self.become("pre-switchover")
            self.may_go_on.wait()
            if self.status == "cancelling":
                raise OSError("cancelled")
            self.become("device")
            self.send(part(3) + section(4, DEVICE_SECTION, os.urandom(DEVICE_BYTES), b"cpu") + TAIL)
            self.end.shutdown(socket.SHUT_WR)
            if self.end.recv(len(RETURN_SHUT)) != RETURN_SHUT:
                raise OSError("the destination has not loaded it")
            self.machine.become("postmigrate")
            self.become("completed")
        except OSError:
            self.become("cancelled" if self.status == "cancelling" else "failed")
            self.machine.become("running")
        self.end.close()

    def send_memory(self):
        total, touched = self.machine.memory_bytes, touched_bytes()
        self.send(b"QEVM" + struct.pack(">I", 3) + b"\x07" + struct.pack(">I", 10) + b"pc-q35-7.2")
        self.send(part(1, U64.pack(total | MEM_SIZE) + BLOCK + U64.pack(total), b"ram"))
        parts = [Pages() for _ in range(DIFFERENT)]
        measured = (time.monotonic(), 0)
        for address in range(0, total, PAGE * PAGES):
            pages = parts[address // (PAGE * PAGES) % DIFFERENT]
            self.send(part(2, pages.at(address) if address < touched else zeros_at(address)))
            self.left_bytes = total - address
            since = time.monotonic() - measured[0]
            if since > MEASURED_EVERY_S:
                self.rate = (self.sent_bytes - measured[1]) / since
                measured = (time.monotonic(), self.sent_bytes)
        self.left_bytes = 0

    def go_on(self):
        self.may_go_on.set()
        return {}

    def cancel(self):
        if self.status in ("setup", "active", "pre-switchover", "device"):
            self.become("cancelling")
            self.may_go_on.set()
            self.end.close()
        return {}

    def describe(self):
        ram = {"total": self.machine.memory_bytes, "remaining": self.left_bytes, "transferred": self.sent_bytes,
               "page-size": PAGE, "dirty-pages-rate": 0, "dirty-sync-count": 1, "mbps": self.rate * 8 / 1e6}
        return {"status": self.status, "ram": ram}


class Incoming:
    """The destination's end; good for one attempt."""

    def __init__(self, machine, path):
        self.machine, self.status = machine, "setup"
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen(1)
        machine.monitor.event("MIGRATION", status="setup")
        threading.Thread(target=self.run, daemon=True).start()

    def become(self, status):
        self.status = status
        self.machine.monitor.event("MIGRATION", status=status)

    def run(self):
        client, _ = self.listener.accept()
        self.become("active")
        buffer, tail = bytearray(2**20), b""
        while size := client.recv_into(buffer):
            tail = (tail + bytes(memoryview(buffer)[max(0, size - len(TAIL)):size]))[-len(TAIL):]
        if tail != TAIL:
            print("qemu-system-x86_64: load of migration failed: Input/output error", flush=True)
            os._exit(1)
        self.machine.become("paused")
        self.become("completed")
        client.sendall(RETURN_SHUT)
        client.close()

    def cancel(self):
        return {}

    def describe(self):
        return {} if self.status == "setup" else {"status": self.status}
