#!/usr/bin/env python3
"""A laptop with Debian's unmodified wireguard-go joins a cluster of a lab by `godwit network join`, and leaves it again.

Usage: lab_leaf.py --godwit GODWIT --images DIR    (root, /dev/net/tun, wireguard-go and wg; about 90 s)
"""
import argparse
import configparser
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(REPOSITORY / "demo"), str(REPOSITORY / "tests/e2e")]

from rig.net import Net  # noqa: E402
from rig.patience import PATIENCE_S  # noqa: E402
from rig.wireguard import WireGuardGo, make_key  # noqa: E402
from stage import Failed, Lab, wait_until  # noqa: E402

CLUSTER, CLOUDS, BOOT_LIMIT_S = "demo", ("cloud-a", "cloud-b"), 240


def check(holds, what):
    if not holds:
        raise Failed(f"does not hold: {what}")
    print(f"  {what}", flush=True)


class LabNet(Net):
    """The lab's nodes, by their names; nothing of it is made or removed here."""

    def __init__(self, lab):
        super().__init__(f"gw-{lab.name}")


class Laptop(WireGuardGo):
    """In the node of the lab's user."""

    def join(self, text):
        """Does what wg-quick does with such a configuration; DNS is asked by hand."""
        said = configparser.ConfigParser()
        said.read_string(text)
        interface, peer = said["Interface"], said["Peer"]
        first, *others = [word.strip() for word in interface["Address"].split(",")]
        self.start(interface["PrivateKey"], first, peer["PublicKey"], "allowed-ips", peer["AllowedIPs"].replace(" ", ""),
                   "endpoint", peer["Endpoint"], "persistent-keepalive", peer["PersistentKeepalive"])
        for address in others:
            self.net.ip(self.name, "addr", "add", address, "dev", self.device)
        self.net.ip(self.name, "link", "set", self.device, "mtu", interface["MTU"])
        for network in peer["AllowedIPs"].split(","):
            self.net.ip(self.name, "route", "add", network.strip(), "dev", self.device)
        return interface["DNS"].split(",")[0].strip()


def reaches(lab, address):
    return subprocess.run(["ip", "netns", "exec", f"gw-{lab.name}-user", "ping", "-q", "-c1", "-W1", address],
                          capture_output=True, check=False).returncode == 0


def resolves(lab, server, name, kind):
    """Asks as a resolver does, by hand: the node's own configuration is the machine's."""
    question = b"".join(bytes([len(part)]) + part.encode() for part in name.split(".")) + b"\0"
    script = ("import socket,sys; s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM); s.settimeout(2)\n"
              "s.sendto(bytes.fromhex(sys.argv[2]),(sys.argv[1],53)); print(s.recv(512).hex())")
    query = b"\x12\x34\1\0\0\1\0\0\0\0\0\0" + question + {"A": b"\0\1", "AAAA": b"\0\x1c"}[kind] + b"\0\1"

    def answer():  # as a resolver does, again and again
        done = subprocess.run(["ip", "netns", "exec", f"gw-{lab.name}-user", "python3", "-c", script, server, query.hex()],
                              capture_output=True, text=True, check=False)
        return bytes.fromhex(done.stdout.strip()) if done.returncode == 0 else None
    said = wait_until(f"{server} answers for {name}", answer, PATIENCE_S)
    return said[-4:] if kind == "A" else said[-16:]


