#!/usr/bin/env python3
"""What a guest offers by multicast DNS, members of its network on another host find; nobody else hears it, and nobody is flooded.

Usage: switch_mdns.py GODWIT    (needs root, /dev/net/tun and python3-zeroconf; about 15 s)

Two hosts, two networks, a guest of each on each host; both networks have the same addresses, and offer the same kind of service.
"""
import socket
import time
from concurrent.futures import ThreadPoolExecutor

from rig.mdns import Offer, find
from rig.stage import play
from rig.switch import Guest, Host, Segment, configure, wait_for
from security_groups import PREFIX, ip6, settled, start

GROUPS = {"4": "224.0.0.251", "6": "ff02::fb"}
PORT, OTHER_PORT = 8080, 5354  # not mDNS's: what responders say meanwhile is not counted
BURST, RATE, FLOOD = 200, 100, 1500  # overlay/segment.h: frames at once, a second
SO_RCVBUFFORCE = 33  # asm-generic/socket.h
OFFERS = []


def check(holds, what):
    if not holds:
        raise AssertionError(f"does not hold: {what}")
    print(f"  {what}")


def device(guest):
    return next(iter(guest.device.values()))


def offer(guest, family, instance):
    OFFERS.append(Offer(guest, device(guest), family, instance, PORT, [guest.ip, ip6(guest)]))


def is_found(networks, family):
    """A service of each network is offered at one host; each is found at the other host, by its own network's member."""
    names = [f"ours{family}", f"theirs{family}"]
    for (guest, _), name in zip(networks, names):
        offer(guest, family, name)
    for each in OFFERS:
        each.wait()
    with ThreadPoolExecutor() as both:
        heard_of = both.map(lambda looks: find(looks[0], device(looks[0]), family, *looks[1:]),
                            [(looking, *order) for (_, looking), order in zip(networks, (names, names[::-1]))])
    for (offering, _), name, other, found in zip(networks, names, names[::-1], heard_of):
        check(found[name] == [sorted([offering.ip, ip6(offering)]), PORT], f"{name} is found and resolved at the other host: {found[name]}")
        check(other not in found, f"{other}, of another network on the same hosts, is not")
    while OFFERS:
        OFFERS.pop().close()


def reached(looking, offering):
    """What was resolved leads to who offers it."""
    for family, address in ((socket.AF_INET, offering.ip), (socket.AF_INET6, ip6(offering))):
        with offering.net.inside(offering.name):
            listener = socket.create_server((address, PORT), family=family)
        with looking.net.inside(looking.name):
            socket.create_connection((address, PORT), timeout=10).close()
        listener.close()


def listens(guest, address):
    with guest.net.inside(guest.name):
        end = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    end.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 16 << 20)  # nothing is lost here
    end.bind((address, OTHER_PORT))
    end.setblocking(False)
    if address == GROUPS["4"]:
        end.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton(address) + socket.inet_aton(guest.ip))
    return end


def heard(end):
    out = []
    while True:
        try:
            out.append(int(end.recv(64)))
        except BlockingIOError:
            return out


def is_limited(sender, host, member, stranger):
    """Of a flood to the group the members get what a port may send, and others nothing."""
    marks, ends = listens(member, member.ip), [listens(each, GROUPS["4"]) for each in (member, stranger)]
    with sender.net.inside(sender.name):
        out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    out.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(sender.ip))
    before, began = host.drops().get("too_many_to_groups", 0), time.monotonic()
    for number in range(FLOOD):
        out.sendto(b"%d" % number, (GROUPS["4"], OTHER_PORT))

    def marked():  # by a datagram to the member alone, which goes the same way: what was sent before has come, or doesn't
        out.sendto(b"0", (member.ip, OTHER_PORT))
        return heard(marks)

    wait_for(marked, "a datagram behind the flood has come")
    allowed = BURST + RATE * (time.monotonic() - began)
    got, dropped = heard(ends[0]), host.drops().get("too_many_to_groups", 0) - before
    check(0 < len(got) <= allowed, f"of {FLOOD} datagrams at once to the group a member gets {len(got)}")
    check(got == sorted(set(got)), "in order, each once")
    check(0 < dropped <= FLOOD - len(got), f"{dropped} are counted as too_many_to_groups")
    check(not heard(ends[1]), "another network's member gets none")


def story(net, program, directory, hosts, segments):
    net.add("wan")
    net.bridge("wan", "br0")
    hosts += [Host(net, number, program, directory) for number in (1, 2)]
    for host in hosts:
        host.start()
    segments += [Segment(number, cidr6=f"{PREFIX}::/64") for number in (1, 2)]
    networks = [[Guest(net, number, network=segment.number) for number in range(2)] for segment in segments]
    for segment, guests in zip(segments, networks):
        for guest, host in zip(guests, hosts):
            segment.place(guest, host)
    configure(hosts, *segments)
    for guests in networks:
        for guest, host in zip(guests, hosts):
            guest.plug(host)
            start(guest, host)
    for guests in networks:
        for guest, host in zip(guests, hosts):
            check(settled(guest, host), f"{guest.name} has its addresses")
    for family in GROUPS:
        print(f"mDNS over IPv{family}")
        is_found(networks, family)
    reached(networks[0][1], networks[0][0])
    print("a flood")
    is_limited(networks[0][0], hosts[0], networks[0][1], networks[1][1])


if __name__ == "__main__":
    play("switch_mdns", story, OFFERS)
