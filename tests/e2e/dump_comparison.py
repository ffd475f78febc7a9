#!/usr/bin/env python3
"""All of a guest's memory and disk at the destination equal the source's at the switchover, byte for byte: the two machines stand
still while they are compared. Its memory has pages of zeros, of its image, alike, equal and random, and it writes on while it moves,
through `godwit tunnel` and a link of 150 Mbit/s: over one connection and over several, by each encoding, to a host that has had it before and to one that hasn't;
by post-copy too, in the end by one that begins at once, so that the guest runs and QEMU asks for the pages that it touches.
Usage: dump_comparison.py GODWIT [IMAGE_DIR]    (needs root; about a minute under emulation)
"""
import mmap
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from rig.guest import Serial
from rig.net import Net, run
from rig.patience import PATIENCE_S
from rig.qemu import UNPRIVILEGED_UID, Image, Vm

MEMORY_MIB = 128
LINK = ["rate", "150mbit", "burst", "256kb", "latency", "50ms"]  # slow enough that looking at pages repays
PAGE = 4096
# What the guest's memory is filled with, and then goes on to write.
FILL = [
    "dd if=/dev/vda of=/tmp/image bs=1M count=8 2>/dev/null",
    "dd if=/dev/zero of=/tmp/zeros bs=1M count=8 2>/dev/null",
    "dd if=/dev/urandom of=/tmp/random bs=1M count=4 2>/dev/null",
    "cp /tmp/random /tmp/equal",
    "tr a b < /tmp/random > /tmp/alike",
]
WRITE_ON = ("(i=0; while true; do i=$(((i+1)%64)); dd if=/tmp/random of=/dev/vda bs=4096 skip=$i seek=$((i*3+512)) count=1"
            " conv=notrunc,fsync; dd if=/dev/urandom of=/tmp/image bs=64 seek=$((i*997)) count=1 conv=notrunc; done)"
            " >/dev/null 2>&1 &")
SUMS = "/tmp/sums"  # of what it does not write any more
# capabilities
SINGLE, MULTIFD, ABLE = [], ["multifd"], ["postcopy-ram"]
BOTH = MULTIFD + ABLE  # by pre-copy alone: docs/ops/post-copy.md says what post-copy then does
# When what is dirty in the end comes: before the guest goes on; behind it, while it stands still to be compared; or nearly all of its memory
# behind it, while it runs.
BEFORE, BEHIND, ON_DEMAND = "all before", "some behind", "on demand"
# encoding, capabilities, when
JOURNEYS = [("shrink", SINGLE, BEFORE), ("shrink", MULTIFD, BEFORE), ("shrink", SINGLE, BEFORE), ("dedup", MULTIFD, BEFORE),
            ("dedup", SINGLE, BEFORE), ("shrink", BOTH, BEFORE), ("shrink", ABLE, BEFORE), ("shrink", ABLE, BEHIND), ("dedup", ABLE, BEHIND),
            ("shrink", ABLE, ON_DEMAND), ("dedup", ABLE, ON_DEMAND)]
# Where something is to follow, QEMU goes no faster than this until post-copy has begun: however much of the guest its other host knows, the
# first round takes seconds, and can't end before.
HELD_BYTES_PER_S = 4 << 20
AHEAD_BYTES = 8 << 20  # behind: so much crosses before
# On demand: so slowly comes what nobody asks for, until something has been asked for; and then.
UNASKED_HELD_BYTES_PER_S, UNASKED_BYTES_PER_S = 64 << 10, 8 << 20
NAMES = ("left", "right")


def check(truth, what):
    if not truth:
        raise AssertionError(what)
    print(f"  ok: {what}", flush=True)


def wait_for(condition, what):
    until = time.monotonic() + PATIENCE_S
    while not (found := condition()):
        if time.monotonic() > until:
            raise TimeoutError(what)
        time.sleep(0.05)
    return found


class Tunnel:
    """`godwit tunnel receive` at one end, `godwit tunnel send` at the other: one way, by one encoding."""

    def __init__(self, godwit, directory, net, image, names, encoding):
        source, destination = names
        self.directory = f"{directory}/{encoding}-to-{destination}"
        self._processes, self._net = [], net
        os.makedirs(self.directory)
        os.chmod(self.directory, 0o711)
        self._common = [f"--image={file}" for file in (image.disk, image.kernel, image.initrd)]
        self._common += [f"--encodings={encoding}", "--owner=nobody"]
        log = self._start(godwit, "receive", f"--keys={directory}/{destination}.keys", f"--store={self.directory}/there",
                          f"--memory={directory}/{destination}/memory.sock", f"--disk={directory}/{destination}/disk.sock",
                          "--listen=127.0.0.1:0", f"--from={source}")
        port = wait_for(lambda: re.search(r"receives at port (\d+)\b.*\n", open(log, encoding="utf-8").read()), "tunnel receive")[1]
        self._log = self._start(godwit, "send", f"--keys={directory}/{source}.keys", f"--store={self.directory}/here",
                                f"--memory={self.path('memory')}", f"--disk={self.path('disk')}", f"--to=127.0.0.1:{port}",
                                f"--peer={destination}")
        wait_for(lambda: os.path.exists(self.path("disk")) and os.path.exists(self.path("memory")), "tunnel send")

    def path(self, name):
        return f"{self.directory}/{name}"

    def _start(self, godwit, what, *options):
        log = self.path(f"{what}.log")
        with open(log, "wb") as file, self._net.inside("wan"):
            self._processes.append(subprocess.Popen([godwit, "tunnel", what, *self._common, *options], stdout=file, stderr=file))
        return log

    def accounts(self):
        with open(self._log, encoding="utf-8") as file:
            return re.findall(r"(guest 1: .*)\n", file.read())  # whole lines

    def close(self):
        for each in self._processes:
            each.terminate()
        for each in self._processes:
            each.wait(20)


