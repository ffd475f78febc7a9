#!/usr/bin/env python3
"""A plain machine of a LAN keeps its connections to an instance that leaves for another cloud, and comes back.

Host 1 joins the network to the LAN; the machine there runs nothing of ours. Then host 1 falls silent, and host 3, which is on the LAN
too, takes over. Usage: switch_lan.py GODWIT    (needs root and /dev/net/tun; about 15 s)
"""
import time

from rig.patience import PATIENCE_S
from rig.stage import play
from rig.switch import Guest, Host, Records, Segment, configure, wait_for

LAN_DEVICE = "lan0"
LEASE_S, SPARE_S = 3, 15  # between a lease's end and the next host are 15 s: docs/protocols/overlay.md


def check(holds, what):
    if not holds:
        raise AssertionError(f"does not hold: {what}")
    print(f"  {what}")


class Machine(Guest):
    """On the LAN's bridge, with an address of the network's that is no member's."""

    def __init__(self, net, number):
        super().__init__(net, number, network=3)
        net.cable(self.name, "eth0", "lan", f"to-{self.name}")
        net.ip(self.name, "link", "set", "eth0", "address", self.mac)
        net.ip(self.name, "link", "set", "eth0", "up")
        net.ip(self.name, "addr", "add", f"{self.ip}/24", "dev", "eth0")
        net.plug("lan", f"to-{self.name}", "br0")

    def forget(self):
        self.net.ip(self.name, "neigh", "flush", "all")


class LanSegment(Segment):
    def __init__(self, number, uplink):
        super().__init__(number)
        self.uplink, self.lease = uplink, 0  # the version of the lease that it needs

    def config(self, host):
        out = super().config(host)
        out["network"]["uplink"] = self.uplink.location(self.lease)
        if host is self.uplink:
            out["lan_device"], out["lan_lease"] = LAN_DEVICE, self.lease
        return out

    def grant(self, seconds):
        """As the agent of the host does that has the LAN."""
        until_ms = int((time.monotonic() + seconds) * 1000)
        self.uplink.ask(op="lease", leases=[{"network": self.id(), "version": self.lease, "until_ms": until_ms}])


def move(segment, guest, source, destination, version):
    segment.expect(guest, destination)
    configure([destination], segment)
    source.ask(op="hold", hold={"network": segment.id(), "instance": guest.instance})
    guest.pause(source)
    destination.ask(op="announce", announce=segment.announcement(guest, destination, version))
    guest.start(destination)


def talks_to(machine, guest):
    """A connection anew, from a machine that has forgotten the guest's address."""
    machine.forget()
    stream = Records(machine, guest)
    stream.wait(20)
    stream.finish()
    return machine.neighbours().get(guest.ip) == guest.mac


def story(net, program, directory, hosts, segments):
    net.add("wan")
    net.bridge("wan", "br0")
    net.add("lan")
    net.bridge("lan", "br0")
    hosts += [Host(net, number, program, directory) for number in (1, 2, 3)]
    for host in hosts:
        host.start()
    near, far, spare = hosts
    for host in (near, spare):
        net.cable(host.name, LAN_DEVICE, "lan", f"to-{host.name}")
        net.plug("lan", f"to-{host.name}", "br0")
        net.ip(host.name, "link", "set", LAN_DEVICE, "up")
    machine = Machine(net, 190)
    segment = LanSegment(1, near)
    segments.append(segment)
    guest, other = Guest(net, 0), Guest(net, 1)
    segment.place(guest, near)
    segment.place(other, far)
    for place in (near, far):
        guest.plug(place)
    other.plug(far)
    configure(hosts, segment)
    guest.start(near)
    other.start(far)

    print("a LAN and a network")
    wait_for(lambda: net.learned_port("lan", other.mac) == "to-h1", "the LAN hears where a member is that is elsewhere")
    for member in (guest, other):
        check(talks_to(machine, member), f"a machine of the LAN talks to {member.name}, by its own MAC")
        stream = Records(member, machine)
        stream.wait(20)
        stream.finish()
    print("  and they to it")

    streams = [Records(machine, guest), Records(guest, machine)]
    for version, source, destination in ((2, near, far), (3, far, near)):
        for stream in streams:
            stream.wait(50)
        move(segment, guest, source, destination, version)
        for stream in streams:
            stream.wait(100)
        check(net.learned_port("lan", guest.mac) == "to-h1", f"moved to {destination.name}: the LAN knows the way")
        check(talks_to(machine, guest), "  and who has forgotten it finds it anew")
    for stream in streams:
        stream.finish()
    check(True, f"{sum(s.sent for s in streams)} records of two connections arrived, each once and in order")
    another_host_takes_over(net, hosts, segment, machine, other)


def another_host_takes_over(net, hosts, segment, machine, member):
    near, far, spare = hosts
    print("two hosts could have the LAN")
    devices = set(near.devices())
    segment.lease = 1
    configure([near], segment)
    wait_for(lambda: len(near.devices()) < len(devices), "without its lease its device goes")
    segment.grant(PATIENCE_S)
    stream = Records(member, machine)
    stream.wait(100)
    segment.grant(LEASE_S)  # an earlier end takes the later one's place
    granted = time.monotonic()
    wait_for(lambda: len(near.devices()) < len(devices), "nobody renews it: it ends by itself")
    check(time.monotonic() - granted < LEASE_S + SPARE_S, "the lease of a host whose agent is silent ends by itself, and it leaves the LAN")
    arrived = len(stream.arrivals)
    segment.uplink, segment.lease = spare, 2
    configure([far, spare], segment)  # the first hears nothing of it
    segment.grant(PATIENCE_S)
    stream.wait(100)
    check(net.learned_port("lan", member.mac) == "to-h3", f"{spare.name} has it, and the LAN knows the way")
    check(talks_to(machine, member), "  and who has forgotten it finds it anew")
    stream.finish()
    check(True, f"the connection went on: {arrived} records before, {stream.sent - arrived} after, each once and in order")


if __name__ == "__main__":
    play("switch_lan", story)
