"""What bench_overlay compares: each joins two namespaces, a and b, that one veth joins, and says where to measure.

Debian's programs, as their manuals configure them. Each gets namespaces of its own; `ends` are (client, server, address).
"""
import json
import os
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests/e2e"))
from rig.net import run  # noqa: E402
from rig.switch import Guest, Segment, SwitchProcess, configure, wait_for  # noqa: E402

UNDERLAY = {"a": "10.1.0.1", "b": "10.1.0.2"}
INSIDE = {"a": "10.9.0.1", "b": "10.9.0.2"}
OTHER = {"a": "b", "b": "a"}
UP_LIMIT_S = 20


class Contender:
    """Two namespaces on one veth. What is measured on it runs in them, or in what build() makes of them."""
    name, devices = None, ()

    def __init__(self, net, directory):
        self.net, self.directory, self.processes = net, Path(directory) / type(self).__name__, []
        self.directory.mkdir()
        for end in "ab":
            net.add(self.space(end))
        net.cable(self.space("a"), "up0", self.space("b"), "up0")
        for end in "ab":
            net.ip(self.space(end), "addr", "add", f"{UNDERLAY[end]}/24", "dev", "up0")
            net.ip(self.space(end), "link", "set", "up0", "up")
        self.build()
        client, _, address = self.ends
        wait_for(lambda: subprocess.run(["ip", "netns", "exec", net.full(client), "ping", "-c1", "-W1", address], check=False,
                                        stdout=subprocess.DEVNULL).returncode == 0, f"{self.name} is up", UP_LIMIT_S)

    def space(self, end):
        return f"{type(self).__name__[:6].lower()}{end}"

    def build(self):
        pass

    @property
    def ends(self):
        return self.space("a"), self.space("b"), INSIDE["b"]

    def spawn(self, end, *words, **environment):
        with self.net.inside(self.space(end)), open(self.directory / "log", "ab") as log:
            self.processes.append(subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                                   env={**os.environ, **environment}))

    def address(self, end, device, prefix=24):
        self.net.ip(self.space(end), "addr", "add", f"{INSIDE[end]}/{prefix}", "dev", device)
        self.net.ip(self.space(end), "link", "set", device, "up")

    def await_device(self, end, device):
        wait_for(lambda: device in run("ip", "-n", self.net.full(self.space(end)), "link"), f"{self.name}: {device}")

    def offloads(self, on):
        word = "on" if on else "off"
        for end in "ab":
            run("ip", "netns", "exec", self.net.full(self.space(end)), "ethtool", "-K", "up0", "tso", word, "gso", word,
                "tx-udp-segmentation", word)

    def close(self):
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


class Raw(Contender):
    name = "raw veth"

    @property
    def ends(self):
        return self.space("a"), self.space("b"), UNDERLAY["b"]


class Vxlan(Contender):
    name = "kernel VXLAN"

    def build(self):
        for end in "ab":
            vxlan(self, end, UNDERLAY[OTHER[end]], "up0", INSIDE[end])


def vxlan(contender, end, remote, over, address):
    contender.net.ip(contender.space(end), "link", "add", "vx0", "type", "vxlan", "id", "7", "remote", remote, "dstport", "4789",
                     "dev", over)
    contender.net.ip(contender.space(end), "addr", "add", f"{address}/24", "dev", "vx0")
    contender.net.ip(contender.space(end), "link", "set", "vx0", "up")


class WireguardGo(Contender):
    name = "wireguard-go"

    def device(self, end):
        return f"gw{os.getpid() % 100000}{type(self).__name__[0].lower()}{end}"  # the name of its control socket too

    def build(self):
        keys = {end: run("wg", "genkey").strip() for end in "ab"}
        public = {end: subprocess.run(["wg", "pubkey"], input=keys[end], capture_output=True, text=True,
                                      check=True).stdout.strip() for end in "ab"}
        for end in "ab":
            device = self.device(end)
            self.spawn(end, "wireguard-go", "-f", device, WG_I_PREFER_BUGGY_USERSPACE_TO_POLISHED_KMOD="1")
            wait_for(Path(f"/var/run/wireguard/{device}.sock").exists, "wireguard-go listens")
            (self.directory / end).write_text(keys[end], encoding="ascii")
            run("wg", "set", device, "private-key", str(self.directory / end), "listen-port", "51820", "peer", public[OTHER[end]],
                "allowed-ips", "10.9.0.0/24", "endpoint", f"{UNDERLAY[OTHER[end]]}:51820")
            self.net.ip(self.space(end), "link", "set", device, "mtu", "1420")
            self.address(end, device)


