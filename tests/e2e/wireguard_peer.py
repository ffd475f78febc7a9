#!/usr/bin/env python3
"""Debian's unmodified wireguard-go and our sessions: each begins, each restarts, keys are renewed, a peer roams.

Usage: wireguard_peer.py SESSION_LEAF    (needs root, /dev/net/tun, wireguard-go and wg; about 40 s)
"""
import contextlib
import hashlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

from rig.net import Net, run
from rig.patience import PATIENCE_S
from rig.wireguard import WireGuardGo, make_key, to_hex, wait_for_device

PORT = 51820
OURS, THEIRS = "10.9.0.1", "10.9.0.2"  # inside the session
# What would bring the session back if we did not: WireGuard's silence of 10 + 5 s at the other end, and the renewal after 120 s.
THEY_BEGIN_S, RENEWED_S = 15, 120


def check(holds, what):
    if not holds:
        raise AssertionError(f"does not hold: {what}")
    print(f"  {what}")


class Ends:
    """Both ends, each in a namespace of its own, with a cable between them."""

    def __init__(self, net, leaf, directory):
        self.net, self.leaf_program, self.directory = net, leaf, directory
        self.theirs = WireGuardGo(net, "b", directory)
        self.device = self.theirs.device
        self.our_key, self.their_key = make_key(), make_key()
        self.psk = run("wg", "genpsk").strip()
        self.processes = {}
        for name, address in (("a", "192.0.2.1/24"), ("b", "192.0.2.2/24")):
            net.add(name)
            if name == "b":
                net.cable("a", "eth0", "b", "eth0")
                net.ip("a", "addr", "add", "192.0.2.1/24", "dev", "eth0")
                net.ip("a", "link", "set", "eth0", "up")
                net.ip("b", "addr", "add", address, "dev", "eth0")
                net.ip("b", "link", "set", "eth0", "up")

    def start(self, name, *words, **options):
        with self.net.inside(name):
            self.processes[name] = subprocess.Popen(words, stdin=subprocess.PIPE, **options)

    def stop(self, name):
        if name == "b":
            self.theirs.stop()
            return
        process = self.processes.pop(name, None)
        if process is None:
            return
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdin.close()

    def start_ours(self, begins=True, pace=1):
        words = [self.leaf_program, "tun0", str(PORT), "wireguard", to_hex(self.our_key[0]), to_hex(self.their_key[1]),
                 to_hex(self.psk), str(pace)]
        self.start("a", *words, *(["192.0.2.2", str(PORT)] if begins else []))
        wait_for_device(self.net, "a", "tun0", self.processes["a"])
        self.net.ip("a", "addr", "add", f"{OURS}/24", "dev", "tun0")
        self.net.ip("a", "link", "set", "tun0", "up", "mtu", "1420")

    def start_theirs(self, endpoint=True):
        self.theirs.start(self.their_key[0], f"{THEIRS}/24", self.our_key[1], "preshared-key",
                          self.theirs.file("psk", self.psk), "allowed-ips", f"{OURS}/32",
                          *(["endpoint", f"192.0.2.1:{PORT}"] if endpoint else []))
        self.wg("set", self.device, "listen-port", str(PORT))

    def wg(self, *words):
        return self.theirs.wg(*words)

    def ping(self, name, address, *options):
        return subprocess.run(["ip", "netns", "exec", self.net.full(name), "ping", "-q", *options, address],
                              capture_output=True, text=True, check=False)

    def reaches(self, name, address, limit_s=PATIENCE_S):
        """The seconds it took until one echo came back."""
        began = time.monotonic()
        while time.monotonic() < began + limit_s:
            if self.ping(name, address, "-c1", "-W1").returncode == 0:
                return time.monotonic() - began
        raise AssertionError(f"does not hold: {name} reaches {address} within {limit_s} s")

    def handshakes(self):
        return self.wg("show", self.device, "latest-handshakes").split()[-1]

    def close(self):
        for name in list(self.processes):
            self.stop(name)
        self.theirs.kill()


