"""Network namespaces, bridges and TAPs of one test; everything carries the test's prefix and goes when the test ends."""
import contextlib
import ctypes
import fcntl
import json
import os
import struct
import subprocess

TUNSETIFF = 0x400454CA  # linux/if_tun.h
IFF_TAP, IFF_NO_PI, IFF_VNET_HDR = 0x0002, 0x1000, 0x4000
CLONE_NEWNET = 0x40000000

libc = ctypes.CDLL(None, use_errno=True)


def run(*words):
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(words)}: {done.stderr.strip() or done.returncode}")
    return done.stdout


def enter(descriptor):
    if libc.setns(descriptor, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


class Net:
    """The namespaces PREFIX-NAME. `inside` moves only the calling thread, and what it opens or starts meanwhile."""

    def __init__(self, prefix):
        self.prefix, self.made = prefix, []

    def full(self, name):
        return f"{self.prefix}-{name}"

    def add(self, name):
        self.made.append(name)
        run("ip", "netns", "add", self.full(name))
        self.ip(name, "link", "set", "lo", "up")

    def ip(self, name, *words):
        return run("ip", "-n", self.full(name), *words)

    def bridge(self, name, bridge, address=None):
        self.ip(name, "link", "add", bridge, "type", "bridge", "forward_delay", "0")
        self.ip(name, "link", "set", bridge, "up")
        if address:
            self.ip(name, "addr", "add", address, "dev", bridge)

    def cable(self, a, a_device, b, b_device):
        self.ip(a, "link", "add", a_device, "type", "veth", "peer", "name", b_device, "netns", self.full(b))

    def plug(self, name, device, bridge):
        self.ip(name, "link", "set", device, "master", bridge)
        self.ip(name, "link", "set", device, "up")

    def learned_port(self, name, mac):
        """The port behind which the namespace's bridge knows `mac`, or None."""
        known = json.loads(run("ip", "netns", "exec", self.full(name), "bridge", "-j", "fdb", "show"))
        ports = [e["ifname"] for e in known if e["mac"] == mac and e.get("state") != "permanent"]
        return ports[0] if ports else None

    @contextlib.contextmanager
    def inside(self, name):
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        there = os.open(f"/run/netns/{self.full(name)}", os.O_RDONLY)
        try:
            enter(there)
            yield
        finally:
            enter(home)
            os.close(there)
            os.close(home)

    def tap(self, name, device):
        """Opens a TAP for QEMU to inherit; it lives as long as the descriptor."""
        with self.inside(name):
            descriptor = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
            fcntl.ioctl(descriptor, TUNSETIFF, struct.pack("16sH22x", device.encode(), IFF_TAP | IFF_NO_PI | IFF_VNET_HDR))
        return descriptor

    def remove(self):
        for name in self.made:
            subprocess.run(["ip", "netns", "del", self.full(name)], check=False)
