#!/usr/bin/env python3
"""A guest is moved past Godwit: QEMU takes it from one host to the other, as libvirt would, and nobody asks the cloud. What announces it there is a
hint. It is told, and nothing is delivered differently because of it; the guest's connection stands still until its record says
where it is, and then goes on. Forged announcements move nothing either.

Usage: switch_hint.py GODWIT [IMAGE_DIR]    (needs root, /dev/net/tun and QEMU; about 20 s under emulation)
"""
import os
import socket
import subprocess
import sys

from rig.authority import Authority
from rig.frames import arp_announcement, is_announcement, rarp
from rig.guest import Lines, Stream
from rig.patience import PATIENCE_S
from rig.qemu import Image, Vm
from rig.stage import play
from rig.switch import Guest, Host, Segment, configure, wait_for

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
IMAGE = os.path.abspath(sys.argv.pop(2)) if len(sys.argv) > 2 else f"{ROOT}/.cache/images/tiny"
LINES_PER_S, REPEATED = 50, 3
ETH_P_ALL = 3


def check(holds, what):
    if not holds:
        raise AssertionError(f"does not hold: {what}")
    print(f"  {what}")


class QemuGuest(Guest):
    """A real one, whose TAP is at whichever host its QEMU is on."""

    def __init__(self, net, number, directory):
        super().__init__(net, number)
        self.directory, self.image, self.vms = directory, Image(IMAGE), {}

    def start(self, host, *options):
        with self.net.inside(host.name):
            descriptor = self.net.tap(host.name, self.tap(host))
            self.net.ip(host.name, "link", "set", self.tap(host), "mtu", str(self.mtu), "up")
            self.vms[host.name] = Vm(f"{self.directory}/vm-{host.name}", self.image, self.name, tap_fd=descriptor, mac=self.mac, disk=False,
                                     cmdline=f"godwit.ip={self.ip}/24", options=options).start()
        return self.vms[host.name]

    def take(self, source, destination):
        """By QEMU alone; another one waits at the destination. The guest runs there when this returns."""
        there = self.vms[destination.name]
        for vm in (self.vms[source.name], there):
            vm.qmp.call("migrate-set-capabilities", capabilities=[{"capability": c, "state": True} for c in ("events", "return-path")])
        there.qmp.call("migrate-incoming", uri=f"unix:{there.path('memory.sock')}")
        self.vms[source.name].qmp.call("migrate", uri=f"unix:{there.path('memory.sock')}")
        for vm in (self.vms[source.name], there):
            vm.qmp.wait("MIGRATION", status="completed")
        there.qmp.call("cont")
        self.vms.pop(source.name).quit()

    def kill(self):
        for vm in self.vms.values():
            vm.kill()


class Heard:
    """The announcements of a guest that come from its device at a host."""

    def __init__(self, net, host, guest):
        with net.inside(host.name):
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        self._socket.bind((guest.tap(host), ETH_P_ALL))
        self._socket.settimeout(PATIENCE_S)
        self._mac = guest.mac

    def wait(self):
        while not (kind := is_announcement(self._socket.recv(2048), self._mac)):
            pass
        return kind


def status(host):
    return subprocess.run([host.program, "network", "status", "--switch", host.control], check=True, text=True, capture_output=True).stdout


def is_told(host, guest):
    return guest.instance in status(host).splitlines()[0]


def believed(host, guest):
    """Where that host's switch has the guest, by the record of which version."""
    members = host.ask(op="locations")["networks"][0]["members"]
    location = next(m for m in members if m["instance"] == guest.instance)["location"]
    return location["host"], location["version"]


def check_believed(hosts, guest, where, version, why):
    check(all(believed(host, guest) == (where, version) for host in hosts), f"every switch has the guest at {where}, version {version}: {why}")


def connect(peer, guest):
    with peer.net.inside(peer.name):
        return Lines(socket.create_connection((guest.ip, 7000), timeout=PATIENCE_S))


def liar(guest, host):
    with guest.net.inside(guest.name):
        end = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    end.bind((guest.device[host.name], 0))
    return end


