#!/usr/bin/env python3
"""A TCP connection that carries numbered data, and notices every byte and every millisecond that goes missing.

    seqstream.py serve [--port 7100]
    seqstream.py watch HOST [--port 7100] [--interval-ms 10] [--seconds S]

The watcher connects once. The server sends it a record of 64 bytes each interval; the watcher checks it and sends it back,
and the server checks that too: so both directions are seen. The watcher reports lines of JSON:

    {"event": "connected", "host": "beta", "interval_ms": 10}
    {"event": "gap", "uptime_s": 123.4, "unix_s": 1700000000.5, "gap_ms": 212.3, "server_ms": 11.0, "record": 5500}   each over --gap-ms
    {"event": "progress", …the fields of "end"…}                                             each second
    {"event": "end", "received": 9000, "bytes": 576000, "bytes_lost": 0, "bytes_repeated": 0, "bytes_corrupt": 0,
     "echoes_wrong": 0, "max_gap_ms": 212.3, "connections": 1, "survived": true, "why": "told to stop"}

A gap is the time between two records at the watcher, less nothing: one interval is normal. server_ms is what lay between the two at
the server, by its own clock: what it took to send, whatever the network did. A watcher that itself migrates does
not see the time in which it stood still, so let it run on a member that stays. It ends after --seconds, at SIGTERM or
SIGINT ("survived": true), or when the connection breaks (false); it never connects again.
Exit status: 0 it survived and nothing was lost, repeated or corrupt; 1 otherwise.
"""
import argparse
import contextlib
import json
import select
import signal
import socket
import struct
import sys
import threading
import time

RECORD = struct.Struct(">8sQQ40s")  # magic, number, us since the record before (not checked), filler that depends on the number
MAGIC = b"GDWTSEQ1"
HELLO = struct.Struct(">8sI")      # magic, interval in ms
FAREWELL = struct.Struct(">Q")     # the server's last word: how many echoes were wrong
MAX_INTERVAL_MS = 10_000
GOODBYE_LIMIT_S = 60               # longer than any blackout that a connection is worth waiting for


def filler(number):
    return ((number * 0x9E3779B97F4A7C15) % 2**64).to_bytes(8, "big") * 5


def record(number, since_us=0):
    return RECORD.pack(MAGIC, number, since_us, filler(number))


def is_intact(data, number):
    magic, found, _, fill = RECORD.unpack(data)
    return (magic, found, fill) == (MAGIC, number, filler(number))


def receive_exactly(connection, size):
    """`size` bytes, or fewer at the end of the stream."""
    data = b""
    while len(data) < size and (some := connection.recv(size - len(data))):
        data += some
    return data


def serve(options):
    with socket.create_server((options.address, options.port), backlog=16) as listener:
        print(json.dumps({"event": "listening", "port": listener.getsockname()[1]}), flush=True)
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=send_records, args=(connection,), daemon=True).start()


def send_records(connection):
    with connection, contextlib.suppress(OSError):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        hello = receive_exactly(connection, HELLO.size)
        if len(hello) < HELLO.size or hello[:8] != MAGIC:
            return
        interval_s = min(max(HELLO.unpack(hello)[1], 1), MAX_INTERVAL_MS) / 1000
        echoes = threading.Thread(target=(checker := EchoChecker(connection)).run, daemon=True)
        echoes.start()
        number, last = 0, time.monotonic()
        while not checker.ended.wait(interval_s):  # not "until": a server that stood still does not send a burst
            now = time.monotonic()
            connection.sendall(record(number, round((now - last) * 1e6)))
            number, last = number + 1, now
        connection.sendall(b"\0" * RECORD.size + FAREWELL.pack(checker.wrong))


class EchoChecker:
    """Reads what the watcher sends back, until it closes its direction."""

    def __init__(self, connection):
        self.connection = connection
        self.wrong = 0
        self.ended = threading.Event()

    def run(self):
        with contextlib.suppress(OSError):
            number = 0
            while len(data := receive_exactly(self.connection, RECORD.size)) == RECORD.size:
                self.wrong += not is_intact(data, number)
                number += 1
        self.ended.set()


