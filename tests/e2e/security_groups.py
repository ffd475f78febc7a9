#!/usr/bin/env python3
"""Guests on three switches speak IPv6, and begin with each other what their security groups allow, also after a move.

Usage: security_groups.py GODWIT    (needs root and /dev/net/tun; about 15 s)
"""
import json
import os
import socket
import threading
import time

from rig import dhcp6
from rig.net import run
from rig.patience import PATIENCE_S
from rig.stage import play
from rig.switch import Guest, Host, Segment, configure, wait_for

PREFIX = "fd12:3456:789a:bcde"
SSH, OTHER = 22, 80
REFUSED_AFTER_S = 1.0
MEBIBYTE = 1 << 20


def check(holds, what):
    if not holds:
        raise AssertionError(f"does not hold: {what}")
    print(f"  {what}")


def ip6(guest):
    return f"{PREFIX}::a4d:{10 + guest.number:x}"


def addresses(guest, host):
    """The guest's IPv6 addresses there: {address: flags and scope}."""
    found = json.loads(run("ip", "-n", guest.net.full(guest.name), "-j", "addr", "show", "dev", guest.device[host.name]))
    return {a["local"]: a for a in found[0]["addr_info"] if a["family"] == "inet6"}


def start(guest, host, mode="eui64"):
    """With its addresses as a guest makes them: it asks whether somebody has them already."""
    guest.net.ip(guest.name, "link", "set", guest.device[host.name], "addrgenmode", mode)
    guest.start(host)
    guest.net.ip(guest.name, "addr", "add", f"{ip6(guest)}/64", "dev", guest.device[host.name])


def settled(guest, host):
    def done():
        found = addresses(guest, host).values()
        return len(found) >= 2 and not any(a.get("tentative") for a in found)
    wait_for(done, f"{guest.name} has its addresses")
    return not any(a.get("dadfailed") for a in addresses(guest, host).values())


def link_local(guest, host):
    return next(a for a, entry in addresses(guest, host).items() if entry["scope"] == "link")


def server(guest, port, family=socket.AF_INET6):
    """Sends back what each connection brings."""
    with guest.net.inside(guest.name):
        listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("", port))
    listener.listen(8)

    def serve():
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=send_back, args=(connection,), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()


def send_back(connection):
    with connection:
        while data := connection.recv(65536):
            connection.sendall(data)


def index_of(guest, host):
    name = guest.device[host.name]
    return json.loads(run("ip", "-n", guest.net.full(guest.name), "-j", "link", "show", "dev", name))[0]["ifindex"]


def connect(guest, address, limit_s=PATIENCE_S):
    """None where nobody answers."""
    with guest.net.inside(guest.name):
        end = socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET)
    end.settimeout(limit_s)
    try:
        end.connect(address)
    except OSError:
        end.close()
        return None
    return end


def is_answered(end, payload=b"hello"):
    end.settimeout(PATIENCE_S)
    writer = threading.Thread(target=end.sendall, args=(payload,), daemon=True)
    writer.start()
    got = b""
    while len(got) < len(payload):
        data = end.recv(65536)
        if not data:
            return False
        got += data
    return got == payload


def members_speak_ipv6(segment, guests, hosts):
    a, b, c = guests
    for guest, host in zip(guests, hosts):
        check(settled(guest, host), f"{guest.name} has {ip6(guest)}: nobody said that it is taken")
    server(b, SSH)
    end = connect(a, (ip6(b), SSH))
    check(end and is_answered(end, os.urandom(MEBIBYTE)), f"1 MiB of TCP to {ip6(b)} and back")
    neighbours = json.loads(run("ip", "-n", a.net.full(a.name), "-6", "-j", "neigh"))
    check(any(n["dst"] == ip6(b) and n.get("lladdr") == b.mac for n in neighbours), "its neighbour was found")
    for other, host, kind in ((b, hosts[1], "that its MAC gives"), (c, hosts[2], "of its own making")):
        address = link_local(other, host)
        server(other, OTHER)
        end = connect(a, (address, OTHER, 0, index_of(a, hosts[0])))
        check(end and is_answered(end), f"{other.name} is reached at {address}, {kind}")
    space = segment.gateway(hosts[0])
    with a.net.inside(space.removeprefix(a.net.prefix + "-")):
        gateway = socket.create_server((f"{PREFIX}::a4d:1", 0), family=socket.AF_INET6)
    end = connect(a, gateway.getsockname())
    check(end, "the gateway is reached over IPv6")


def the_gateway_gives_each_its_own(segment, guest, host):
    space = segment.gateway(host).removeprefix(guest.net.prefix + "-")
    server_of_host = dhcp6.serve(guest.net, space, PREFIX, [(guest.mac, ip6(guest)), ("02:67:00:00:00:99", f"{PREFIX}::9")])
    try:
        check(dhcp6.ask(guest.net, guest.name, index_of(guest, host), guest.mac) == ip6(guest), "DHCPv6 gives it its address")
    finally:
        server_of_host.terminate()
        server_of_host.wait()


