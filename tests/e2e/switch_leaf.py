#!/usr/bin/env python3
"""Somebody's laptop, with Debian's unmodified wireguard-go, is a member of a network.

Usage: switch_leaf.py GODWIT    (needs root, /dev/net/tun, wireguard-go and wg; about 15 s)
"""
import hashlib
import socket
import subprocess
import threading

from rig.patience import PATIENCE_S
from rig.stage import play
from rig.switch import CIDR, Guest, Host, Segment, configure, echo, wait_for
from rig.wireguard import WireGuardGo, make_key, to_base64, to_hex

LAPTOP = "laptop"


def check(holds, what):
    if not holds:
        raise AssertionError(f"does not hold: {what}")
    print(f"  {what}")


class Leaf:
    """As Segment and Guest's callers know guests; its device is wireguard-go's."""

    def __init__(self, net, number):
        self.net, self.name = net, LAPTOP
        self.instance, self.ip = f"i-{1:08x}{number:09x}", f"10.77.0.{10 + number}"
        self.mac = f"02:67:00:00:01:{number:02x}"
        self.private, self.public = make_key()

    def tap(self, _host):
        return ""

    def socket(self, kind=socket.SOCK_STREAM):
        with self.net.inside(self.name):
            return socket.socket(socket.AF_INET, kind)


class LeafSegment(Segment):
    def config(self, host):
        out = super().config(host)
        for port in out["ports"]:
            member = self.members[port["instance"]][0]
            if isinstance(member, Leaf):
                port["wireguard_key"] = to_hex(member.public)
        return out


def ping(leaf, address, *options):
    return subprocess.run(["ip", "netns", "exec", leaf.net.full(leaf.name), "ping", "-q", "-c1", "-W1", *options, address],
                          capture_output=True, text=True, check=False).returncode == 0


def streams(leaf, guest):
    """3 MB of TCP each way between the leaf and a guest, whose kernels send super-frames."""
    payload = hashlib.shake_256(b"payload").digest(3_000_000)
    for sender, what in ((leaf.socket(), "to"), (None, "from")):
        if sender:
            listener = guest.listen()
        else:
            listener = leaf.socket()
            listener.bind((leaf.ip, 0))
            listener.listen(1)
            with guest.net.inside(guest.name):
                sender = socket.socket()
        got = []

        def drain(listener=listener, got=got):
            with listener, listener.accept()[0] as stream:
                while part := stream.recv(65536):
                    got.append(part)

        thread = threading.Thread(target=drain)
        thread.start()
        with sender:
            sender.settimeout(PATIENCE_S)
            sender.connect(listener.getsockname())
            sender.sendall(payload)
        thread.join()
        check(b"".join(got) == payload, f"3 MB of TCP {what} {guest.name} arrive unaltered")


def too_long_is_said(guest, leaf):
    """A datagram that fits the network, and not WireGuard's device: the guest's kernel learns what does."""
    with guest.net.inside(guest.name):
        end = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    ip_mtu_discover, do, ip_mtu = 10, 2, 14
    end.setsockopt(socket.IPPROTO_IP, ip_mtu_discover, do)
    end.connect((leaf.ip, 9))
    end.send(b"x" * 1472)
    wait_for(lambda: end.getsockopt(socket.IPPROTO_IP, ip_mtu) == 1420, "the guest knows the way's MTU")
    print("  a guest that sends more than WireGuard's 1420 bytes is told so")


def story(net, program, directory, hosts, segments, laptops):
    net.add("wan")
    net.bridge("wan", "br0")
    hosts += [Host(net, number, program, directory) for number in (1, 2)]
    for host in hosts:
        host.start()
    net.add(LAPTOP)
    net.cable(LAPTOP, "up0", "wan", "to-laptop")
    net.ip(LAPTOP, "addr", "add", "10.1.0.99/24", "dev", "up0")
    net.ip(LAPTOP, "link", "set", "up0", "up")
    net.plug("wan", "to-laptop", "br0")
    segment = LeafSegment(1)
    segments.append(segment)
    guests = [Guest(net, number) for number in range(2)]
    for guest, host in zip(guests, hosts):
        segment.place(guest, host)
    leaf = Leaf(net, 50)
    segment.place(leaf, hosts[0])
    configure(hosts, segment)
    for guest, host in zip(guests, hosts):
        guest.plug(host)
        guest.start(host)

    print("a laptop joins")
    laptop = WireGuardGo(net, LAPTOP, directory)
    laptops.append(laptop)
    at = hosts[0].ask(op="locations")
    laptop.start(leaf.private, f"{leaf.ip}/24", to_base64(at["overlay_key"]), "allowed-ips", CIDR, "endpoint",
                 f"{hosts[0].underlay}:{at['overlay_port']}")
    for guest, where in zip(guests, ("on the host that serves it", "on another")):
        wait_for(lambda guest=guest: ping(leaf, guest.ip), f"it reaches {guest.name}, {where}")
        print(f"  it reaches {guest.name}, {where}")
        check(guest.neighbours().get(leaf.ip) == leaf.mac, "  whose ARP for it was answered")
    for guest in guests:
        streams(leaf, guest)
    too_long_is_said(guests[1], leaf)

    print("it says that it is another")
    address = echo(guests[1])
    net.ip(LAPTOP, "addr", "add", "10.77.0.77/24", "dev", laptop.device)
    liar = leaf.socket(socket.SOCK_DGRAM)
    liar.bind(("10.77.0.77", 0))
    liar.sendto(b"?", address)
    wait_for(lambda: hosts[0].drops().get("spoofed_ip", 0) > 0, "the lie is counted")
    print("  dropped, and counted")

    print("it is no member any more")
    del segment.members[leaf.instance], segment.ports[hosts[0].name][leaf.instance]
    configure(hosts, segment)
    check(not ping(leaf, guests[0].ip), "it reaches nobody")


if __name__ == "__main__":
    LAPTOPS = []
    play("switch_leaf", lambda *stage: story(*stage, LAPTOPS), LAPTOPS)
