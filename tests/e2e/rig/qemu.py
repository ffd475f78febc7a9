"""One QEMU as the product runs it: absolute paths, an unprivileged uid, its own directory, seccomp, QMP on a unix socket."""
import json
import os
import signal
import socket
import subprocess
import time

from .guest import READY, Serial
from .patience import PATIENCE_S
from .qmp import Qmp

UNPRIVILEGED_UID = 65534  # nobody
SANDBOX = "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"


class Image:
    """A built image directory; its manifest.json is described in images/README.md."""

    def __init__(self, directory):
        with open(f"{directory}/manifest.json", encoding="utf-8") as file:
            manifest = json.load(file)
        self.disk, self.kernel, self.initrd = (f"{directory}/{manifest[k]}" for k in ("disk", "kernel", "initrd"))
        self.virtual_size_bytes, self.cmdline = manifest["virtual_size_bytes"], manifest["cmdline"]


def make_overlay(path, backing, size_bytes):
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", backing, path, str(size_bytes)],
                   check=True)


def listener(path):
    """Made before QEMU starts, so that nobody has to poll for it: a connection waits until QEMU accepts it."""
    if os.path.exists(path):
        os.unlink(path)
    made = socket.socket(socket.AF_UNIX)
    made.bind(path)
    made.listen(4)
    return made


class Vm:
    """A QEMU process in `directory` (made here, owned by `uid`). `options` are added to its command line."""

    def __init__(self, directory, image, name, *, cmdline="", memory_mib=96, tap_fd=None, mac=None, options=(),
                 uid=UNPRIVILEGED_UID, sandbox=SANDBOX, transcript=None, accel="tcg", cpu="qemu64", disk=True, monitors=1):
        self.directory, self.image, self.name, self.transcript = directory, image, name, transcript
        self.memory_mib, self.cmdline, self.tap_fd, self.mac = memory_mib, cmdline, tap_fd, mac
        self.options, self.uid, self.sandbox, self.accel, self.cpu = list(options), uid, sandbox, accel, cpu
        self.disk, self.monitors = disk, monitors
        self.overlay, self.console, self.log = (f"{directory}/{n}" for n in ("overlay.qcow2", "console.sock", "qemu.log"))
        self.console_log, self._said_before = f"{directory}/console.log", 0
        self.process, self.qmp = None, None
        os.makedirs(directory, exist_ok=True)
        os.chown(directory, uid, uid)

    def path(self, name):
        return f"{self.directory}/{name}"

    def make_overlay(self):
        make_overlay(self.overlay, self.image.disk, self.image.virtual_size_bytes)
        os.chown(self.overlay, self.uid, self.uid)

    def _disk_arguments(self):
        if not self.disk:
            return []
        return [
            "-blockdev", json.dumps({"driver": "file", "node-name": "overlay-file", "filename": self.overlay}),
            "-blockdev", json.dumps({"driver": "file", "node-name": "base-file", "filename": self.image.disk,
                                     "read-only": True}),
            "-blockdev", json.dumps({"driver": "qcow2", "node-name": "base", "file": "base-file", "read-only": True}),
            "-blockdev", json.dumps({"driver": "qcow2", "node-name": "overlay", "file": "overlay-file",
                                     "backing": "base"}),
            "-device", "virtio-blk-pci,id=disk0,drive=overlay"]

    def arguments(self, listeners):
        line = ["/usr/bin/qemu-system-x86_64", "-name", f"guest={self.name}", "-nodefaults", "-no-user-config",
                "-machine", "pc-q35-7.2", "-accel", self.accel, "-cpu", self.cpu, "-smp", "1",
                "-m", f"{self.memory_mib * 1024 + 64}K",  # docs/decisions/emulated-dirty-pages.md
                "-display", "none", "-msg", "timestamp=on", "-pidfile", self.path("pid"),
                "-kernel", self.image.kernel, "-initrd", self.image.initrd,
                "-append", f"{self.image.cmdline} {self.cmdline}", "-device", "virtio-rng-pci"]
        if self.sandbox:
            line += ["-sandbox", self.sandbox]
        for number, opened in enumerate(listeners[:-1]):
            line += ["-chardev", f"socket,id=qmp{number},fd={opened.fileno()},server=on,wait=off",
                     "-mon", f"chardev=qmp{number},mode=control"]
        line += ["-chardev", f"socket,id=console,fd={listeners[-1].fileno()},server=on,wait=off,"
                 f"logfile={self.console_log},logappend=on", "-serial", "chardev:console"]
        if self.tap_fd is not None:
            line += ["-netdev", f"tap,id=net0,fd={self.tap_fd},vhost=off",
                     "-device", f"virtio-net-pci,netdev=net0,mac={self.mac}"]
        return line + self._disk_arguments() + self.options

    def start(self):
        """Starts QEMU in the caller's network namespace and connects to it."""
        names = [f"qmp{n}.sock" for n in range(self.monitors)] + ["console.sock"]
        listeners = [listener(self.path(n)) for n in names]
        inherited = [one.fileno() for one in listeners] + ([self.tap_fd] if self.tap_fd is not None else [])
        with open(self.console_log, "ab") as said:
            os.chown(self.console_log, self.uid, self.uid)
            self._said_before = said.tell()
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(self.arguments(listeners), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            pass_fds=inherited, start_new_session=True, cwd="/", user=self.uid,
                                            group=self.uid, extra_groups=[], env={})
        for one in listeners:
            one.close()
        if self.tap_fd is not None:
            os.close(self.tap_fd)  # QEMU holds the only user end
        self.qmp = self.connect()
        return self

    def connect(self, monitor=0, limit_s=PATIENCE_S):
        return Qmp(self.path(f"qmp{monitor}.sock"), self.name, self.transcript, limit_s)

    def booted(self, limit_s=PATIENCE_S):
        """The console of a guest that is ready. Its log has also what was said before anybody listened."""
        until = time.monotonic() + limit_s
        while not self._is_ready():
            if time.monotonic() > until or self.process.poll() is not None:
                raise TimeoutError(f"{self.name} has not booted: {self.console_text()[-2000:]}")
            time.sleep(0.02)
        return Serial(self.console)

    def _is_ready(self):
        return any(READY.search(line) for line in self.console_text().splitlines(keepends=True) if line.endswith("\n"))

    def console_text(self):
        """Since this QEMU was started."""
        with open(self.console_log, "rb") as file:
            file.seek(self._said_before)
            return file.read().decode(errors="replace")

    def running(self):
        return self.process.poll() is None and self.qmp.call("query-status")["running"]

    def wait_exit(self, limit_s=PATIENCE_S):
        return self.process.wait(limit_s)

    def quit(self):
        self.qmp.call("quit")
        return self.wait_exit()

    def kill(self):
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait(PATIENCE_S)
        if self.qmp is not None:
            self.qmp.close()

    def log_text(self):
        with open(self.log, encoding="utf-8", errors="replace") as file:
            return file.read()
