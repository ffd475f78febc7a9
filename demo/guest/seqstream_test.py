#!/usr/bin/env python3
"""seqstream.py over the loopback, directly and through a middleman that spoils the stream."""
import json
import signal
import socket
import subprocess
import sys
import threading
import unittest
from pathlib import Path

PROGRAM = Path(__file__).with_name("seqstream.py")
RECORD_BYTES = 64


def take(connection, size):
    data = b""
    while len(data) < size and (some := connection.recv(size - len(data))):
        data += some
    return data


class SeqStream(unittest.TestCase):
    def setUp(self):
        self.server = subprocess.Popen([sys.executable, PROGRAM, "serve", "--address", "127.0.0.1", "--port", "0"],
                                       stdout=subprocess.PIPE, text=True)
        self.addCleanup(self.server.stdout.close)
        self.addCleanup(self.server.wait)
        self.addCleanup(self.server.kill)
        self.port = json.loads(self.server.stdout.readline())["port"]

    def watch(self, port, *options):
        watcher = subprocess.Popen([sys.executable, PROGRAM, "watch", "127.0.0.1", "--port", str(port), "--interval-ms", "2",
                                    *options], stdout=subprocess.PIPE, text=True)
        self.addCleanup(watcher.stdout.close)
        self.addCleanup(watcher.wait)
        self.addCleanup(watcher.kill)
        return watcher

    def spoil(self, change):
        """A server between the two: gives the watcher change(number, record) instead of each record."""
        listener = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(listener.close)

        def pump():
            near, _ = listener.accept()
            with near, socket.create_connection(("127.0.0.1", self.port)) as far:
                far.sendall(take(near, 12))
                threading.Thread(target=self.forward, args=(near, far), daemon=True).start()
                number = 0
                while record := take(far, RECORD_BYTES):
                    spoiled = change(number, record)
                    if spoiled is None:
                        near.shutdown(socket.SHUT_RDWR)  # to close is not enough while the other thread reads
                        return
                    near.sendall(spoiled)
                    number += 1

        threading.Thread(target=pump, daemon=True).start()
        return listener.getsockname()[1]

    @staticmethod
    def forward(near, far):
        try:
            while data := near.recv(4096):
                far.sendall(data)
            far.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def end_of(self, watcher):
        events = [json.loads(line) for line in watcher.stdout]
        return watcher.wait(), events[-1], events

    def test_a_quiet_stream_survives_and_lacks_nothing(self):
        status, end, events = self.end_of(self.watch(self.port, "--seconds", "0.5"))
        self.assertEqual((status, end["survived"], end["connections"]), (0, True, 1))
        self.assertEqual([end[key] for key in ("bytes_lost", "bytes_repeated", "bytes_corrupt", "echoes_wrong")], [0] * 4)
        self.assertEqual(end["bytes"], end["received"] * RECORD_BYTES)
        self.assertGreater(end["received"], 0)
        self.assertEqual(events[0]["event"], "connected")

    def test_a_signal_ends_it_well(self):
        watcher = self.watch(self.port)
        self.assertEqual(json.loads(watcher.stdout.readline())["event"], "connected")
        watcher.send_signal(signal.SIGTERM)
        status, end, _ = self.end_of(watcher)
        self.assertEqual((status, end["survived"], end["why"]), (0, True, "told to stop"))

    def test_a_server_that_stands_still_is_a_gap_and_nothing_lost(self):
        watcher = self.watch(self.port, "--gap-ms", "150")
        while json.loads(watcher.stdout.readline())["event"] != "progress":
            pass
        self.server.send_signal(signal.SIGSTOP)
        threading.Timer(0.4, self.server.send_signal, [signal.SIGCONT]).start()
        while (event := json.loads(watcher.stdout.readline()))["event"] != "gap" or event["gap_ms"] < 300:
            pass
        self.assertGreaterEqual(event["server_ms"], 300)  # its clock went on
        watcher.send_signal(signal.SIGTERM)
        status, end, _ = self.end_of(watcher)
        self.assertGreaterEqual(end["max_gap_ms"], 300)
        self.assertEqual((status, end["bytes_lost"]), (0, 0))

    def test_a_lost_a_repeated_and_a_corrupt_record_are_counted(self):
        changes = {3: lambda record: b"", 5: lambda record: record * 2, 7: lambda record: record[:-1] + b"!"}
        port = self.spoil(lambda number, record: changes.get(number, bytes)(record))
        status, end, _ = self.end_of(self.watch(port, "--seconds", "1"))
        # The record after a corrupt one also finds its predecessor missing.
        self.assertEqual((end["bytes_lost"], end["bytes_repeated"], end["bytes_corrupt"]),
                         (2 * RECORD_BYTES, RECORD_BYTES, RECORD_BYTES))
        self.assertGreater(end["echoes_wrong"], 0)
        self.assertEqual(status, 1)

    def test_a_broken_connection_does_not_survive(self):
        port = self.spoil(lambda number, record: record if number < 5 else None)
        status, end, _ = self.end_of(self.watch(port))
        self.assertEqual((status, end["survived"]), (1, False))


if __name__ == "__main__":
    unittest.main()
