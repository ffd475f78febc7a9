#!/usr/bin/env python3
"""Hosts with IPv4 and IPv6 between them: each way is used when the other one ends, and who has one family reaches both.

Usage: switch_dual.py GODWIT    (needs root, /dev/net/tun and nftables; about 15 s)
"""
import subprocess

from rig.patience import PATIENCE_S
from rig.stage import play
from rig.switch import Guest, Host, Records, Segment, configure, wait_for


class DualHost(Host):
    """On the same bridge by both families, or by IPv6 alone; its switch is told both addresses, the first of them first."""

    def __init__(self, net, number, program, directory, families="46"):
        super().__init__(net, number, program, directory)
        addresses = {"4": self.underlay, "6": f"fd01::{number}"}
        if "4" not in families:
            net.ip(self.name, "addr", "flush", "dev", "up0")
        if "6" in families:
            net.ip(self.name, "addr", "add", f"{addresses['6']}/64", "dev", "up0", "nodad")
        self.underlay, *others = [addresses[family] for family in families]
        self.more += [word for each in others for word in ("--underlay", each)]

    def block(self, family):
        """From now on it hears nothing by that family ("ipv4" or "ipv6")."""
        rules = ("table inet shut\ndelete table inet shut\ntable inet shut {\nchain heard {\ntype filter hook input priority 0\n"
                 f"meta nfproto {family} meta l4proto udp drop\n}}\n}}\n")
        with self.net.inside(self.name):
            subprocess.run(["nft", "-f", "-"], input=rules, text=True, check=True)

    def way_to(self, other):
        peers = self.ask(op="observe")["observation"]["peers"]
        return next((peer["endpoint"] for peer in peers if peer["host"] == other.name), "")


def check(holds, what):
    if not holds:
        raise AssertionError(f"does not hold: {what}")
    print(f"  {what}")


def refuses_two_of_a_family(program, directory):
    said = subprocess.run([program, "switch", "--control", f"{directory}/no.sock", "--state", f"{directory}/no", "--underlay", "127.0.0.1",
                           "--underlay", "127.0.0.2"], text=True, capture_output=True, timeout=PATIENCE_S)
    check(said.returncode == 1 and "must be of the other family" in said.stderr, "two addresses of one family are refused")


def story(net, program, directory, hosts, segments):
    refuses_two_of_a_family(program, directory)
    net.add("wan")
    net.bridge("wan", "br0")
    for number, families in ((1, "46"), (2, "64"), (3, "4"), (4, "6")):
        hosts.append(DualHost(net, number, program, directory, families))
        hosts[-1].start()
    segment = Segment(1)
    segments.append(segment)
    guests = [Guest(net, number) for number in range(4)]
    for guest, host in zip(guests, hosts):
        segment.place(guest, host)
    configure(hosts, segment)
    for guest, host in zip(guests, hosts):
        guest.plug(host)
        guest.start(host)
    one, two, old, new = hosts
    print("hosts that are told by IPv4, by IPv6, and of one family alone")
    for other in (2, 3):
        for dual in (0, 1):
            for stream in (Records(guests[dual], guests[other]), Records(guests[other], guests[dual])):
                stream.wait(50)
                stream.finish()
        check("." in one.way_to(old) and ":" in two.way_to(new), "who has one family reaches, and is reached by, who has both")
    streams = [Records(guests[0], guests[1]), Records(guests[1], guests[0])]
    for stream in streams:
        stream.wait(50)
    for family, mark in (("ipv4", "["), ("ipv6", "."), ("ipv4", "[")):
        for host in (one, two):
            host.block(family)
        for host, other in ((one, two), (two, one)):
            wait_for(lambda: mark in host.way_to(other), f"{family} is blocked: another way, not {host.way_to(other)}")
        for stream in streams:
            stream.wait(100)
        print(f"  {family} is blocked: {one.name} and {two.name} go by {one.way_to(two)}, {two.way_to(one)}")
    for stream in streams:
        stream.finish()
    check(True, f"{sum(s.sent for s in streams)} records of two connections arrived, each once and in order")


if __name__ == "__main__":
    play("switch_dual", story)
