#!/usr/bin/env python3
"""Hosts behind NATs of their own, and a relay: guests and hosts reach each other, directly where the NATs let them.

Usage: switch_nat.py GODWIT    (needs root, /dev/net/tun and nftables; about 20 s)
"""
import os
import socket
import subprocess
import threading
import time
import urllib.request

from rig.net import run
from rig.patience import PATIENCE_S
from rig.stage import play
from rig.switch import AUTHORITY, Guest, Segment, SwitchProcess, configure, echo, wait_for

RELAY_IP, RELAY_PORT, TCP_PORT, METRICS_PORT, HOST_PORT = "10.1.0.254", 4791, 443, 9100, 7402
MUCH = 8 << 20


def check(holds, what):
    if not holds:
        raise AssertionError(f"does not hold: {what}")
    print(f"  {what}")


class Relay:
    """It serves the hosts of the rig's cloud."""

    def __init__(self, net, program, directory, number=0, node="wan", ip=RELAY_IP):
        self.net, self.node, self.state, port = net, node, f"{directory}/relay{number}", RELAY_PORT + number
        os.mkdir(self.state)
        with open(f"{self.state}/lab.pem", "w", encoding="ascii") as pem:
            pem.write(AUTHORITY.pem)
        with net.inside(node):
            self.process = subprocess.Popen([program, "relay", "--authority", f"lab={self.state}/lab.pem", "--state", self.state, "--listen", f"{ip}:{port}",
                                             "--tcp", f"{ip}:{TCP_PORT + number}",
                                             "--metrics", f"{ip}:{METRICS_PORT + number}",
                                             "--log", "warn"])
        wait_for(lambda: os.path.exists(f"{self.state}/relay.pub"), "the relay says its key")
        with open(f"{self.state}/relay.pub", encoding="ascii") as key:
            self.spec = f"{key.read().strip()}@{ip}:{port}/{TCP_PORT + number}"
        self.metrics = f"http://{ip}:{METRICS_PORT + number}/metrics"

    def metric(self, name):
        with self.net.inside(self.node):
            text = urllib.request.urlopen(self.metrics, timeout=PATIENCE_S).read().decode()
        return int(next(line.split()[-1] for line in text.splitlines() if line.startswith(f"godwit_relay_{name} ")))

    def carried(self):
        """Bytes so far."""
        return self.metric("carried_bytes_total")

    def kill(self):
        self.process.kill()
        self.process.wait()


class NatHost(SwitchProcess):
    """A host whose router has one address outside, and forwards for it what it asked for."""

    def __init__(self, net, number, program, directory, relays, masquerade):
        super().__init__(net, f"h{number}", f"192.168.{number}.2", program, directory, [each.spec for each in relays])
        self.number = number
        router = f"r{number}"
        for each in (router, self.name):
            net.add(each)
        net.cable(router, "wan0", "wan", f"to-{router}")
        net.ip(router, "addr", "add", f"10.1.0.{number}/24", "dev", "wan0")
        net.ip(router, "link", "set", "wan0", "up")
        net.plug("wan", f"to-{router}", "br0")
        net.cable(self.name, "up0", router, "lan0")
        for name, device, address in ((router, "lan0", f"192.168.{number}.1/24"), (self.name, "up0", f"{self.underlay}/24")):
            net.ip(name, "addr", "add", address, "dev", device)
            net.ip(name, "link", "set", device, "up")
        net.ip(self.name, "route", "add", "default", "via", f"192.168.{number}.1")
        rules = f"""
            table ip nat {{
              chain out {{
                type nat hook postrouting priority 100
                oifname "wan0" {masquerade}
              }}
            }}
            table ip filter {{
              chain input {{  # as routers do: what is answered, or only seen, takes a port from the host behind
                type filter hook input priority 0; policy accept
                iifname "wan0" drop
              }}
              chain forward {{
                type filter hook forward priority 0; policy drop
                ct state established,related accept
                iifname "lan0" accept
              }}
            }}"""
        self.inside_router = ["ip", "netns", "exec", net.full(router)]
        run(*self.inside_router, "sysctl", "-qw", "net.ipv4.ip_forward=1")
        subprocess.run([*self.inside_router, "nft", "-f", "-"], input=rules, text=True, check=True)

    def block_udp(self, blocked):
        """As a firewall that lets out nothing but TCP."""
        rules = "table ip block { chain forward { type filter hook forward priority -10; meta l4proto udp drop; }; }"
        rules = rules if blocked else "delete table ip block"
        subprocess.run([*self.inside_router, "nft", "-f", "-"], input=rules, text=True, check=True)


def reaches(guest, address, limit_s=PATIENCE_S):
    with guest.net.inside(guest.name):
        end = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    end.settimeout(0.25)
    until = time.monotonic() + limit_s
    while time.monotonic() < until:
        end.sendto(b"hello", address)
        try:
            return end.recvfrom(65536)[0] == b"hello"
        except OSError:
            continue
    return False


