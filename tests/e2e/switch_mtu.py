#!/usr/bin/env python3
"""Guests reach each other whatever the underlay's MTU is: small, large, or smaller than it was, and no router says so.

Usage: switch_mtu.py GODWIT    (needs root, /dev/net/tun, nftables; about 40 s)
"""
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

from rig.net import Net
from rig.switch import Guest, Segment, configure, echo
from switch_nat import HOST_PORT, MUCH, RELAY_IP, NatHost, Relay, check, pump

# Routers drop what is too long (and mustn't be fragmented), and their word about it is lost; fragments are counted.
SILENT = """
table ip silent {
  counter fragments {}
  chain output { type filter hook output priority 0; icmp type destination-unreachable drop; }
  chain forward { type filter hook forward priority -20; ip frag-off & 0x3fff != 0 counter name fragments drop; }
}"""


def datagrams(guest, address, size, limit_s):
    """So long a datagram is answered within that time."""
    with guest.net.inside(guest.name):
        end = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    end.settimeout(0.25)
    said = os.urandom(size)
    until = time.monotonic() + limit_s
    while time.monotonic() < until:
        end.sendto(said, address)
        try:
            if end.recvfrom(65536)[0] == said:
                return True
        except OSError:
            continue
    return False


def pings(guest, address, size):
    """Answered, though neither packet fits the guests' MTU: the guests cut both."""
    return subprocess.run(["ip", "netns", "exec", guest.net.full(guest.name), "ping", "-q", "-M", "dont", "-c3", "-i0.2", "-W2",
                           "-s", str(size), address], check=False, stdout=subprocess.DEVNULL).returncode == 0


class Story:
    def __init__(self, net, program, directory):
        self.net, self.program, self.directory = net, program, directory
        self.hosts, self.segments = [], []
        net.add("wan")
        net.bridge("wan", "br0", f"{RELAY_IP}/24")
        self.relay = Relay(net, program, directory)

    def set_underlay(self, hosts, mtu):
        for host in hosts:
            for name, device in ((host.name, "up0"), (f"r{host.number}", "lan0"), (f"r{host.number}", "wan0"),
                                 ("wan", f"to-r{host.number}")):
                self.net.ip(name, "link", "set", device, "mtu", str(mtu))

    def shrink_in_the_middle(self, hosts, mtu):
        """The hosts' own links stay as they are."""
        for host in hosts:
            self.net.ip(f"r{host.number}", "link", "set", "wan0", "mtu", str(mtu))

    def pair(self, numbers, underlay, guests_mtu=1500, masquerade="masquerade"):
        mine = [NatHost(self.net, number, self.program, self.directory, [self.relay], masquerade) for number in numbers]
        self.hosts += mine
        self.set_underlay(mine, underlay)
        for host in mine:
            subprocess.run([*host.inside_router, "nft", "-f", "-"], input=SILENT, text=True, check=True)
            host.start()
        segment = Segment(numbers[0], mtu=guests_mtu)
        self.segments.append(segment)
        guests = [Guest(self.net, number, network=numbers[0], mtu=guests_mtu) for number in range(2)]
        for guest, host in zip(guests, mine):
            segment.place(guest, host)
        points = [{"ip": host.underlay, "port": host.location(1)["underlay_port"], "record": host.record()} for host in mine]
        replies = configure(mine, segment, peers=points, host_ports=[HOST_PORT])
        for guest, host in zip(guests, mine):
            guest.plug(host)
            guest.start(host)
        return mine, guests, replies[1]["host_address"]

    def talks(self, mine, guests, address, longest, limit_s=10):
        check(datagrams(guests[0], echo(guests[1]), longest, limit_s), f"a datagram of {longest} bytes is answered")
        much = 3 * longest
        check(datagrams(guests[0], echo(guests[1]), much, limit_s), f"one of {much}, in fragments")
        check(pings(guests[0], guests[1].ip, much), f"and a ping of {much} bytes")
        check(pump(self.net, guests[0].name, guests[1].name, socket.AF_INET, (guests[1].ip, 5001)), f"{MUCH >> 20} MiB between guests")
        check(pump(self.net, mine[0].name, mine[1].name, socket.AF_INET6, (address, HOST_PORT)), f"{MUCH >> 20} MiB from host to host")

    def no_fragments(self, hosts):
        for host in hosts:
            shown = subprocess.run([*host.inside_router, "nft", "list", "counter", "ip", "silent", "fragments"],
                                   capture_output=True, text=True, check=True).stdout
            check("packets 0 " in shown, f"no fragment at {host.name}")

    def tell(self):
        for number, mtu in enumerate((1280, 1400)):
            print(f"an underlay of {mtu}")
            mine, guests, address = self.pair((2 * number + 1, 2 * number + 2), mtu)
            self.talks(mine, guests, address, 1472)
            self.no_fragments(mine)
        print("the same by the relay")
        mine, guests, address = self.pair((5, 6), 1280, masquerade="masquerade fully-random")
        self.talks(mine, guests, address, 1472)
        print("an underlay of 9000, guests with 9000")
        mine, guests, address = self.pair((7, 8), 9000, guests_mtu=9000)
        self.talks(mine, guests, address, 8972)
        print("an underlay of 1500, guests with 9000; then it shrinks to 1320, and nobody says so")
        mine, guests, address = self.pair((9, 10), 1500, guests_mtu=9000)
        self.talks(mine, guests, address, 8972)
        self.shrink_in_the_middle(mine, 1320)
        began = time.monotonic()
        check(datagrams(guests[0], echo(guests[1]), 8972, 15), "a datagram of 8972 bytes is answered again")
        print(f"  {time.monotonic() - began:.1f} s later")
        check(pump(self.net, guests[0].name, guests[1].name, socket.AF_INET, (guests[1].ip, 5002)), f"{MUCH >> 20} MiB between guests")
        self.no_fragments(mine)

    def end(self):
        for each in [*self.hosts, self.relay]:
            each.kill()
        for segment in self.segments:
            for host in self.hosts:
                subprocess.run(["ip", "netns", "del", segment.gateway(host)], check=False, stderr=subprocess.DEVNULL)


def main():
    if os.geteuid() != 0:
        sys.exit("switch_mtu: it makes network namespaces and TAPs: run it as root")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("switch_mtu: terminated"))  # by way of the cleanup below
    directory = tempfile.mkdtemp(prefix="godwit-switch.")
    net = Net(f"gwsm{os.getpid()}")
    story = None
    try:
        story = Story(net, os.path.abspath(sys.argv[1]), directory)
        story.tell()
    finally:
        if story:
            story.end()
        net.remove()
        shutil.rmtree(directory)
    print("switch_mtu: passed")


if __name__ == "__main__":
    main()