def nobody_takes_an_address(thief, owner, host):
    device = thief.device[host.name]
    thief.net.ip(thief.name, "addr", "add", f"{ip6(owner)}/64", "dev", device)
    wait_for(lambda: addresses(thief, host)[ip6(owner)].get("dadfailed"), f"{thief.name} hears that {ip6(owner)} is taken")
    check(True, f"{thief.name} hears that {ip6(owner)} is taken")
    thief.net.ip(thief.name, "addr", "del", f"{ip6(owner)}/64", "dev", device)
    thief.net.ip(thief.name, "addr", "add", f"{ip6(owner)}/128", "dev", device, "nodad")
    with thief.net.inside(thief.name):
        end = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    end.bind((ip6(owner), 0))
    end.sendto(b"?", (f"{PREFIX}::a4d:1", 9))
    wait_for(lambda: host.drops().get("spoofed_ip", 0) > 0, "the lie is counted")
    check(True, "and is not heard with it")
    thief.net.ip(thief.name, "addr", "del", f"{ip6(owner)}/128", "dev", device)


def rule(port, cidr):
    return {"protocol": "tcp", "from_port": port, "to_port": port, "cidr": cidr}


def web(*rules):
    return {"name": "web", "ingress": list(rules), "egress": [{"cidr": "0.0.0.0/0"}, {"cidr": "::/0"}]}


def allow(segment, hosts, *rules):
    segment.groups = [web(*rules)]
    configure(hosts, segment)


def groups_decide(segment, guests, hosts):
    a, b, _ = guests
    server(b, SSH + 1, socket.AF_INET)
    before = connect(a, (ip6(b), SSH))
    segment.groups_of[b.instance] = ["web"]
    allow(segment, hosts)
    check(not connect(a, (ip6(b), SSH), REFUSED_AFTER_S), "a group without rules lets nobody in")
    check(not connect(a, (b.ip, SSH + 1), REFUSED_AFTER_S), "  over IPv4 neither")
    wait_for(lambda: hosts[1].drops().get("not_allowed", 0) > 0, "which is counted")
    before.close()
    allow(segment, hosts, rule(SSH, f"{PREFIX}::/64"))
    end = connect(a, (ip6(b), SSH))
    check(end and is_answered(end), "a rule lets in what it says")
    check(not connect(a, (ip6(b), OTHER), REFUSED_AFTER_S), "  and nothing else")
    allow(segment, hosts, rule(SSH + 1, f"{a.ip}/32"))
    check(is_answered(end), "what has begun goes on when the rule is gone")
    check(not connect(a, (ip6(b), SSH), REFUSED_AFTER_S), "  and nothing new begins by it")
    end = connect(a, (b.ip, SSH + 1))
    check(end and is_answered(end), "the other rule lets in over IPv4")


def stream_from(guest, port):
    """Sends numbered lines, at a steady pace, to each that connects."""
    with guest.net.inside(guest.name):
        listener = socket.create_server((guest.ip, port))

    def serve():
        connection, _ = listener.accept()
        number = 0
        while True:
            connection.sendall(b"%d\n" % number)
            number += 1
            time.sleep(0.002)

    threading.Thread(target=serve, daemon=True).start()


def a_download_survives_a_move(segment, guests, hosts):
    """Who only listens, and whom nobody may call, is heard at a host that has never heard of its connection."""
    a, b, _ = guests
    segment.groups_of[a.instance] = ["open"]
    segment.groups = [web(), {"name": "open", "ingress": [{"cidr": "0.0.0.0/0"}], "egress": []}]
    configure(hosts, segment)
    stream_from(a, 9)
    end = connect(b, (a.ip, 9))
    lines = end.makefile("rb")
    for number in range(100):
        check_line(lines, number)
    segment.expect(b, hosts[2])
    b.plug(hosts[2])
    configure([hosts[2]], segment)
    b.pause(hosts[1])
    hosts[2].ask(op="announce", announce=segment.announcement(b, hosts[2], 2))
    b.start(hosts[2])
    for number in range(100, 500):
        check_line(lines, number)
    check(True, "a download goes on, each line once and in order")


def check_line(lines, number):
    line = lines.readline()
    if line != b"%d\n" % number:
        raise AssertionError(f"{line!r} as line {number}")


def story(net, program, directory, hosts, segments):
    net.add("wan")
    net.bridge("wan", "br0")
    hosts += [Host(net, number, program, directory) for number in (1, 2, 3)]
    for host in hosts:
        host.start()
    segment = Segment(1, f"{PREFIX}::/64")
    segments.append(segment)
    guests = [Guest(net, number) for number in range(3)]
    for guest, host in zip(guests, hosts):
        segment.place(guest, host)
    configure(hosts, segment)
    for guest, host in zip(guests, hosts):
        guest.plug(host)
    for guest, host, mode in zip(guests, hosts, ("eui64", "eui64", "random")):
        start(guest, host, mode)
    print("members speak IPv6")
    members_speak_ipv6(segment, guests, hosts)
    print("the gateway")
    the_gateway_gives_each_its_own(segment, guests[0], hosts[0])
    print("a liar")
    nobody_takes_an_address(guests[2], guests[0], hosts[2])
    print("security groups")
    groups_decide(segment, guests, hosts)
    print("a member of a group moves")
    a_download_survives_a_move(segment, guests, hosts)


if __name__ == "__main__":
    play("security_groups", story)