def pump(net, client, server, family, address, size=MUCH):
    """So many bytes by TCP; true when they arrive as they were sent."""
    with net.inside(server):
        listener = socket.create_server(address, family=family)
    with net.inside(client):
        out = socket.socket(family)
    out.settimeout(PATIENCE_S)
    out.connect(address)
    into, _ = listener.accept()
    listener.close()
    sent = os.urandom(size)

    def send():
        out.sendall(sent)
        out.close()

    sender = threading.Thread(target=send)
    sender.start()
    with into.makefile("rb") as stream:
        arrived = stream.read()
    sender.join()
    return arrived == sent


def pair(net, program, directory, relays, hosts, segments, numbers, masquerade, blocked=()):
    """Two hosts with a guest each; their guests talk until they reach each other."""
    mine = [NatHost(net, number, program, directory, relays, masquerade) for number in numbers]
    hosts += mine
    for host in mine:
        if host.number in blocked:
            host.block_udp(True)
    for host in mine:
        host.start()
    segment = Segment(numbers[0])
    segments.append(segment)
    guests = [Guest(net, number, network=numbers[0]) for number in range(2)]
    for guest, host in zip(guests, mine):
        segment.place(guest, host)
    points = [{"ip": host.underlay, "port": host.location(1)["underlay_port"], "record": host.record()} for host in mine]
    replies = configure(mine, segment, peers=points, host_ports=[HOST_PORT])
    for guest, host in zip(guests, mine):
        guest.plug(host)
        guest.start(host)
    check(reaches(guests[0], echo(guests[1])), "a guest reaches the other")
    return mine, guests, [reply["host_address"] for reply in replies]


def carries(relay, guests, address):
    """Bytes that it carries for the guests' words."""
    before = relay.carried()
    for _ in range(20):
        reaches(guests[0], address, 2)
    return relay.carried() - before


def goes_directly(relay, guests):
    return carries(relay, guests, echo(guests[1])) < 1000


def story(net, program, directory, relays, hosts, segments):
    relay = relays[0]
    print("two NATs that keep a host's port for all: direct, after the first words")
    mine, guests, addresses = pair(net, program, directory, [relay], hosts, segments, (1, 2), "masquerade")
    wait_for(lambda: goes_directly(relay, guests), "the relay carries nothing more")
    check(True, "the relay carries nothing more")
    check(mine[0].path_to(mine[1]) == "mapped", "its status says: through the NATs' mappings")
    check(pump(net, guests[0].name, guests[1].name, socket.AF_INET, (guests[1].ip, 5001)), f"{MUCH >> 20} MiB between guests")
    for one, two in ((0, 1), (1, 0)):
        check(pump(net, mine[one].name, mine[two].name, socket.AF_INET6, (addresses[two], HOST_PORT)),
              f"{MUCH >> 20} MiB from host to host")
    with net.inside(mine[0].name):
        closed = socket.socket(socket.AF_INET6)
    closed.settimeout(1)
    try:
        closed.connect((addresses[1], HOST_PORT + 1))
        raise AssertionError("a port that is not for others was reached")
    except TimeoutError:
        check(True, "another port is not reached")
    check(relay.carried() < MUCH, "none of it by the relay")

    print("two NATs with a new port for every peer: by the relay")
    mine, guests, addresses = pair(net, program, directory, [relay], hosts, segments, (3, 4), "masquerade fully-random")
    before = relay.carried()
    check(pump(net, guests[0].name, guests[1].name, socket.AF_INET, (guests[1].ip, 5001)), f"{MUCH >> 20} MiB between guests")
    check(pump(net, "h3", "h4", socket.AF_INET6, (addresses[1], HOST_PORT)), f"{MUCH >> 20} MiB from host to host")
    check(mine[0].path_to(mine[1]) == "relayed", "its status says: by the relay")
    print(f"  the relay carried {relay.carried() - before} bytes")

    print("UDP blocked at one router: by the relay, over TCP, until it is not")
    mine, guests, addresses = pair(net, program, directory, [relay], hosts, segments, (5, 6), "masquerade", blocked=(5,))
    wait_for(lambda: relay.metric("connections") == 1, "one host has a connection")
    check(pump(net, guests[0].name, guests[1].name, socket.AF_INET, (guests[1].ip, 5001)), f"{MUCH >> 20} MiB between guests")
    check(pump(net, "h6", "h5", socket.AF_INET6, (addresses[0], HOST_PORT)), f"{MUCH >> 20} MiB from host to host")
    mine[0].block_udp(False)
    wait_for(lambda: relay.metric("connections") == 0, "the connection goes when UDP is let through")
    check(reaches(guests[0], echo(guests[1], 5002)), "the guests still reach each other")

    print("two relays, and one dies")
    _, guests, _ = pair(net, program, directory, relays, hosts, segments, (9, 10), "masquerade fully-random")
    address = echo(guests[1])
    carrying = max(relays, key=lambda each: carries(each, guests, address))
    carrying.kill()
    began = time.monotonic()
    check(reaches(guests[0], address), "a guest reaches the other again")
    print(f"  {time.monotonic() - began:.1f} s later")


def main():
    relays = []

    def told(net, program, directory, hosts, segments):
        net.add("wan")
        net.bridge("wan", "br0", f"{RELAY_IP}/24")
        relays.extend(Relay(net, program, directory, number) for number in range(2))
        story(net, program, directory, relays, hosts, segments)

    play("switch_nat", told, relays)


if __name__ == "__main__":
    main()
