#!/usr/bin/env python3
"""Hosts behind every kind of NAT that the lab makes find each other: directly where that can be, by the relay else.

Usage: nat_test.py GODWIT DRIVER    (root). Makes a lab with a name of its own, and removes it whatever happens.
"""
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import unittest

from rig.nats import BLOCKED as UDP_BLOCKED, KINDS, config_of, expected
from rig.patience import PATIENCE_S

DRIVER = str(pathlib.Path(sys.argv.pop(2)).resolve())
GODWIT = str(pathlib.Path(sys.argv.pop(1)).resolve())
LAB = f"n{os.getpid()}"
BLOCKED = len(KINDS) + 1  # the number of the host without UDP
INNER = BLOCKED + 1  # that of one behind a NAT of its own, in h1's LAN: two in a row
ALL = range(1, INNER + 1)
INNER_KIND = ("endpoint", "address-port")
LEAST_S = 20  # for as long it is looked whether who can't be joined directly is
LEAST_HEARD = {True: 40, False: 100}  # where UDP is blocked, and else

# One host, so one port is enough. What it didn't ask for leaves no trace.
INNER_NAT = """
table ip inner {
  chain postrouting {
    type nat hook postrouting priority 100;
    ip saddr 192.168.7.2 meta l4proto udp snat to %s:14790
  }
  chain input {
    type filter hook input priority 0;
    udp dport 14790 drop
  }
}
"""


def kind_of(number):
    return INNER_KIND if number == INNER else KINDS[number - 1]


def wanted(a, b):
    """Whether they are to be joined directly; None: as it comes."""
    if BLOCKED in (a, b):
        return False
    return True if {a, b} == {1, INNER} else expected(kind_of(a), kind_of(b))


def config():
    clouds = [*enumerate(map(config_of, KINDS), 1), (BLOCKED, UDP_BLOCKED)]
    text = '[wan]\nround_trip = "10ms"\n'
    for number, nat in clouds:
        text += f'[[cloud]]\nname = "c{number}"\nnat = {nat}\ncontrol = "c{number}a"\nhosts = ["h{number}"]\n'
    return text + '[public]\nnodes = ["relay"]\n'


