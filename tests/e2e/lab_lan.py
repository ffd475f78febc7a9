#!/usr/bin/env python3
"""Two hosts of a cloud could join a cluster's network to a LAN; the one that does dies, and the other one follows.

Usage: lab_lan.py [--godwit GODWIT] [--images DIRECTORY]    (root; about two minutes)

A machine of the LAN, which runs nothing of ours, has a connection to an instance at another cloud, and keeps it.
"""
import contextlib
import socket
import sqlite3
import time

from rig.acknowledged import GuestAddress
from rig.guest import Lines
from rig.journey import config_of, expect, journey
from rig.lab_host import LabHost, processes
from rig.net import Net, run
from rig.patience import PATIENCE_S
from stage import wait_until

CLUSTER, TENANT, DEVICE = "demo", "lab", "lan0"
BOOT_LIMIT_S, JOINED_LIMIT_S = 240, PATIENCE_S
FOLLOWED_LIMIT_S = 180  # 75 s, and what a busy machine adds


class LanHost(LabHost):
    """Its agent is told of a device on the LAN."""

    def join(self, net):
        net.cable(self.name, DEVICE, "lan", f"to-{self.name}")
        net.plug("lan", f"to-{self.name}", "br0")
        net.ip(self.name, "link", "set", DEVICE, "up")
        self.kill(self.agent())
        run(str(self.lab.godwit), "lab", "run", "--lab", self.lab.name, self.name, "--name", "agent", "--", str(self.lab.godwit),
            "agent", "run", "--state", str(self.state), "--lan", f"{TENANT}/{CLUSTER}={DEVICE}")

    def die(self):
        for pid, line in processes().items():
            if line and line[0].endswith("/godwit") and any(f"{self.state}" in word for word in line):
                self.kill(pid)


def joined_at(lab):
    networks = lab.cli("network", "list")["networks"]
    return networks[0]["uplink"].get("host", "") if networks else ""


def is_leased(lab, cloud):
    """Its switch knows that it may not without, now that there is another host."""
    with contextlib.closing(sqlite3.connect(f"file:{lab.directory}/clouds/{cloud}/cloud.db?mode=ro", uri=True)) as opened:
        return opened.execute("SELECT count(*) FROM lan_holdings WHERE leased AND accepted").fetchone()[0] == 1


def machine_of(net, lab, cidr):
    """An address of the network's that is no member's."""
    net.add("lan")
    net.bridge("lan", "br0")
    net.ip("lan", "addr", "add", f"{cidr.rsplit('.', 1)[0]}.200/24", "dev", "br0")


def connect(net, ip):
    def connected():
        try:
            with net.inside("lan"):
                return Lines(socket.create_connection((ip, 7000), timeout=2))
        except OSError:
            return None
    return wait_until(f"a machine of the LAN reaches {ip}", connected, JOINED_LIMIT_S)


def play(lab, _options):
    made = lab.cli("cluster", "create", CLUSTER, "--member", "m@cloud-b", "--member", "w@cloud-a", "--image", "tiny")
    address = made["members"][0]["ip"]
    guest = GuestAddress(f"gw-{lab.name}-", address)

    def answers():
        try:
            return guest.ask("PING") == ["OK"]
        except OSError:
            return False

    wait_until("the guest answers", answers, BOOT_LIMIT_S)
    net = Net(f"gw-{lab.name}")
    machine_of(net, lab, made["cidr"])
    try:
        hosts = {name: LanHost(lab, "cloud-a", name, set()) for name in ("a1", "a2")}
        for host in hosts.values():
            host.join(net)
        first = wait_until("a host joins the network to its LAN", lambda: joined_at(lab), JOINED_LIMIT_S)
        connection = connect(net, address)
        expect(connection.ask("PING") == "OK", "the guest answers")
        print(f"  {first} joins the network to its LAN: a machine there talks to a guest at cloud-b", flush=True)
        wait_until("it has a lease", lambda: is_leased(lab, "cloud-a"), JOINED_LIMIT_S)
        hosts.pop(first).die()
        died = time.monotonic()
        other = next(iter(hosts))
        wait_until(f"{other} has it", lambda: joined_at(lab) == other, FOLLOWED_LIMIT_S, 1)
        expect(connection.ask("PING") == "OK", "the connection is as it was")
        print(f"  {first} has died: {other} has it after {time.monotonic() - died:.0f} s, and the connection goes on", flush=True)
        connection.socket.close()
    finally:
        run("ip", "netns", "del", net.full("lan"))


if __name__ == "__main__":
    journey("lab_lan", config_of({"cloud-a": ["a1", "a2"], "cloud-b": ["b1"]}), play, placed=["tiny"])
