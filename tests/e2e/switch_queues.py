#!/usr/bin/env python3
"""A guest whose TAP has several queues: each flow stays in its own, in order, through restarts of the switch.

The guest is this program, which holds the TAP as QEMU does. Usage: switch_queues.py GODWIT    (needs root and /dev/net/tun;
about 5 s)
"""
import fcntl
import itertools
import json
import os
import select
import struct
import time

from rig.frames import read_udp, udp
from rig.net import IFF_NO_PI, IFF_TAP, IFF_VNET_HDR, TUNSETIFF, run
from rig.patience import PATIENCE_S
from rig.stage import play
from rig.switch import Guest, Host, Segment, configure, echo, wait_for

IFF_MULTI_QUEUE = 0x0100  # linux/if_tun.h
VNET_HEADER = bytes(10)
QUEUES, FLOWS, ROUNDS, BURST = 4, 40, 6, 2


def check(holds, what):
    if not holds:
        raise AssertionError(f"does not hold: {what}")
    print(f"  {what}")


class QueuedGuest(Guest):
    """Holds its TAP's queues itself, and speaks UDP."""

    def __init__(self, net, number, queues):
        super().__init__(net, number)
        self.queues, self.held, self.sent = queues, [], {}

    def plug(self, host):
        flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | IFF_MULTI_QUEUE
        with self.net.inside(host.name):
            for _ in range(self.queues):
                descriptor = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
                fcntl.ioctl(descriptor, TUNSETIFF, struct.pack("16sH22x", self.tap(host).encode(), flags))
                self.held.append(descriptor)
        self.net.ip(host.name, "link", "set", self.tap(host), "mtu", str(self.mtu), "up")

    def unplug(self):
        for descriptor in self.held:
            os.close(descriptor)
        self.held = []

    def send(self, queue, port, to, to_mac, number):
        data = struct.pack("!I", number).ljust(32, b".")
        os.write(self.held[queue], VNET_HEADER + udp(to_mac, self.mac, to, (self.ip, port), data))

    def receive(self, count, limit_s=PATIENCE_S):
        """[(queue, port, number), …] of so many datagrams, or of those that came in time."""
        out, until = [], time.monotonic() + limit_s
        while len(out) < count and (left := until - time.monotonic()) > 0:
            for descriptor in select.select(self.held, [], [], left)[0]:
                found = read_udp(os.read(descriptor, 70000)[len(VNET_HEADER):])
                if found:
                    _, port, data = found
                    out.append((self.held.index(descriptor), port, struct.unpack("!I", data[:4])[0]))
        return out


def hears_again(guest, peer, address):
    """What is sent before a switch holds its device, and the kernel has noticed that, is lost."""
    numbers = itertools.count()

    def is_answered():
        last = next(numbers)
        guest.send(0, 39000, address, peer.mac, last)
        while got := guest.receive(1, limit_s=0.2 * (last + 1)):
            if any(number == last for _, _, number in got):
                return True  # a flow is in order: no other answer comes any more
        return False
    wait_for(is_answered, "an answer to the last")


def flows_keep_to_their_queues(guest, peer, address):
    """Some of each flow are under way at a time; the peer sends each back."""
    numbers = {}
    for round_number in range(ROUNDS):
        for number in range(round_number * BURST, (round_number + 1) * BURST):
            for flow in range(FLOWS):
                guest.send(flow % guest.queues, 40000 + flow, address, peer.mac, number)
        for queue, port, number in guest.receive(FLOWS * BURST):
            if queue != port % guest.queues:
                raise AssertionError(f"datagram {number} of port {port} came by queue {queue}")
            numbers.setdefault(port, []).append(number)
    check(len(numbers) == FLOWS and all(each == list(range(ROUNDS * BURST)) for each in numbers.values()),
          f"{FLOWS} flows in {guest.queues} queues: each is answered in its own, all {ROUNDS * BURST} of each, in order")


def taps(host):
    """{device: its queues} of the switch's own."""
    links = json.loads(run("ip", "-n", host.net.full(host.name), "-d", "-j", "link"))
    return {e["ifname"]: e["linkinfo"]["info_data"].get("numqueues", 1) for e in links if e["ifname"].startswith("gws")}


class QueuedSegment(Segment):
    def config(self, host):
        out = super().config(host)
        for port in out["ports"]:
            port["queues"] = getattr(self.members[port["instance"]][0], "queues", 1)
        return out


def story(net, program, directory, hosts, segments):
    net.add("wan")
    net.bridge("wan", "br0")
    hosts.append(Host(net, 1, program, directory))
    host = hosts[0]
    host.start()
    segment = QueuedSegment(1)
    segments.append(segment)
    guest, peer = QueuedGuest(net, 0, QUEUES), Guest(net, 1)
    for each in (guest, peer):
        segment.place(each, host)
    configure(hosts, segment)
    guest.plug(host)
    peer.plug(host)
    peer.start(host)
    print("a guest of several queues")
    address = echo(peer)
    hears_again(guest, peer, address)
    flows_keep_to_their_queues(guest, peer, address)
    check(sorted(taps(host).values()) == [1, QUEUES], "the switch's own device has as many, that of a guest of one has one")
    print("the switch is killed, and another carries on")
    host.kill()
    host.start()
    hears_again(guest, peer, address)
    flows_keep_to_their_queues(guest, peer, address)
    check(sorted(taps(host).values()) == [1, QUEUES], "with as many queues")
    print("an earlier switch has made the device, with one queue")
    name = next(name for name, queues in taps(host).items() if queues == QUEUES)
    host.kill()
    net.ip(host.name, "link", "del", name)
    net.ip(host.name, "tuntap", "add", "dev", name, "mode", "tap", "vnet_hdr")
    host.start()
    hears_again(guest, peer, address)
    flows_keep_to_their_queues(guest, peer, address)
    check(sorted(taps(host).values()) == [1, 1], "it is used as it is, until the instance goes")
    guest.unplug()


if __name__ == "__main__":
    play("switch_queues", story)