def make_vm(directory, image, name, *options, uid=UNPRIVILEGED_UID):
    vm = Vm(f"{directory}/{name}", image, name, memory_mib=MEMORY_MIB, options=options, uid=uid)
    if os.path.exists(vm.overlay):
        os.unlink(vm.overlay)
    vm.make_overlay()
    return vm.start()


def set_up_migration(vm, capabilities, when):
    known = ["events", "return-path", "pause-before-switchover", "multifd", "postcopy-ram"]
    wanted = {"events", "return-path", "pause-before-switchover", *capabilities}
    vm.qmp.call("migrate-set-capabilities", capabilities=[{"capability": c, "state": c in wanted} for c in known])
    vm.qmp.call("migrate-set-parameters", **{"downtime-limit": 500 if when == BEFORE else 1, "multifd-channels": 3,
                                             "max-bandwidth": 1 << 40 if when == BEFORE else HELD_BYTES_PER_S,
                                             "max-postcopy-bandwidth": UNASKED_HELD_BYTES_PER_S if when == ON_DEMAND else 0})


def send_disk(source, path):
    source.qmp.call("blockdev-add", driver="nbd", **{"node-name": "target"}, export="overlay",
                    server={"type": "unix", "path": path})
    source.qmp.call("blockdev-mirror", **{"job-id": "mirror"}, device="overlay", target="target", sync="top")
    source.qmp.wait("BLOCK_JOB_READY", device="mirror")


def counted(source, what):
    return source.qmp.call("query-migrate").get("ram", {}).get(what, 0)


def send_memory(source, path, when):
    source.qmp.call("migrate", uri=f"unix:{path}")
    if when != BEFORE:
        ahead = AHEAD_BYTES if when == BEHIND else 1
        wait_for(lambda: counted(source, "transferred") >= ahead, f"{ahead} bytes of the first round")
        source.qmp.call("migrate-start-postcopy")
    source.qmp.wait("MIGRATION", status="pre-switchover")
    source.qmp.call("block-job-cancel", device="mirror")
    source.qmp.wait("BLOCK_JOB_COMPLETED", device="mirror")
    source.qmp.call("migrate-continue", state="pre-switchover")


def run_meanwhile(source, destination):
    """While most of its memory is not there yet: what the guest touches comes first."""
    destination.qmp.call("cont")
    wait_for(lambda: counted(source, "postcopy-requests") > 0, "QEMU asks for a page")
    source.qmp.call("migrate-set-parameters", **{"max-postcopy-bandwidth": UNASKED_BYTES_PER_S})
    check(Serial(destination.console).ask(f"SH md5sum -c {SUMS} >/dev/null") == "OK 0", "the guest finds what it had in its memory")
    print(f"  QEMU asked for pages, {counted(source, 'postcopy-requests')} times")


def dump(vm):
    """All of its physical memory, as QEMU sees it."""
    path = vm.path("dump")
    if os.path.exists(path):
        os.unlink(path)
    vm.qmp.call("pmemsave", val=0, size=MEMORY_MIB * 1024 * 1024 + 64 * 1024, filename=path)
    return path


def pages_that_differ(first, second):
    with open(first, "rb") as a, open(second, "rb") as b:
        with mmap.mmap(a.fileno(), 0, access=mmap.ACCESS_READ) as mine, mmap.mmap(b.fileno(), 0, access=mmap.ACCESS_READ) as theirs:
            if len(mine) != len(theirs):
                raise AssertionError(f"{first} has {len(mine)} bytes, {second} {len(theirs)}")
            return [at for at in range(0, len(mine), PAGE) if mine[at:at + PAGE] != theirs[at:at + PAGE]]


def compare(source, destination):
    differ = pages_that_differ(dump(source), dump(destination))
    check(not differ, f"all {MEMORY_MIB} MiB of memory are equal" if not differ else
          f"{len(differ)} pages of memory differ: {[hex(at) for at in differ[:20]]}")
    done = subprocess.run(["qemu-img", "compare", "-U", source.overlay, destination.overlay], capture_output=True, text=True,
                          check=False)
    check(done.returncode == 0, f"the disks are equal ({done.stdout.strip()}{done.stderr.strip()})")


