"""tests/e2e/guest_rig.py: boots guest images in a network namespace of their own, that ends with the test.

A test's main() starts it anew inside; there it has a bridge with DHCP and DNS (dnsmasq), and a
TAP for each guest. Nothing outlives the test: the namespace ends with its last process, and QEMU and dnsmasq with the test.
"""
import ctypes
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
import unittest
from dataclasses import dataclass, field
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
GATEWAY = "10.7.0.1"
METADATA = "169.254.169.254"
MTU = 1400
INSIDE = "GODWIT_GUEST_RIG"


def enter_namespace():
    """Re-executes the program in a network namespace without a name; returns in there, with the loopback up."""
    if not os.environ.get(INSIDE):
        for what, where in (("unshare", "util-linux"), ("ip", "iproute2"), ("dnsmasq", "dnsmasq-base"),
                            ("qemu-system-x86_64", "qemu-system-x86")):
            if not shutil.which(what):
                sys.exit(f"{sys.argv[0]}: \"{what}\" is missing: apt-get install {where}")
        if os.geteuid() != 0 or not os.path.exists("/dev/net/tun"):
            sys.exit(f"{sys.argv[0]}: needs root and /dev/net/tun, to give guests a network of their own")
        os.environ[INSIDE] = "1"
        os.execvp("unshare", ["unshare", "--net", "--", sys.executable, *sys.argv])
    run("ip", "link", "set", "lo", "up")


def run(*command):
    subprocess.run(command, check=True)


def end_with_parent():
    """In a child, before it starts: the kernel ends it when the test does, however that happens."""
    ctypes.CDLL(None, use_errno=True).prctl(1, signal.SIGKILL)


def main(test, script, name):
    """Runs the TestCase `test` on the image that images/SCRIPT makes; sets its `image` and `manifest`."""
    if len(sys.argv) < 3 or sys.argv[1] != "--cache":
        sys.exit(sys.modules["__main__"].__doc__)
    image = Path(sys.argv[2]).resolve() / name
    if not os.environ.get(INSIDE):  # it may need the network, that there is outside alone
        run(str(REPOSITORY / "images" / script), str(image))
    enter_namespace()
    test.image = image
    test.manifest = json.loads((image / "manifest.json").read_text())
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]])


@dataclass
class Member:
    """One guest's place on the bridge."""
    name: str
    number: int

    @property
    def ip(self):
        return f"10.7.0.{self.number + 1}"

    @property
    def mac(self):
        return f"52:54:00:07:00:{self.number + 1:02x}"

    @property
    def tap(self):
        return f"tap{self.number}"


@dataclass
class Lan:
    """A bridge with a gateway address, DHCP, DNS and the metadata address, and a TAP for each member."""
    names: list
    directory: Path
    members: list = field(default_factory=list)

    def __enter__(self):
        self.members = [Member(name, number) for number, name in enumerate(self.names, start=1)]
        run("ip", "link", "add", "lan", "type", "bridge")
        run("ip", "addr", "add", GATEWAY + "/24", "dev", "lan")
        run("ip", "addr", "add", METADATA + "/32", "dev", "lo")
        run("ip", "link", "set", "lan", "up")
        for member in self.members:
            run("ip", "tuntap", "add", member.tap, "mode", "tap")
            run("ip", "link", "set", member.tap, "mtu", str(MTU), "master", "lan", "up")
        self.dnsmasq = subprocess.Popen(self._dnsmasq(), preexec_fn=end_with_parent)
        return self

    def __exit__(self, *_):
        self.dnsmasq.terminate()
        self.dnsmasq.wait()

    def _dnsmasq(self):
        options = ["--conf-file=/dev/null", "--keep-in-foreground", "--user=root", "--no-resolv", "--no-hosts", "--quiet-dhcp",
                   "--log-facility=" + str(self.directory / "dnsmasq.log"), "--pid-file", "--interface=lan", "--bind-interfaces",
                   "--dhcp-authoritative", "--dhcp-leasefile=" + str(self.directory / "leases"), "--no-ping",
                   "--domain=cluster.internal", "--local=/cluster.internal/", "--expand-hosts",
                   "--dhcp-range=10.7.0.0,static,255.255.255.0,infinite", f"--dhcp-option=option:mtu,{MTU}",
                   f"--dhcp-option=option:router,{GATEWAY}", "--dhcp-option=option:domain-search,cluster.internal"]
        for member in self.members:
            options.append(f"--dhcp-host={member.mac},{member.ip},{member.name}")
            options.append(f"--host-record={member.name}.cluster.internal,{member.name},{member.ip}")
        return ["dnsmasq", *options]


class Guest:
    """One QEMU. Its serial console is kept in `console`, and written to the file console.log beside its disk."""

    def __init__(self, image, manifest, member, directory, memory_mib, append="", identity=None, disk_size=None,
                 options=()):
        self.started = time.monotonic()
        self.console = ""
        overlay = directory / f"{member.name}.qcow2"
        run("qemu-img", "create", "-q", "-f", "qcow2", "-F", manifest["format"], "-b", str(image / manifest["disk"]), str(overlay),
            *([disk_size] if disk_size else []))
        self.serial, theirs = socket.socketpair()
        self.log = open(directory / f"{member.name}.console.log", "wb")
        command = ["qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none", "-machine", "q35",
                   "-accel", "tcg,tb-size=256", "-device", "virtio-rng-pci",
                   "-m", f"{memory_mib * 1024 + 64}K",  # docs/decisions/emulated-dirty-pages.md
                   "-kernel", str(image / manifest["kernel"]), "-initrd", str(image / manifest["initrd"]),
                   "-append", f"{manifest['cmdline']} {append}".strip(),
                   "-drive", f"file={overlay},if=virtio,format=qcow2,discard=unmap,cache=unsafe",
                   "-netdev", f"tap,id=net0,ifname={member.tap},script=no,downscript=no",
                   "-device", f"virtio-net-pci,netdev=net0,mac={member.mac},romfile=",
                   "-chardev", f"socket,id=serial0,fd={theirs.fileno()}", "-serial", "chardev:serial0",
                   *(["-smbios", f"type=1,uuid={identity},serial={identity}"] if identity else []), *options]
        self.process = subprocess.Popen(command, pass_fds=[theirs.fileno()], preexec_fn=end_with_parent)
        theirs.close()

    def close(self):
        self.process.kill()
        self.process.wait()
        self.serial.close()
        self.log.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def wait_for(self, text, limit_s, times=1):
        """Reads the console until `text` was there `times` times; returns the seconds since the guest was started."""
        deadline = time.monotonic() + limit_s
        while self.console.count(text) < times:
            self._read(text, deadline)
        return time.monotonic() - self.started

    def _read(self, text, deadline):
        left = deadline - time.monotonic()
        ready, _, _ = select.select([self.serial], [], [], max(left, 0))
        some = self.serial.recv(65536) if ready else b""
        if not some:
            why = "QEMU ended" if ready else "time is up"
            raise AssertionError(f"waiting for {text!r} on the console: {why}; its end:\n{self.console[-2000:]}")
        self.log.write(some)
        self.log.flush()
        self.console += some.decode(errors="replace")


def connect(ip, port, limit_s):
    """A TCP connection to a guest that may still be booting."""
    deadline = time.monotonic() + limit_s
    while True:
        try:
            return socket.create_connection((ip, port), timeout=limit_s)
        except OSError:
            if time.monotonic() > deadline:
                raise
            select.select([], [], [], 0.05)
