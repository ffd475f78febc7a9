"""The stage of the demo and of the end-to-end tests: a lab, its CLI, and ssh into the guests of a cluster."""
import json
import os
import shlex
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
SSH_LIMIT_S = 180


class Failed(Exception):
    """Something did not go as promised; the text is for people."""


def run(words, *, limit_s=600, feed=None, check=True, **options):
    """Runs a program to its end; gives its standard output."""
    try:
        done = subprocess.run([str(word) for word in words], input=feed, capture_output=True, text=True, timeout=limit_s, **options)
    except subprocess.TimeoutExpired:
        raise Failed(f"{shlex.join(str(word) for word in words)}: not within {limit_s} s") from None
    if check and done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()
        raise Failed(f"{shlex.join(str(word) for word in words)}: exit code {done.returncode}: {' / '.join(said[-3:])}")
    return done.stdout


def wait_until(what, condition, limit_s, pause_s=0.25):
    """Polls `condition` until it gives something true; gives that."""
    deadline = time.monotonic() + limit_s
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise Failed(f"{what}: not within {limit_s} s")
        time.sleep(pause_s)
    return found


class Lab:
    """A lab with all processes of Godwit, from `up` to `down`; a context manager."""

    def __init__(self, name, godwit, images, config=None, options=()):
        self.name, self.godwit, self.images = name, Path(godwit).absolute(), [Path(image).absolute() for image in images]
        self.config = [] if config is None else [config]  # a lab.toml
        self.options = options  # of `lab up`
        self.directory = Path("/var/lib/godwit/lab", name)

    def __enter__(self):
        if self.directory.exists():  # of a run that was killed
            self.down()
        words = [self.godwit, "lab", "up", *self.config, "--name", self.name, *self.options]
        for image in self.images:
            words += ["--image", image]
        run(words, limit_s=400)  # until the accounts on its clouds are there
        try:
            wait_until("the clouds' hosts", self.hosts_alive, 240)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        keep = os.environ.get("GODWIT_KEEP_LOGS")
        if keep and self.directory.exists():
            shutil.copytree(self.directory / "log", keep, dirs_exist_ok=True)
        self.down()

    def down(self):
        run([self.godwit, "lab", "down", self.name], limit_s=180)

    def exec(self, node, words, **options):
        return run([self.godwit, "lab", "exec", "--lab", self.name, node, "--", *words], **options)

    def cli(self, *words, limit_s=600, **options):
        """A user's command, at the user's node; its JSON."""
        out = self.exec("user", [self.godwit, *words, "--json"], limit_s=limit_s, **options)
        return json.loads(out) if out.strip() else {}

    def hosts_alive(self):
        try:
            hosts = [host for cloud in self.cli("host", "list", limit_s=60)["clouds"] for host in cloud["hosts"]]
        except (Failed, ValueError, KeyError):
            return False
        wanted = len(list((self.directory / "hosts").iterdir()))
        return sum(bool(host.get("alive")) for host in hosts) >= wanted

    def namespace_of(self, host):
        """The network namespace of a host's gateway: a place on the cluster's network."""
        prefix = f"gw-{self.name}-{host}-"
        found = [line.split()[0] for line in run(["ip", "netns", "list"]).splitlines() if line.startswith(prefix)]
        if not found:
            raise Failed(f"host {host} has no network of a cluster")
        return found[0]


class Key:
    """An ssh key for one run, in a directory that ends with it."""

    def __init__(self):
        self.directory = tempfile.TemporaryDirectory(prefix="godwit-demo.")
        self.path = Path(self.directory.name, "key")
        run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "godwit-demo", "-f", self.path])

    @property
    def public(self):
        return f"{self.path}.pub"


class Guest:
    """A member of the cluster, reached from the gateway of the host where it is."""

    def __init__(self, lab, key, member):
        self.lab, self.key = lab, key
        self.name, self.ip, self.cloud = member["name"], member["ip"], member["cloud"]
        self.words = ["ip", "netns", "exec", lab.namespace_of(member["host"]), "ssh", "-i", key.path, "-o", "BatchMode=yes",
                      "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR",
                      "-o", "ServerAliveInterval=15", "-o", "ServerAliveCountMax=12", "-o", "ConnectTimeout=60", f"root@{self.ip}"]

    def sh(self, command, *, limit_s=SSH_LIMIT_S, **options):
        return run([*self.words, command], limit_s=limit_s, **options)

    def put(self, path, target):
        self.sh(f"cat > {target}", feed=Path(path).read_text(encoding="utf-8"))

    def start(self, command, output):
        """A program whose standard output is read while it runs."""
        return subprocess.Popen([str(word) for word in [*self.words, command]], stdin=subprocess.DEVNULL, stdout=output,
                                stderr=subprocess.DEVNULL, start_new_session=True)