def streams_pass(ends):
    """3 MB of TCP each way, in segments of every size."""
    payload = hashlib.shake_256(b"payload").digest(3_000_000)
    for sender, receiver, address in (("a", "b", THEIRS), ("b", "a", OURS)):
        with ends.net.inside(receiver):
            listener = socket.create_server((address, 0))
        got = []

        def drain(listener=listener, got=got):
            with listener, listener.accept()[0] as stream:
                while part := stream.recv(65536):
                    got.append(part)

        thread = threading.Thread(target=drain)
        thread.start()
        with ends.net.inside(sender):
            stream = socket.socket()
        with stream:
            stream.settimeout(PATIENCE_S)
            stream.connect(listener.getsockname())
            stream.sendall(payload)
        thread.join()
        check(b"".join(got) == payload, f"3 MB of TCP from {sender} to {receiver} arrive unaltered")


def story(ends):
    print("wireguard-go begins")
    ends.start_ours(begins=False)
    ends.start_theirs()
    print(f"  it reaches us, after {ends.reaches('b', OURS):.1f} s")
    print(f"  and we it, at the address that it came from, after {ends.reaches('a', THEIRS):.1f} s")
    for size in (0, 1, 15, 16, 17, 1391, 1392):
        check(ends.ping("a", THEIRS, "-c2", "-i0.02", f"-W{PATIENCE_S}", f"-s{size}").returncode == 0, f"{size} bytes there and back")
    streams_pass(ends)

    print("we restart, and begin")
    ends.stop("a")
    ends.start_ours()
    took = ends.reaches("a", THEIRS)
    check(took < THEY_BEGIN_S, f"the session is back by itself, in {took:.1f} s")

    print("wireguard-go restarts, and doesn't know where we are")
    ends.stop("b")
    ends.start_theirs(endpoint=False)
    took = ends.reaches("a", THEIRS)
    check(took < RENEWED_S, f"we notice its silence, {took:.1f} s")

    print("we roam")
    ends.net.ip("a", "addr", "add", "192.0.2.7/24", "dev", "eth0")
    ends.net.ip("a", "addr", "del", "192.0.2.1/24", "dev", "eth0")
    ends.net.ip("a", "addr", "replace", "192.0.2.7/24", "dev", "eth0")
    print(f"  from another address, after {ends.reaches('a', THEIRS):.1f} s")
    check("192.0.2.7" in ends.wg("show", ends.device, "endpoints"), "wireguard-go has followed")
    print(f"  and answers there, after {ends.reaches('b', OURS):.1f} s")

    print("keys are renewed")
    ends.stop("a")
    ends.start_ours(pace=60)  # every two seconds
    ends.reaches("a", THEIRS)
    before = ends.handshakes()
    done = ends.ping("a", THEIRS, "-c80", "-i0.1", f"-W{PATIENCE_S}")
    check(" 0% packet loss" in done.stdout, "80 echoes in 8 s, none lost")
    check(int(ends.handshakes()) >= int(before) + 5, "through several sessions")


def main():
    if os.geteuid() != 0:
        sys.exit("wireguard_peer: it makes network namespaces and TUNs: run it as root")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("wireguard_peer: terminated"))
    net = Net(f"gwwg{os.getpid()}")
    with tempfile.TemporaryDirectory(prefix="godwit-wireguard.") as directory:
        ends = None
        try:
            ends = Ends(net, os.path.abspath(sys.argv[1]), directory)
            story(ends)
        except BaseException:
            with contextlib.suppress(OSError), open(os.path.join(directory, "wireguard-go.log"), encoding="utf-8") as log:
                sys.stderr.write(log.read()[-4000:])
            raise
        finally:
            if ends:
                ends.close()
            net.remove()
    print("wireguard_peer: passed")


if __name__ == "__main__":
    main()
