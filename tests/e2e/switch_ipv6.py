#!/usr/bin/env python3
"""Two hosts that reach each other by IPv6 alone; their guests speak IPv4.

Usage: switch_ipv6.py GODWIT    (needs root and /dev/net/tun; about 5 s)
"""
from rig.stage import play
from rig.switch import Guest, Host, Records, Segment, configure


class Host6(Host):
    """On the same bridge, by an IPv6 address and no other."""

    def __init__(self, net, number, program, directory):
        super().__init__(net, number, program, directory)
        net.ip(self.name, "addr", "flush", "dev", "up0")
        self.underlay = f"fd01::{number}"
        net.ip(self.name, "addr", "add", f"{self.underlay}/64", "dev", "up0", "nodad")


def story(net, program, directory, hosts, segments):
    net.add("wan")
    net.bridge("wan", "br0")
    hosts += [Host6(net, number, program, directory) for number in (1, 2)]
    for host in hosts:
        host.start()
    segment = Segment(1)
    segments.append(segment)
    guests = [Guest(net, number) for number in range(2)]
    for guest, host in zip(guests, hosts):
        segment.place(guest, host)
    configure(hosts, segment)
    for guest, host in zip(guests, hosts):
        guest.plug(host)
        guest.start(host)
    streams = [Records(guests[0], guests[1]), Records(guests[1], guests[0])]
    for stream in streams:
        stream.wait(200)
        stream.finish()
    print(f"  {sum(s.sent for s in streams)} records of two connections arrived, each once and in order")


if __name__ == "__main__":
    play("switch_ipv6", story)
