"""Debian's unmodified wireguard-go in a namespace, and keys for it."""
import base64
import contextlib
import os
import signal
import subprocess
import time

from rig.net import run
from rig.patience import PATIENCE_S


def make_key():
    private = run("wg", "genkey").strip()
    public = subprocess.run(["wg", "pubkey"], input=private, capture_output=True, text=True, check=True).stdout.strip()
    return private, public


def to_hex(key):
    return base64.b64decode(key).hex()


def to_base64(key_hex):
    return base64.b64encode(bytes.fromhex(key_hex)).decode()


class WireGuardGo:
    """Its device is up, with `address`, once start() returns. Its log: DIRECTORY/wireguard-go.log."""

    def __init__(self, net, name, directory):
        self.net, self.name, self.directory = net, name, directory
        self.device = f"wg{os.getpid()}"  # its control socket goes by this name on the whole machine
        self.process = None

    def start(self, private, address, peer, *more):
        """`peer`: the other's public key; `more`: as `wg set … peer KEY` takes it."""
        log = os.path.join(self.directory, "wireguard-go.log")
        with open(log, "ab") as out, self.net.inside(self.name):
            self.process = subprocess.Popen(["wireguard-go", "-f", self.device], stdout=out, stderr=out,
                                            env={**os.environ, "LOG_LEVEL": "verbose"})
        wait_for_device(self.net, self.name, self.device, self.process)
        self.wg("set", self.device, "private-key", self.file("key", private), "peer", peer, *more)
        self.net.ip(self.name, "addr", "add", address, "dev", self.device)
        self.net.ip(self.name, "link", "set", self.device, "up")

    def file(self, name, text):
        path = os.path.join(self.directory, name)
        with open(path, "w", encoding="ascii") as file:
            file.write(text)
        return path

    def wg(self, *words):
        until = time.monotonic() + PATIENCE_S
        while True:  # its control socket comes a little after its device
            try:
                return run("ip", "netns", "exec", self.net.full(self.name), "wg", *words)
            except RuntimeError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.05)

    def stop(self):
        if self.process:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
        self.process = None

    def kill(self):
        self.stop()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(f"/var/run/wireguard/{self.device}.sock")


def wait_for_device(net, name, device, process):
    until = time.monotonic() + PATIENCE_S
    while subprocess.run(["ip", "-n", net.full(name), "link", "show", device], capture_output=True, check=False).returncode:
        if time.monotonic() > until or process.poll() is not None:
            raise RuntimeError(f"{device} in {name} does not come")
        time.sleep(0.02)