def neighbours_lie(guest, liars, stream, hosts):
    """RARP and gratuitous ARP with the guest's addresses, from members beside it and elsewhere."""
    for other, host in liars:
        end = liar(other, host)
        for frame, kind in ((rarp(guest.mac), "RARP"), (arp_announcement(guest.mac, guest.ip), "gratuitous ARP")):
            spoofed = host.drops().get("spoofed_mac", 0)
            end.send(frame)
            wait_for(lambda: host.drops().get("spoofed_mac", 0) > spoofed, "a lie is dropped")
            stream.wait_past(LINES_PER_S // 2)
            print(f"  {other.name} on {host.name} says by {kind} that it is the guest: dropped, and the guest is heard as before")
    (_, here), (away, there) = liars
    wait_for(lambda: is_told(there, guest), f"{there.name} tells who says so")
    check(away.instance in status(there).splitlines()[0], f"and that it was {away.name}: {status(there).splitlines()[0]}")
    check(not is_told(here, guest), f"{here.name}, where the guest is, has nothing to tell")
    check_believed(hosts, guest, here.name, 1, "nobody's word was taken")


def moved_past_us(net, guest, peer, stream, hosts):
    here, there = hosts
    guest.start(there, "-incoming", "defer", "-S")
    heard = Heard(net, there, guest)
    guest.take(here, there)
    kinds = {heard.wait()}
    print(f"  QEMU has taken the guest to {there.name}, and it is announced there ({', '.join(kinds)})")
    wait_for(lambda: there.drops().get("not_claimed", 0) > 0, "what the guest says there is dropped")
    told = f"({guest.instance}) announces itself on lab/{there.name} while its record says lab/{here.name}"
    wait_for(lambda: told in status(there), f"{there.name} tells: {told}")
    print(f"  {there.name} tells: {next(line for line in status(there).splitlines() if told in line)}")
    check_believed(hosts, guest, here.name, 1, "an announcement is a hint")
    lines, dropped = stream.next, there.drops()["not_claimed"]
    wait_for(lambda: there.drops()["not_claimed"] >= dropped + REPEATED, "the guest says again and again what is not heard")
    check(stream.next == lines and stream.ended_with is None, f"the guest's connection stands still, though {peer.name} is beside it")


def another_ca_grants_it(segment, guest, stream, hosts):
    """The host that had the guest would have it back: whoever has a CA may sign, and is not believed."""
    here, there = hosts
    forged = Authority("lab").location_claim(here.name, segment.id(), segment.number, guest.instance, 3)
    here.ask(op="announce", announce=segment.announcement(guest, here, 3) | {"claim": forged})
    wait_for(lambda: there.drops().get("unproven", 0) > 0, f"{there.name} drops what is not proven")
    stream.wait_past(LINES_PER_S)
    check(believed(there, guest) == (there.name, 2) and not stream.wrong, "a record that another CA has signed takes nothing away")


def granted(segment, guest, stream, hosts):
    _, there = hosts
    there.ask(op="announce", announce=segment.announcement(guest, there, 2))
    stream.wait_past(LINES_PER_S)
    check(not stream.wrong, f"its record is granted: the connection goes on, and of {stream.next} lines none is missing")
    for host in hosts:
        wait_for(lambda host=host: believed(host, guest) == (there.name, 2), f"{host.name} knows")
    check_believed(hosts, guest, there.name, 2, "its record says so")
    wait_for(lambda: not is_told(there, guest), "the hint ends")
    print("  and there is nothing more to tell")


def story(net, program, directory, hosts, segments, others):
    os.chmod(directory, 0o711)  # QEMU is another user
    net.add("wan")
    net.bridge("wan", "br0")
    hosts += [Host(net, number, program, directory) for number in (1, 2)]
    for host in hosts:
        host.start()
    segment = Segment(1)
    segments.append(segment)
    guest, beside, peer = QemuGuest(net, 0, directory), Guest(net, 1), Guest(net, 2)
    others.append(guest)
    for each, host in ((guest, hosts[0]), (beside, hosts[0]), (peer, hosts[1])):
        segment.place(each, host)
    segment.expect(guest, hosts[1])
    configure(hosts, segment)
    for each, host in ((beside, hosts[0]), (peer, hosts[1])):
        each.plug(host)
        each.start(host)
    guest.start(hosts[0]).booted().socket.close()
    lines = connect(peer, guest)
    boot = lines.ask("STAT").split()[1]
    stream = Stream(lines, f"SEQ {LINES_PER_S}", r"SEQ (\d+) ")
    stream.wait_past(LINES_PER_S)
    print("neighbours lie")
    neighbours_lie(guest, ((beside, hosts[0]), (peer, hosts[1])), stream, hosts)
    print("it is moved past Godwit")
    moved_past_us(net, guest, peer, stream, hosts)
    granted(segment, guest, stream, hosts)
    another_ca_grants_it(segment, guest, stream, hosts)
    stream.stop()
    check(connect(peer, guest).ask("STAT").split()[1] == boot, "it is the same boot of the guest")


if __name__ == "__main__":
    OTHERS = []
    subprocess.run([f"{ROOT}/images/build-tiny", IMAGE], check=True)
    play("switch_hint", lambda *stage: story(*stage, OTHERS), OTHERS)
