"""The guests that every method starts from: Debian instances of one image, each with a role, booted as a cloud boots them and saved
once under .cache/bench/migration (0.3 GB each): NAME.memory is the migration stream of the paused guest, NAME.qcow2 its overlay.

A guest is saved only after its load has grown a whole minute long at the rate that its role says: one that stands idle under the
name of a load would flatter whoever finds siblings.
"""
import contextlib
import hashlib
import inspect
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from figures import REPOSITORY

sys.path.insert(0, str(REPOSITORY / "tests/e2e"))
import imds_stub  # noqa: E402
from guest_rig import Lan  # noqa: E402
from rig.net import Net  # noqa: E402
from rig.pair import set_capabilities  # noqa: E402
from rig.qemu import Image, Vm  # noqa: E402

CACHE = REPOSITORY / ".cache/bench/migration"
ROLES = Path(__file__).parent / "roles"
MEMORY_MIB = 512  # and what rig.qemu adds: docs/decisions/emulated-dirty-pages.md
AT_A_TIME = 4
BOOT_LIMIT_S, SAVE_LIMIT_S, LIVE_S = 600, 120, 60
# What a role's count is, and the least of it in a minute.
LOADS = {"idle": ("seconds", 30), "blast": ("searches", 3), "sqlite": ("transactions", 150), "dirty": ("MiB written", 144),
         "light": ("looks", 5)}
GANG = ("idle", "blast", "sqlite", "dirty")
COUNT = re.compile(rb"godwit-load (\d+)\r?\n")


class Lifeless(Exception):
    """A guest whose load doesn't go on; the text is for people."""


def gang(size):
    """Names of `size` guests, the roles in turn: idle1, blast1, sqlite1, dirty1, idle2, …"""
    return [f"{GANG[n % len(GANG)]}{n // len(GANG) + 1}" for n in range(size)]


ONE_MORE = "light1"
ALL = [ONE_MORE, *gang(8)]  # where a name stands here numbers it


@dataclass(frozen=True)
class Saved:
    """`number` makes its address and its identity; `memory` and `disk` are files."""
    name: str
    number: int
    memory: Path
    disk: Path

    @property
    def role(self):
        return self.name.rstrip("0123456789")


def identity(number):
    return f"ec2c0de0-0000-4000-8000-{number:012x}"


def mac(number):
    return f"52:54:00:07:00:{number + 1:02x}"  # as guest_rig.Lan numbers its members


WAITS = ("-incoming", "defer", "-S")  # for a stream


def machine(image, name, number, directory, tap_fd, *options):
    """A QEMU with the devices of the product's (src/hypervisor/command_line.cc), not started yet. It may start programs: QEMU 7.2
    reads and writes a stream in a file with the help of cat."""
    who = ["-uuid", identity(number), "-smbios", f"type=1,manufacturer=Godwit,serial={identity(number)}", "-no-shutdown"]
    return Vm(directory, Image(image), name, memory_mib=MEMORY_MIB, accel="tcg,tb-size=256", cpu="Nehalem", tap_fd=tap_fd,
              mac=mac(number), sandbox=None, options=[*who, *options])


def wait_until(what, condition, limit_s, pause_s=0.1):
    deadline = time.monotonic() + limit_s
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {limit_s:.0f} s")
        time.sleep(pause_s)
    return found


# ---- how a guest says that it lives: its load counts on the console

def count(vm):
    """How far its load has come, as far as this QEMU has heard; 0: nothing yet."""
    with open(vm.path("console.log"), "rb") as console:
        console.seek(max(0, os.stat(console.fileno()).st_size - 65536))
        said = console.read()
    if b"Kernel panic" in said:
        raise Lifeless(f"{vm.name}: its kernel has panicked: {said[-3000:].decode(errors='replace')}")
    found = COUNT.findall(said)
    return int(found[-1]) if found else 0


def wait_past(vm, least, limit_s):
    try:
        return wait_until(f"{vm.name}: a count past {least}", lambda: (counted := count(vm)) > least and counted, limit_s)
    except TimeoutError as error:
        raise Lifeless(str(error)) from error


def check_load(vm, role, before, after, seconds):
    unit, least = LOADS[role]
    per_minute = (after - before) * 60 / seconds
    print(f"    {vm.name}: {per_minute:.0f} {unit} a minute", flush=True)
    if per_minute < least:
        raise Lifeless(f"{vm.name}: {per_minute:.1f} {unit} a minute, fewer than {least}: its load does not really run")


# ---- made once

