#!/usr/bin/env python3
"""A plain machine of a LAN keeps its connections to an instance that leaves for another cloud, and comes back.

Host 1 joins the network to the LAN; the machine there runs nothing of ours. Usage: switch_lan.py GODWIT    (needs root and
/dev/net/tun; about 10 s)
"""

from rig.stage import play
from rig.switch import Guest, Host, Records, Segment, configure, wait_for

LAN_DEVICE = "lan0"


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
        self.uplink = uplink

    def config(self, host):
        out = super().config(host)
        out["network"]["uplink"] = self.uplink.location(0)
        if host is self.uplink:
            out["lan_device"] = LAN_DEVICE
        return out


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
    hosts += [Host(net, number, program, directory) for number in (1, 2)]
    for host in hosts:
        host.start()
    near, far = hosts
    net.cable(near.name, LAN_DEVICE, "lan", "to-h1")
    net.plug("lan", "to-h1", "br0")
    net.ip(near.name, "link", "set", LAN_DEVICE, "up")
    machine = Machine(net, 190)
    segment = LanSegment(1, near)
    segments.append(segment)
    guest, other = Guest(net, 0), Guest(net, 1)
    segment.place(guest, near)
    segment.place(other, far)
    for place in hosts:
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


if __name__ == "__main__":
    play("switch_lan", story)
