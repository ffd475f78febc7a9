"""Two hosts with a WAN between them, as `godwit lab` makes it, and `godwit tunnel` at both: the data plane of the agents."""
import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

from figures import REPOSITORY
from stage import run

sys.path.insert(0, str(REPOSITORY / "tests/e2e"))
from guest_rig import end_with_parent  # noqa: E402
from rig.net import Net  # noqa: E402

from .guests import wait_until  # noqa: E402

HERE, THERE = "here", "there"
PORT = 7443  # in namespaces of their own
OWNER = "nobody"  # by whom rig.qemu.Vm runs QEMU
CLOUDS = {HERE: "cloud-a", THERE: "cloud-b"}
READY_LIMIT_S, END_LIMIT_S = 60, 20
LAB = """
[wan]
rate = "{rate}"
round_trip = "40ms"
[[cloud]]
name = "cloud-a"
nat = false
hosts = ["here"]
[[cloud]]
name = "cloud-b"
nat = false
hosts = ["there"]
"""


def other(host):
    return THERE if host == HERE else HERE


class Wan:
    """A lab of two clouds with a host each; a context manager. Bytes are those of one cloud's router on its WAN interface, both
    directions: a TUN device without segmentation offload, so each packet is counted as it crosses, acknowledgements included."""

    def __init__(self, godwit, directory, rate):
        self.godwit, self.directory, self.rate = Path(godwit).absolute(), Path(directory), rate
        self.name = f"bmig{os.getpid()}"
        self.net = Net(f"gw-{self.name}")  # its namespaces are the lab's
        self.addresses = {}

    def __enter__(self):
        config = self.directory / "lab.toml"
        config.write_text(LAB.format(rate=self.rate), encoding="utf-8")
        run([self.godwit, "lab", "up", config, "--name", self.name, "--bare"], limit_s=60)
        for host in CLOUDS:
            self.addresses[host] = self.exec(host, "ip", "-4", "-o", "addr", "show", "dev", "eth0").split()[3].split("/")[0]
        return self

    def __exit__(self, *_):
        run([self.godwit, "lab", "down", self.name], limit_s=60)

    def words(self, node, *words):
        return ["ip", "netns", "exec", self.net.full(node), *(str(word) for word in words)]

    def exec(self, node, *words):
        return run(self.words(node, *words), limit_s=20)

    def bytes(self):
        for line in self.exec(f"{CLOUDS[HERE]}-router", "cat", "/proc/net/dev").splitlines():
            name, _, counters = line.partition(":")
            if name.strip() == "wan0":
                return int(counters.split()[0]) + int(counters.split()[8])
        raise RuntimeError("the router has no wan0")


class Tunnels:
    """`godwit tunnel both` at both hosts, with stores that know nothing yet; a context manager. Each host has a directory of its
    own, which the other's tunnel doesn't see: on real hosts the paths of both are the same."""

    def __init__(self, wan, directory, image_files, encodings, guests):
        self.wan, self.directory, self.image_files = wan, Path(directory), image_files
        self.encodings, self.guests = encodings, max(guests, 2)  # of several each has a number in its paths
        self.running = {}

    def __enter__(self):
        self.directory.mkdir()
        self.directory.chmod(0o711)
        run([self.wan.godwit, "tunnel", "keys", HERE, THERE, "--directory", self.directory / "keys"])
        try:
            for host in CLOUDS:
                self.start(host)
            for host in CLOUDS:
                wait_until(f"the tunnel at {host}", lambda at=host: self.ready(at), READY_LIMIT_S)
        except BaseException:
            self.__exit__()
            raise
        return self

    def start(self, host):
        to = other(host)
        images = [word for file in self.image_files for word in ("--image", file)]
        words = self.wan.words(
            host, self.wan.godwit, "tunnel", "both", "--keys", self.directory / f"keys/{host}.keys", "--directory",
            self.directory / host, "--listen", f"{self.wan.addresses[host]}:{PORT}", "--to", f"{self.wan.addresses[to]}:{PORT}",
            "--peer", to, "--guests", self.guests, "--encodings", self.encodings, "--store", self.directory / f"store-{host}",
            "--owner", OWNER, *images)
        with open(self.directory / f"{host}.log", "wb") as log:
            self.running[host] = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                                                  preexec_fn=end_with_parent)

    def log(self, host):
        return (self.directory / f"{host}.log").read_text(encoding="utf-8", errors="replace")

    def ready(self, host):
        if self.running[host].poll() is not None:
            raise RuntimeError(f"the tunnel at {host} has ended: {self.log(host)[-1000:]}")
        return self.socket_there(host, other(host), self.guests, "memory").exists() and "ready" in self.log(host)

    def socket_there(self, at, to, number, channel):
        """The path of guest `number`'s channel at host `at`, for guests on their way to host `to`."""
        return self.directory / at / f"to-{to}" / f"{number}.{channel}"

    def __exit__(self, *_):
        for process in self.running.values():
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
        for process in self.running.values():
            try:
                process.wait(END_LIMIT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