def user_data(role):
    load = {"path": "/usr/local/bin/godwit-load.py", "content": (ROLES / f"{role}.py").read_text(encoding="utf-8")}
    start = ["systemd-run", "--quiet", "--unit", "godwit-load", "python3", load["path"]]
    return "#cloud-config\n" + json.dumps({"write_files": [load], "runcmd": [start]})


def instance(saved, member):
    return imds_stub.Instance(f"i-{saved.number:017x}", member.name, member.mac, member.ip, "ssh-ed25519 AAAA benchmark",
                              user_data(saved.role))


def save(vm, saved):
    set_capabilities(vm.qmp, ["events"])
    vm.qmp.call("migrate-set-parameters", **{"max-bandwidth": 1 << 40})
    vm.qmp.call("stop")
    vm.qmp.call("migrate", uri=f"exec:cat > {vm.path('memory')}")
    ended = vm.qmp.wait("MIGRATION", SAVE_LIMIT_S, status=("completed", "failed"))["data"]["status"]
    if ended != "completed":
        raise RuntimeError(f"{saved.name} could not be saved: {vm.log_text()[-500:]}")
    vm.quit()
    shutil.move(vm.overlay, saved.disk)
    shutil.move(vm.path("memory"), saved.memory)  # last: with it the guest is there
    for path in (saved.disk, saved.memory):
        shutil.chown(path, "root", "root")


def boot_and_save(image, batch, net, members):
    print(f"  boots {', '.join(each.name for each in batch)}", flush=True)
    with tempfile.TemporaryDirectory(prefix="bench-guests.") as scratch, contextlib.ExitStack() as ends:
        os.chmod(scratch, 0o711)
        running = []
        for each in batch:
            tap = net.tap("guests", members[each.name].tap)
            running.append(machine(image, each.name, each.number, f"{scratch}/{each.name}", tap))
            ends.callback(running[-1].kill)
            running[-1].make_overlay()
            running[-1].start()
        for vm in running:
            wait_past(vm, 0, BOOT_LIMIT_S)
        began, before = time.monotonic(), [count(vm) for vm in running]
        time.sleep(LIVE_S)
        after, seconds = [count(vm) for vm in running], time.monotonic() - began
        for vm, each, first, last in zip(running, batch, before, after):
            check_load(vm, each.role, first, last, seconds)
        for vm, each in zip(running, batch):
            save(vm, each)


def directory_of(image):
    """Of the guests that this image and these roles make; those of others are of no use any more."""
    made_of = hashlib.sha256((image / "manifest.json").read_bytes())
    made_of.update((inspect.getsource(machine) + inspect.getsource(Vm.arguments)).encode())  # devices, and size of memory
    for path in sorted(ROLES.glob("*.py")):
        made_of.update(path.read_bytes())
    directory = CACHE / image.name / made_of.hexdigest()[:16]
    for other in directory.parent.glob("*"):
        if other != directory:
            shutil.rmtree(other)
    directory.mkdir(parents=True, exist_ok=True)
    return directory


def ensure(image, names):
    """Saved guests of these names, which are among ALL."""
    directory = directory_of(image)
    guests = [Saved(name, ALL.index(name) + 1, directory / f"{name}.memory", directory / f"{name}.qcow2") for name in names]
    missing = [each for each in guests if not each.memory.exists()]
    if not missing:
        return guests
    net = Net(f"bmig{os.getpid()}")
    with tempfile.TemporaryDirectory(prefix="bench-lan.") as scratch, contextlib.ExitStack() as ends:
        ends.callback(net.remove)
        net.add("guests")
        ends.enter_context(net.inside("guests"))
        lan = ends.enter_context(Lan(ALL, Path(scratch)))
        members = {member.name: member for member in lan.members}
        service = imds_stub.Service([instance(each, members[each.name]) for each in guests])
        ends.callback(service.close)
        for first in range(0, len(missing), AT_A_TIME):
            boot_and_save(image, missing[first:first + AT_A_TIME], net, members)
    return guests


def restore(vm, saved):
    """Into a machine() that waits for a stream: that guest as it was saved, paused, with an overlay of its own."""
    subprocess.run(["cp", saved.disk, vm.overlay], check=True)
    os.chown(vm.overlay, vm.uid, vm.uid)
    vm.start()
    set_capabilities(vm.qmp, ["events"])
    vm.qmp.call("migrate-incoming", uri=f"exec:cat {saved.memory}")
    ended = vm.qmp.wait("MIGRATION", SAVE_LIMIT_S, status=("completed", "failed"))["data"]["status"]
    if ended != "completed":
        raise RuntimeError(f"{saved.name} could not be restored: {vm.log_text()[-500:]}")
