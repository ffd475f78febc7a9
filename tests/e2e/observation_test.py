#!/usr/bin/env python3
"""What two hosts' switches show of the guests that talk through them: top, status, capture, metrics.

Usage: observation_test.py GODWIT    (needs root, /dev/net/tun and tcpdump; about 20 s)
"""
import json
import os
import signal
import socket
import subprocess
import time

from rig.frames import rarp
from rig.stage import play
from rig.switch import Beats, Guest, Host, Segment, configure, wait_for

METRICS_PORT = 9101


def check(holds, what):
    if not holds:
        raise AssertionError(f"does not hold: {what}")
    print(f"  {what}")


class WatchedHost(Host):
    def __init__(self, net, number, program, directory):
        super().__init__(net, number, program, directory)
        self.more = ["--metrics", f"127.0.0.1:{METRICS_PORT}"]
        net.ip(self.name, "link", "set", "lo", "up")

    def run(self, *words):
        return subprocess.run([self.program, "network", *words, "--switch", self.control], check=True, text=True,
                              capture_output=True).stdout

    def observation(self):
        return json.loads(self.run("status", "--json"))["hosts"][0]


def top_names_who_talks(host, guests):
    a, b = guests

    def has_pair():
        seen = json.loads(host.run("top", "--json"))["hosts"][0]
        return any((p["source_mac"], p["destination_mac"]) == (a.mac, b.mac) and p["packets"] > 100 for p in seen["pairs"])

    wait_for(has_pair, "the pair is observed")
    texts = []

    def names_both():  # each look may be at another interval, and of a flow perhaps nothing was drawn
        texts.append(host.run("top", "--once"))
        names = any(line.split()[:2] == [a.name, b.name] for line in texts[-1].splitlines())
        return names and f"udp   {a.name}:" in texts[-1]

    wait_for(names_both, "top names who talks with whom, and the flow")
    print("    " + texts[-1].replace("\n", "\n    "))
    print("  top names who talks with whom, and the flow, by its sample")


def status_shows_the_path(host, other):
    peers = host.observation()["peers"]
    check([p["host"] for p in peers] == [other.name], "status shows the other host")
    wait_for(lambda: host.observation()["peers"][0]["round_trip_ms"] > 0, "a probe comes back")
    peer = host.observation()["peers"][0]
    check(peer["path"] == "direct" and peer["session_s"] >= 0, "reached directly, with a session")
    check(peer["round_trip_ms"] < 1000 and peer["loss"] <= 1, f"round trip {peer['round_trip_ms']:.2f} ms, loss {peer['loss']:.3f}")
    check(peer["sent_bytes"] > 0 and peer["received_bytes"] > 0, "and what goes both ways")
    print("    " + host.run("status").replace("\n", "\n    "))


def capture_is_read_by_tcpdump(host, guest, directory):
    path, began = f"{directory}/capture.pcapng", time.time()
    process = subprocess.Popen([host.program, "network", "capture", "--switch", host.control, "--instance", guest.instance,
                                "-w", path])
    wait_for(lambda: os.path.exists(path) and os.path.getsize(path) > 20_000, "frames are captured")
    process.send_signal(signal.SIGINT)
    check(process.wait() == 0, "an interrupted capture ends well")
    lines = subprocess.run(["tcpdump", "-nr", path], check=True, text=True, capture_output=True).stdout.splitlines()
    check(len(lines) > 50, f"tcpdump reads {len(lines)} packets")
    out = [line for line in lines if f"IP {guest.ip}" in line]
    into = [line for line in lines if f"> {guest.ip}" in line]
    check(out and into, f"of both directions: {len(out)} and {len(into)}")
    stamp = float(subprocess.run(["tcpdump", "-ttnr", path, "-c", "1"], check=True, text=True, capture_output=True).stdout.split()[0])
    check(began - 1 <= stamp <= time.time() + 1, "at the time of the clock")
    refused = subprocess.run([host.program, "network", "capture", "--switch", host.control, "--network", "net-0000000000000000f"],
                             text=True, capture_output=True)
    check(refused.returncode == 1 and "no network" in refused.stderr, "of a network that is not here it is refused")


def an_announcement_elsewhere_is_told(host, guest):
    """As if another manager had moved it here: QEMU's RARP at a device that waits for it."""
    with host.net.inside(guest.name):
        end = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    end.bind((guest.device[host.name], 0))

    def told():
        end.send(rarp(guest.mac))
        return guest.instance in host.run("status").splitlines()[0]

    wait_for(told, "status says who announces itself here")
    print("    " + host.run("status").splitlines()[0])
    check(host.observation()["peers"][0]["path"] == "direct", "and the rest as before")


def metrics_are_served(net, host, other):
    with net.inside(host.name):
        connection = socket.create_connection(("127.0.0.1", METRICS_PORT))
    connection.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    text = b"".join(iter(lambda: connection.recv(65536), b"")).decode()
    check("200 OK" in text and "version=0.0.4" in text, "metrics are served")
    for sample in ("godwit_switch_frames_total{network=", 'godwit_switch_dropped_total{reason="spoofed_mac"} 0',
                   f'godwit_switch_peer_path{{cloud="lab",host="{other.name}",path="direct",profile="native"}} 1',
                   "godwit_switch_peer_round_trip_seconds{"):
        check(sample in text, sample)


def story(net, program, directory, hosts, segments):
    net.add("wan")
    net.bridge("wan", "br0")
    hosts += [WatchedHost(net, number, program, directory) for number in (1, 2)]
    for host in hosts:
        host.start()
    segment = Segment(1)
    segments.append(segment)
    guests = [Guest(net, number) for number in range(2)]
    for guest, host in zip(guests, hosts):
        segment.place(guest, host)
    segment.expect(guests[0], hosts[1])
    configure(hosts, segment)
    for guest, host in zip(guests, hosts):
        guest.plug(host)
        guest.start(host)
    guests[0].plug(hosts[1])
    net.ip(guests[0].name, "link", "set", guests[0].device[hosts[1].name], "up")
    beats = [Beats(guests[0], guests[1]), Beats(guests[1], guests[0])]
    for each in beats:
        each.wait(50)
    top_names_who_talks(hosts[0], guests)
    status_shows_the_path(hosts[0], hosts[1])
    capture_is_read_by_tcpdump(hosts[0], guests[0], directory)
    metrics_are_served(net, hosts[0], hosts[1])
    an_announcement_elsewhere_is_told(hosts[1], guests[0])
    for each in beats:
        each.stopping = True


if __name__ == "__main__":
    play("observation_test", story)
