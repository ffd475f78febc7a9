"""A host with a libvirt of its own, beside others on this machine: libvirtd and all it starts live in private mount, UTS, PID,
IPC and network namespaces, with /run, /etc/libvirt, /var/lib/libvirt, /var/log/libvirt and /var/cache/libvirt of their own.
Its first process ends with the test, and everything in there with it, mounts and devices too: nothing is left to remove."""
import ctypes
import os
import shutil
import signal
import subprocess
import time
import uuid
from pathlib import Path

from rig.patience import PATIENCE_S

QEMU_CONF = """
# The cgroups are not in any namespace of ours: hosts of one machine would meet there.
cgroup_controllers = []
namespaces = []
stdio_handler = "file"
remember_owner = 0
"""
LIBVIRTD_CONF = 'host_uuid = "{uuid}"\nauth_unix_rw = "none"\nlog_outputs = "2:file:/var/log/libvirt/libvirtd.log"\n'
# bash is process 1 in there, and so takes the orphans' places: QEMU daemonizes.
INIT = r"""
set -e
for each in etc/libvirt var/lib/libvirt var/log/libvirt var/cache/libvirt; do mkdir -p /$each; mount --bind $DIR/$each /$each; done
mount --bind $DIR/machine-id /etc/machine-id
mount -t tmpfs -o mode=755 tmpfs /run
hostname $NAME
ip link set lo up
set +e
/usr/sbin/libvirtd &
wait
"""


def die_with_parent():
    ctypes.CDLL(None, use_errno=True).prctl(1, signal.SIGKILL)


def wait_for(condition, what, limit_s=PATIENCE_S):
    deadline = time.monotonic() + limit_s
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {limit_s} s")
        time.sleep(0.02)


def children(pid):
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def kill(started):
    """What LibvirtHost.start() started: nsenter's child."""
    for each in children(started.pid):
        os.kill(each, signal.SIGKILL)
    started.wait()


class LibvirtHost:
    """`directory` becomes this host's; `name` its host name."""

    def __init__(self, name, directory):
        self.name, self.directory = name, Path(directory)
        self._make_directories()
        words = ["unshare", "--mount", "--uts", "--ipc", "--net", "--pid", "--fork", "--kill-child=KILL", "--mount-proc",
                 "--propagation", "private", "bash", "-c", INIT]
        with open(self.directory / "init.log", "wb") as log:
            self._unshare = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=die_with_parent,
                                             env={**os.environ, "DIR": str(self.directory), "NAME": name})
        self.pid = None
        wait_for(self._born, f"{name}: namespaces")
        wait_for(lambda: self.path("/run/libvirt/libvirt-sock").exists(), f"{name}: libvirtd")
        wait_for(lambda: self.virsh("version", check=False).returncode == 0, f"{name}: libvirtd answers")

    def _make_directories(self):
        libvirt_qemu = shutil.chown  # by name, as Debian's package made the user
        for each in ("var/lib/libvirt/images", "var/lib/libvirt/qemu", "var/log/libvirt/qemu", "var/cache/libvirt/qemu"):
            (self.directory / each).mkdir(parents=True)
        for each in ("var/lib/libvirt/qemu", "var/cache/libvirt/qemu"):
            libvirt_qemu(self.directory / each, "libvirt-qemu")
        shutil.copytree("/etc/libvirt", self.directory / "etc/libvirt")
        shutil.rmtree(self.directory / "etc/libvirt/qemu/networks")
        (self.directory / "etc/libvirt/qemu.conf").write_text(QEMU_CONF)
        (self.directory / "etc/libvirt/libvirtd.conf").write_text(LIBVIRTD_CONF.format(uuid=uuid.uuid4()))
        (self.directory / "machine-id").write_text(uuid.uuid4().hex + "\n")

    def _born(self):
        if self._unshare.poll() is not None:
            raise RuntimeError(f"{self.name}: {(self.directory / 'init.log').read_text()}")
        self.pid = next(iter(children(self._unshare.pid)), None)
        return self.pid is not None

    def path(self, inside):
        """The same file, as seen from outside."""
        return Path(f"/proc/{self.pid}/root{inside}")

    def words(self, *words):
        return ["nsenter", "--target", str(self.pid), "--mount", "--uts", "--ipc", "--net", "--pid", "--", *words]

    def run(self, *words, check=True, limit_s=PATIENCE_S):
        done = subprocess.run(self.words(*words), capture_output=True, text=True, check=False, timeout=limit_s)
        if check and done.returncode != 0:
            raise RuntimeError(f"{self.name}: {' '.join(words)}: {done.stderr.strip() or done.returncode}")
        return done

    def virsh(self, *words, check=True, limit_s=PATIENCE_S):
        return self.run("virsh", "-c", "qemu:///system", *words, check=check, limit_s=limit_s)

    def start(self, log, *words):
        """A process that ends with the host."""
        with open(self.directory / log, "ab") as output:
            return subprocess.Popen(self.words(*words), stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                                    preexec_fn=die_with_parent)

    def domains(self):
        return self.virsh("list", "--all", "--name").stdout.split()

    def guests_now(self):
        """What QEMU says of each guest: for whom a test that failed has to tell where it hangs."""
        for guest in self.domains():
            yield f"{self.name}: {guest}", self.virsh("domstate", "--reason", guest, check=False).stdout.strip()
            for command in ("info chardev", "info registers", "info irq", "info blockstats"):
                said = self.virsh("qemu-monitor-command", "--hmp", guest, command, check=False, limit_s=20)
                yield f"{self.name}: {guest}: {command}", (said.stdout or said.stderr).strip()

    def logs(self):
        for log in sorted([*self.directory.glob("*.log"), *self.directory.glob("var/log/libvirt/**/*.log")]):
            yield log, log.read_text(errors="replace")

    def end(self):
        self._unshare.kill()
        self._unshare.wait()
        if self.pid:
            wait_for(lambda: not Path(f"/proc/{self.pid}").exists(), f"{self.name}: the end of its processes")


def cable(a, a_address, b, b_address):
    """One veth between two hosts, with an address at each end."""
    subprocess.run(["ip", "link", "add", "wan0", "netns", str(a.pid), "type", "veth", "peer", "name", "wan0", "netns", str(b.pid)],
                   check=True)
    for host, address in ((a, a_address), (b, b_address)):
        host.run("ip", "addr", "add", f"{address}/24", "dev", "wan0")
        host.run("ip", "link", "set", "wan0", "up")