def play(lab, options, laptops):
    words = [word for cloud in CLOUDS for word in ("--member", f"on-{cloud}@{cloud}")]
    members = lab.cli("cluster", "create", CLUSTER, *words, "--image", "tiny")["members"]

    print("a laptop joins")
    leaf = lab.cli("network", "join", CLUSTER, "--wireguard")
    check(leaf["host"] in ("a1", "a2", "b1", "b2"), f"{leaf['cloud']}/{leaf['host']} serves it, at {leaf['endpoint']}")
    laptop = Laptop(LabNet(lab), "user", options.scratch)
    laptops.append(laptop)
    dns = laptop.join(leaf["configuration"])
    for each in members:
        wait_until(f"it reaches {each['name']}", lambda each=each: reaches(lab, each["ip"]), BOOT_LIMIT_S)
        print(f"  it reaches {each['name']} at {each['cloud']}")
    address = ".".join(map(str, resolves(lab, dns, f"{members[1]['name']}.{CLUSTER}.internal", "A")))
    check(address == members[1]["ip"], f"{members[1]['name']}.{CLUSTER}.internal is {address}, says the cluster's DNS")
    check(resolves(lab, dns, f"laptop.{CLUSTER}.internal", "A") == bytes(map(int, leaf["ip"].split("."))), "and itself is there")
    ipv6 = ":".join(resolves(lab, dns, f"gateway.{CLUSTER}.internal", "AAAA").hex()[i:i + 4] for i in range(0, 32, 4))
    wait_until(f"it reaches the gateway by IPv6, {ipv6}", lambda: reaches(lab, ipv6), PATIENCE_S)
    print(f"  it reaches the gateway by IPv6, {ipv6}", flush=True)

    print("its agent and its switch restart")
    for process in (["switch", "--control"], ["agent", "run", "--state"]):
        restart(lab, leaf["host"], process)
    wait_until("it reaches a member again", lambda: reaches(lab, members[0]["ip"]), PATIENCE_S)
    print("  it reaches a member again")

    print("it leaves")
    lab.cli("network", "leave", CLUSTER, "laptop")
    wait_until("it reaches nobody", lambda: not reaches(lab, members[0]["ip"]), PATIENCE_S)
    check(lab.cli("network", "leaves", CLUSTER)["leaves"] == [], "it reaches nobody, and is in no list")
    _, public = make_key()
    kept = lab.cli("network", "join", CLUSTER, "--wireguard", "--name", "office", "--key", public)
    check("# PrivateKey" in kept["configuration"], "who brings a key keeps it")
    lab.cli("cluster", "delete", CLUSTER, "--yes", "--wait", limit_s=600)
    print("  with the cluster the rest is gone")


def restart(lab, host, words):
    """Kills a process of a host and starts it as the lab did."""
    mine = f"{lab.directory}/hosts/{host}/"
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            line = Path("/proc", pid, "cmdline").read_text(encoding="utf-8", errors="replace").split("\0")
        except OSError:
            continue
        if line[0].endswith("/godwit") and line[1:1 + len(words)] == words and any(mine in word + "/" for word in line):
            os.kill(int(pid), signal.SIGKILL)
    name = words[0]
    script = (lab.directory / "start" / f"{host}.{name}").read_text(encoding="utf-8")
    # An agent joined once; from then on it only runs.
    kept = [each for each in script.splitlines() if not each.startswith(("until", "$godwit agent join", "  --", "rm "))]
    path = lab.directory / "start" / f"{host}.{name}-again"
    path.write_text("\n".join(kept if name == "agent" else script.splitlines()) + "\n", encoding="utf-8")
    path.chmod(0o700)
    subprocess.run([lab.godwit, "lab", "run", "--lab", lab.name, host, "--name", f"{name}-again", "--", path], check=True,
                   stdout=subprocess.DEVNULL)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--godwit", required=True, type=Path)
    parser.add_argument("--images", required=True, type=Path)
    options = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit("lab_leaf: it makes a lab: run it as root")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("lab_leaf: terminated"))  # by way of the lab's end
    laptops = []
    with tempfile.TemporaryDirectory(prefix="godwit-leaf.") as scratch:
        options.scratch = scratch
        name = f"l{os.getpid()}"
        with Lab(name, options.godwit, [options.images / "tiny"], REPOSITORY / "docs/ops/lab-open.toml") as lab:
            try:
                play(lab, options, laptops)
            finally:
                for each in laptops:
                    each.kill()
    print("lab_leaf: passed")


if __name__ == "__main__":
    try:
        main()
    except Failed as error:
        sys.exit(f"lab_leaf: {error}")