class Watch:
    """What the watcher has seen."""

    def __init__(self, options):
        self.options = options
        self.next = 0
        self.seen = {"received": 0, "bytes": 0, "bytes_lost": 0, "bytes_repeated": 0, "bytes_corrupt": 0, "echoes_wrong": 0,
                     "max_gap_ms": 0.0, "connections": 0, "survived": False, "why": ""}
        self.last = self.reported = time.monotonic()

    def run(self):
        stop_r, stop_w = socket.socketpair()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop_w.send(b"."))
        try:
            with socket.create_connection((self.options.host, self.options.port), timeout=30) as connection:
                connection.settimeout(None)
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                connection.sendall(HELLO.pack(MAGIC, self.options.interval_ms))
                self.seen["connections"] = 1
                report(event="connected", host=self.options.host, interval_ms=self.options.interval_ms)
                self.watch(connection, stop_r)
        except OSError as error:
            self.seen["survived"], self.seen["why"] = False, str(error)
        report(event="end", **self.seen)
        intact = not any(self.seen[key] for key in ("bytes_lost", "bytes_repeated", "bytes_corrupt", "echoes_wrong"))
        return 0 if self.seen["survived"] and intact else 1

    def watch(self, connection, stop):
        deadline = time.monotonic() + self.options.seconds if self.options.seconds else float("inf")
        self.last = time.monotonic()
        while True:
            left = min(max(deadline - time.monotonic(), 0), 3600)
            ready, _, _ = select.select([connection, stop], [], [], left)
            if connection in ready:
                data = receive_exactly(connection, RECORD.size)
                if len(data) < RECORD.size:
                    self.seen["why"] = "the server closed the connection"
                    return
                self.note(data)
                connection.sendall(data)
            if stop in ready or time.monotonic() >= deadline:
                self.say_goodbye(connection)
                return

    def note(self, data):
        now = time.monotonic()
        gap_ms = (now - self.last) * 1000
        self.last = now
        _, number, server_us, _ = RECORD.unpack(data)
        self.seen["received"] += 1
        self.seen["bytes"] += len(data)
        if self.seen["received"] > 1:
            self.seen["max_gap_ms"] = max(self.seen["max_gap_ms"], round(gap_ms, 3))
        if not is_intact(data, number):
            self.seen["bytes_corrupt"] += len(data)
        else:
            self.seen["bytes_lost"] += max(number - self.next, 0) * RECORD.size
            self.seen["bytes_repeated"] += RECORD.size if number < self.next else 0
            self.next = max(self.next, number + 1)
        if gap_ms >= self.options.gap_ms:
            report(event="gap", uptime_s=round(now, 3), unix_s=round(time.time(), 3), gap_ms=round(gap_ms, 3),
                   server_ms=server_us / 1000, record=number)
        if now - self.reported >= 1:
            self.reported = now
            report(event="progress", **self.seen)

    def say_goodbye(self, connection):
        """Ends our direction, takes what is still on its way, and the server's count of the echoes."""
        connection.settimeout(GOODBYE_LIMIT_S)
        connection.shutdown(socket.SHUT_WR)
        while len(data := receive_exactly(connection, RECORD.size)) == RECORD.size and data[:8] == MAGIC:
            self.note(data)
        farewell = receive_exactly(connection, FAREWELL.size)
        if len(farewell) < FAREWELL.size:
            self.seen["why"] = "the connection broke at its end"
            return
        self.seen["echoes_wrong"] = FAREWELL.unpack(farewell)[0]
        self.seen["survived"], self.seen["why"] = True, "told to stop"


def report(**event):
    print(json.dumps(event), flush=True)


def arguments():
    parser = argparse.ArgumentParser(description="A TCP connection that notices what goes missing.")
    commands = parser.add_subparsers(dest="command", required=True)
    server = commands.add_parser("serve", help="send records to whoever connects")
    server.add_argument("--address", default="0.0.0.0", help="%(default)s")
    server.add_argument("--port", type=int, default=7100, help="%(default)s; 0: any that is free")
    watcher = commands.add_parser("watch", help="connect, check, report")
    watcher.add_argument("host")
    watcher.add_argument("--port", type=int, default=7100, help="%(default)s")
    watcher.add_argument("--interval-ms", type=int, default=10, help="%(default)s")
    watcher.add_argument("--gap-ms", type=float, default=100, help="report gaps of at least that (%(default)s)")
    watcher.add_argument("--seconds", type=float, default=0, help="how long (until told to stop)")
    return parser.parse_args()


if __name__ == "__main__":
    options = arguments()
    sys.exit(serve(options) if options.command == "serve" else Watch(options).run())
