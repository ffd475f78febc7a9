#!/usr/bin/env python3
"""The tiny guest boots in seconds, and does what images/README.md says. Usage: tiny_image_test.py --cache DIR"""
import sys
import tempfile
import unittest
from pathlib import Path

import guest_rig

BOOT_LIMIT_S = 180  # a loaded machine without KVM; 2 s on an idle one


class Peer:
    """The line protocol over a file-like pair."""

    def __init__(self, stream):
        self.stream = stream

    def ask(self, command):
        self.send(command)
        return self.receive()

    def send(self, command):
        self.stream.write(command + "\n")
        self.stream.flush()

    def receive(self):
        return self.stream.readline().rstrip("\n")


def facts(answer):
    return dict(word.split("=", 1) for word in answer.split() if "=" in word)


class TinyImage(unittest.TestCase):
    image = manifest = None  # set by guest_rig.main

    @classmethod
    def setUpClass(cls):
        cls.scratch = tempfile.TemporaryDirectory(prefix="godwit-tiny-")
        directory = Path(cls.scratch.name)
        cls.lan = cls.enterClassContext(guest_rig.Lan(["one", "two"], directory))
        first, second = cls.lan.members
        # One gets its address from DHCP, the other from the kernel's command line.
        cls.one = cls.enterClassContext(guest_rig.Guest(cls.image, cls.manifest, first, directory, 96))
        cls.two = cls.enterClassContext(guest_rig.Guest(cls.image, cls.manifest, second, directory, 96,
                                                        f"godwit.ip={second.ip}/24 godwit.mtu=1400"))
        cls.boot_s = cls.one.wait_for("godwit-tiny ready", BOOT_LIMIT_S)
        cls.peer = cls.talk_to(first)

    @classmethod
    def tearDownClass(cls):
        cls.scratch.cleanup()

    @classmethod
    def talk_to(cls, member):
        connection = guest_rig.connect(member.ip, 7000, BOOT_LIMIT_S)
        cls.addClassCleanup(connection.close)
        stream = connection.makefile("rw")
        cls.addClassCleanup(stream.close)
        return Peer(stream)

    def test_its_address_and_mtu_are_those_of_dhcp_or_of_the_command_line(self):
        for member in self.lan.members:
            status = facts(self.talk_to(member).ask("STAT"))
            self.assertEqual((status["ip"], status["mac"], status["mtu"]), (member.ip, member.mac, "1400"))

    def test_dhcp_brings_the_route_to_the_metadata_address_and_names(self):
        self.peer.send("SH ip route get 169.254.169.254 | grep -c 'via 10.7.0.1 dev eth0'")
        self.assertEqual([self.peer.receive(), self.peer.receive()], [": 1", "OK 0"])
        self.peer.send("SH nslookup two.cluster.internal | grep -c 10.7.0.3")
        self.assertEqual([self.peer.receive(), self.peer.receive()], [": 1", "OK 0"])

    def test_serial_line_and_network_speak_the_same_protocol(self):
        self.one.serial.sendall(b"ECHO over serial\r")
        self.one.wait_for("OK over serial\n", BOOT_LIMIT_S)
        self.assertEqual(self.peer.ask("ECHO over tcp"), "OK over tcp")
        self.assertTrue(self.peer.ask("NONSENSE").startswith("ERR commands:"))

    def test_sequence_is_counted_and_stops_when_told(self):
        stream = self.talk_to(self.lan.members[0])
        stream.send("SEQ 1000 50")
        self.assertEqual([stream.receive().split()[:2] for _ in range(50)], [["SEQ", str(n)] for n in range(50)])
        self.assertEqual(stream.receive(), "OK 50")
        stream.send("SEQ 50")
        self.assertEqual(stream.receive().split()[:2], ["SEQ", "0"])
        stream.send("STOP")
        while (line := stream.receive()).startswith("SEQ"):
            pass
        self.assertTrue(line.startswith("OK "))

    def test_acknowledged_records_are_on_the_disk(self):
        self.assertEqual(self.peer.ask("READ 7"), "ERR record 7 is absent")
        self.assertEqual(self.peer.ask("WRITE 7 3"), "OK 7")
        self.assertEqual(self.peer.ask("READ 7"), "OK 7 version=3")
        summed = facts(self.peer.ask("SUM 0 100"))
        self.assertEqual((summed["whole"], summed["absent"], summed["corrupt"]), ("1", "99", "0"))
        self.assertTrue(self.peer.ask("WRITE 99999999").startswith("ERR"))
        writer = self.talk_to(self.lan.members[0])
        writer.send("WRITES 1000 1000")
        self.assertEqual([writer.receive() for _ in range(20)], [f"OK {n}" for n in range(1000, 1020)])

    def test_dirtied_memory_changes_and_is_never_corrupt(self):
        self.assertEqual(self.peer.ask("DIRTY 10 8"), "OK mib=8 mib_per_s=10")
        before = facts(self.peer.ask("CHECK"))
        while (after := facts(self.peer.ask("CHECK")))["dirtied"] == before["dirtied"]:
            pass
        self.assertEqual((after["pages"], after["corrupt"]), ("2048", "0"))
        self.assertEqual(self.peer.ask("DIRTY 0 0"), "OK mib=0 mib_per_s=0")
        self.assertTrue(self.peer.ask("DIRTY 1 4096").startswith("ERR"))

    def test_one_guest_follows_the_other_and_misses_nothing(self):
        self.assertEqual(self.peer.ask(f"FOLLOW {self.lan.members[1].ip} 500 100 200"), "OK")
        while (seen := facts(self.peer.ask("FOLLOWED")))["state"] != "ended":
            self.assertIn(seen["state"], ("connecting", "up"))
        self.assertEqual((seen["received"], seen["lost"], seen["repeated"]), ("100", "0", "0"))

    def test_boots_in_time(self):
        print(f"booted in {self.boot_s:.1f} s", file=sys.stderr)
        self.assertLess(self.boot_s, BOOT_LIMIT_S)


if __name__ == "__main__":
    guest_rig.main(TinyImage, "build-tiny", "tiny")