class EveryPair(unittest.TestCase):
    def setUp(self):
        self.directory = pathlib.Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.directory)
        self.addCleanup(subprocess.run, [GODWIT, "lab", "down", LAB], capture_output=True)
        (self.directory / "lab.toml").write_text(config())
        subprocess.run([GODWIT, "lab", "up", "--name", LAB, "--bare", self.directory / "lab.toml"], check=True,
                       stdout=subprocess.DEVNULL)

    def start(self, node, *words, **options):
        process = subprocess.Popen(["ip", "netns", "exec", f"gw-{LAB}-{node}", *map(str, words)], text=True, **options)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def start_relay(self):
        subprocess.run([GODWIT, "tunnel", "keys", "relay", "host", "--directory", self.directory], check=True,
                       stdout=subprocess.DEVNULL)
        pem = (self.directory / "relay.keys").read_text()
        key, certificate = re.findall(r"-----BEGIN.*?-----END[^\n]*\n", pem, re.S)[:2]
        (self.directory / "key.pem").write_text(key)
        (self.directory / "certificate.pem").write_text(certificate)
        log = open(self.directory / "relay.log", "w")
        self.addCleanup(log.close)
        self.start("relay", GODWIT, "relay", "--open", "--state", self.directory / "relay", "--listen",
                   "203.0.113.101:4791", "--tcp", "203.0.113.101:443", "--tls-certificate",
                   self.directory / "certificate.pem", "--tls-key", self.directory / "key.pem", "--metrics",
                   "127.0.0.1:9100", stderr=log)
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until:
            found = re.search(r"relay (\S+) at UDP", (self.directory / "relay.log").read_text())
            if found:
                return found[1]
            time.sleep(0.1)
        self.fail((self.directory / "relay.log").read_text())

    def metrics(self):
        text = subprocess.check_output(["ip", "netns", "exec", f"gw-{LAB}-relay", "curl", "-s",
                                        "http://127.0.0.1:9100/metrics"], text=True)
        return dict(re.findall(r"^(godwit_relay_\w+) (\d+)$", text, re.M))

    def address_of(self, node):
        shown = subprocess.check_output(["ip", "-n", f"gw-{LAB}-{node}", "-j", "-4", "addr", "show", "eth0"])
        return json.loads(shown)[0]["addr_info"][0]["local"]

    def add_inner_host(self):
        outer, inner = f"gw-{LAB}-h1", f"gw-{LAB}-h{INNER}"
        self.addCleanup(subprocess.run, ["ip", "netns", "del", inner], capture_output=True)
        for words in (f"ip netns add {inner}",
                      f"ip -n {outer} link add inner0 type veth peer name eth0 netns {inner}",
                      f"ip -n {outer} addr add 192.168.7.1/24 dev inner0", f"ip -n {outer} link set inner0 up",
                      f"ip -n {inner} addr add 192.168.7.2/24 dev eth0", f"ip -n {inner} link set eth0 up",
                      f"ip -n {inner} route add default via 192.168.7.1",
                      f"ip netns exec {outer} sysctl -qw net.ipv4.ip_forward=1"):
            subprocess.run(words.split(), check=True)
        subprocess.run(["ip", "netns", "exec", outer, "nft", "-f", "-"], input=INNER_NAT % self.address_of("h1"),
                       text=True, check=True)

    def listen_to(self, number, driver):
        for line in driver.stdout:
            for each in json.loads(line):
                self.found[number, each["peer"]] = each

    def is_joined(self, a, b):
        way = self.found.get((a, b))
        enough = way and way["heard"] > LEAST_HEARD[BLOCKED in (a, b)]
        return enough and (way["direct"] or not wanted(a, b))

    def run_drivers(self, key):
        """Until all are joined that can be, and for a while at least."""
        self.found = {}
        for number in ALL:
            address = self.address_of(f"h{number}")
            peers = [other for other in ALL if other != number]
            driver = self.start(f"h{number}", DRIVER, number, address, key, "203.0.113.101", 4791, LEAST_S + PATIENCE_S,
                                self.directory / "host.keys", 443, "relay.tunnel.godwit", ":", *peers,
                                stdout=subprocess.PIPE)
            threading.Thread(target=self.listen_to, args=(number, driver), daemon=True).start()
        least, most = time.monotonic() + LEAST_S, time.monotonic() + PATIENCE_S
        pairs = [(a, b) for a in ALL for b in ALL if a != b]
        while time.monotonic() < least or not all(self.is_joined(*pair) for pair in pairs) and time.monotonic() < most:
            time.sleep(0.5)
        return {pair: self.found[pair] for pair in pairs}, self.metrics()

    def test_joins_directly_where_that_can_be_and_by_the_relay_else(self):
        self.add_inner_host()
        found, metrics = self.run_drivers(self.start_relay())
        direct = 0
        for (a, b), way in found.items():
            with self.subTest(a=a, b=b, way=way):
                self.assertGreater(way["heard"], LEAST_HEARD[BLOCKED in (a, b)])
                if BLOCKED in (a, b):
                    self.assertFalse(way["direct"])
                    continue
                direct += way["direct"]
                if wanted(a, b) is not None:
                    self.assertEqual(way["direct"], wanted(a, b), (kind_of(a), kind_of(b)))
        print(f"{len(found)} ways, {direct} direct; relay: {metrics}", file=sys.stderr)
        self.assertEqual(metrics["godwit_relay_clients"], str(len(ALL)))
        self.assertEqual(metrics["godwit_relay_connections"], "1")


if __name__ == "__main__":
    unittest.main()