def move(source, destination, tunnel, capabilities, when):
    both = (source, destination)
    for vm in both:
        set_up_migration(vm, capabilities, when)
    destination.qmp.call("nbd-server-start", addr={"type": "unix", "data": {"path": destination.path("disk.sock")}})
    destination.qmp.call("block-export-add", type="nbd", id="export", **{"node-name": "overlay"}, name="overlay", writable=True)
    destination.qmp.call("migrate-incoming", uri=f"unix:{destination.path('memory.sock')}")
    destination.qmp.wait("MIGRATION", status="setup")
    send_disk(source, tunnel.path("disk"))
    send_memory(source, tunnel.path("memory"), when)
    for status in ["completed"] if when == BEFORE else ["postcopy-active", "completed"]:
        for vm in both:
            vm.qmp.wait("MIGRATION", status=status)
        if status == "postcopy-active" and when == ON_DEMAND:
            destination.qmp.call("nbd-server-stop")
            run_meanwhile(source, destination)
    source.qmp.call("blockdev-del", **{"node-name": "target"})
    if when != BEFORE:
        check(counted(source, "postcopy-bytes") > 0, f"{counted(source, 'postcopy-bytes') / 1e6:.1f} MB followed")
    if when != ON_DEMAND:
        destination.qmp.call("nbd-server-stop")
        destination.qmp.call("stop")  # of a machine that stands still: flushes its disk
        check(not source.running() and not destination.running(), "both stand still")


def journey(directory, image, source, names, tunnel, capabilities, when):
    # Post-copy takes userfaultfd, which the kernel denies to others by default: docs/ops/post-copy.md.
    uid = 0 if "postcopy-ram" in capabilities else UNPRIVILEGED_UID
    destination = make_vm(directory, image, names[1], "-incoming", "defer", "-S", uid=uid)
    try:
        accounts = len(tunnel.accounts())
        move(source, destination, tunnel, capabilities, when)
        if when != ON_DEMAND:
            compare(source, destination)
            destination.qmp.call("cont")
        check(Serial(destination.console).ask("PING") == "OK", "it runs on")
        wait_for(lambda: len(tunnel.accounts()) > accounts, "the sending end's account")
        print(f"  {tunnel.accounts()[-1]}")
    except BaseException:
        print(f"--- {destination.log_text()}\n{destination.qmp.seen()}", file=sys.stderr)
        destination.kill()
        raise
    source.quit()
    source.kill()
    return destination


def fill(vm):
    guest = vm.booted()
    for command in [*FILL, WRITE_ON]:
        check(guest.ask(f"SH {command}") == "OK 0", command[:40])
    check(guest.ask(f"SH md5sum /tmp/random /tmp/equal /tmp/alike /tmp/zeros > {SUMS}") == "OK 0", "their sums")
    check(guest.ask("DIRTY 1 4").startswith("OK"), "it goes on writing")
    guest.socket.close()


def story(godwit, directory, net, image):
    net.add("wan")
    run("ip", "netns", "exec", net.full("wan"), "tc", "qdisc", "add", "dev", "lo", "root", "tbf", *LINK)
    subprocess.run([godwit, "tunnel", "keys", *NAMES, "--directory", directory], check=True, stdout=subprocess.DEVNULL)
    tunnels, vm = {}, None
    try:
        vm = make_vm(directory, image, NAMES[0])
        fill(vm)
        names = NAMES
        for encoding, capabilities, when in JOURNEYS:
            print(f"{encoding}, {', '.join(capabilities) or 'one connection'}, {when}, from {names[0]} to {names[1]}", flush=True)
            if (encoding, names) not in tunnels:
                tunnels[encoding, names] = Tunnel(godwit, directory, net, image, names, encoding)
            vm = journey(directory, image, vm, names, tunnels[encoding, names], capabilities, when)
            names = names[::-1]
    finally:
        if vm:
            vm.kill()
        for each in tunnels.values():
            each.close()


def main():
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    image = sys.argv[2] if len(sys.argv) > 2 else f"{root}/.cache/images/tiny"
    if os.geteuid() != 0:
        sys.exit("dump_comparison: it makes a network namespace, and runs QEMU as another user: run it as root")
    subprocess.run([f"{root}/images/build-tiny", image], check=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("dump_comparison: terminated"))
    directory = tempfile.mkdtemp(prefix="godwit-dump-comparison.")
    os.chmod(directory, 0o711)
    net = Net(f"gwdump{os.getpid()}")
    try:
        story(os.path.abspath(sys.argv[1]), directory, net, Image(os.path.abspath(image)))
    finally:
        net.remove()
        shutil.rmtree(directory)
    print("dump_comparison: passed")


if __name__ == "__main__":
    main()