class VxlanWireguard(WireguardGo):
    name = "VXLAN over wireguard-go"

    def build(self):
        super().build()
        for end in "ab":
            vxlan(self, end, INSIDE[OTHER[end]], self.device(end), INSIDE[end].replace("10.9.0", "10.9.1"))

    @property
    def ends(self):
        return self.space("a"), self.space("b"), "10.9.1.2"


class Nebula(Contender):
    name = "nebula"

    def build(self):
        where = str(self.directory)
        run("nebula-cert", "ca", "-name", "bench", "-out-crt", f"{where}/ca.crt", "-out-key", f"{where}/ca.key")
        for end in "ab":
            run("nebula-cert", "sign", "-ca-crt", f"{where}/ca.crt", "-ca-key", f"{where}/ca.key", "-name", end, "-ip",
                f"{INSIDE[end]}/24", "-out-crt", f"{where}/{end}.crt", "-out-key", f"{where}/{end}.key")
            other = OTHER[end]
            anything = [{"port": "any", "proto": "any", "host": "any"}]
            config = {"pki": {"ca": f"{where}/ca.crt", "cert": f"{where}/{end}.crt", "key": f"{where}/{end}.key"},
                      "static_host_map": {INSIDE[other]: [f"{UNDERLAY[other]}:4242"]},
                      "lighthouse": {"am_lighthouse": False}, "listen": {"host": "0.0.0.0", "port": 4242},
                      "tun": {"dev": f"neb-{end}"}, "firewall": {"outbound": anything, "inbound": anything}}
            (self.directory / f"{end}.yml").write_text(json.dumps(config), encoding="ascii")
            self.spawn(end, "nebula", "-config", f"{where}/{end}.yml")


class Tinc(Contender):
    name = "tinc"

    def build(self):
        for end in "ab":
            where = self.directory / end
            (where / "hosts").mkdir(parents=True)
            (where / "tinc.conf").write_text(f"Name = {end}\nInterface = tinc{end}\nConnectTo = {OTHER[end]}\n", encoding="ascii")
            (where / "hosts" / end).write_text(f"Address = {UNDERLAY[end]}\nSubnet = {INSIDE[end]}/32\n", encoding="ascii")
            subprocess.run(["tincd", "-c", str(where), "-K", "2048"], stdin=subprocess.DEVNULL, capture_output=True, check=True)
        for end in "ab":
            where = self.directory / OTHER[end] / "hosts" / end
            where.write_bytes((self.directory / end / "hosts" / end).read_bytes())
        for end in "ab":
            where = self.directory / end
            self.spawn(end, "tincd", "-c", str(where), "-D", f"--pidfile={where}/pid")
            self.await_device(end, f"tinc{end}")
            self.address(end, f"tinc{end}")


class N2n(Contender):
    name = "n2n"

    def build(self):
        self.spawn("a", "supernode", "-l", "7700")
        for end in "ab":
            self.spawn(end, "edge", "-d", f"n2n{end}", "-a", INSIDE[end], "-c", "bench", "-k", "a key of the bench", "-l",
                       f"{UNDERLAY['a']}:7700", "-u", "0", "-g", "0")
            time.sleep(0.2)


class Ours(Contender):
    """Instances' own path: a guest on a cable (as QEMU's TAP is), shipped switches at default settings."""
    name, program = "godwit", None

    def build(self):
        self.hosts = [SwitchProcess(self.net, self.space(end), UNDERLAY[end], str(self.program), str(self.directory))
                      for end in "ab"]
        for host in self.hosts:
            host.start()
        self.processes = [host.process for host in self.hosts]
        self.segment, self.guests = Segment(9), [Guest(self.net, 0, 9), Guest(self.net, 1, 9)]
        for guest, host in zip(self.guests, self.hosts):
            self.segment.place(guest, host)
            guest.plug(host)
        configure(self.hosts, self.segment)
        for guest, host in zip(self.guests, self.hosts):
            guest.start(host)

    @property
    def ends(self):
        return self.guests[0].name, self.guests[1].name, self.guests[1].ip

    def close(self):
        super().close()
        for host in self.hosts:
            subprocess.run(["ip", "netns", "del", self.segment.gateway(host)], check=False, stderr=subprocess.DEVNULL)


ALL = (Raw, Vxlan, WireguardGo, VxlanWireguard, Nebula, Tinc, N2n, Ours)
NEEDS = ("iperf3", "ethtool", "wireguard-go", "wg", "nebula", "nebula-cert", "tincd", "edge", "supernode")
