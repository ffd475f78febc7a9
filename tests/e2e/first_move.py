#!/usr/bin/env python3
"""One real QEMU moves between two network namespaces with its disk and an open TCP connection.

Nothing of Godwit but its tiny guest is in this test: it holds what all of Godwit stands on, that unmodified QEMU can do it in
this order. Usage: first_move.py [IMAGE_DIR]    (needs root; about 10 s under emulation)
"""
import hashlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

from rig.guest import Lines, Stream
from rig.net import Net
from rig.patience import PATIENCE_S
from rig.pump import Pump
from rig.qemu import UNPRIVILEGED_UID, Image, Vm

GUEST_IP, PEER_IP, SERVICE_PORT = "10.77.0.9", "10.77.0.1", 7000
HOST_IP = {"h1": "10.77.0.11", "h2": "10.77.0.12"}  # on the same segment: here the WAN is the LAN
MAC = "52:54:00:77:00:09"
DOWNTIME_LIMIT_MS = 100
EARLY_RECORDS, LATER_RECORDS_FROM = 40, 1000


class Host:
    """A namespace with a bridge, and on it the guest's TAP and the cable to the peer."""

    def __init__(self, net, name, directory, image):
        self.net, self.name, self.directory = net, name, f"{directory}/{name}"
        net.add(name)
        net.bridge(name, "br0", f"{HOST_IP[name]}/24")
        net.cable(name, "up0", "peer", f"to-{name}")
        net.plug(name, "up0", "br0")
        net.plug("peer", f"to-{name}", "br0")
        os.mkdir(self.directory)
        os.chmod(self.directory, 0o711)
        # Each host has the image as a file of its own; only the overlay will travel.
        self.image = Image(image)
        base = f"{self.directory}/base.qcow2"
        shutil.copyfile(self.image.disk, base)
        self.image.disk = base

    def make_vm(self, *options):
        tap = self.net.tap(self.name, "tap0")
        self.net.plug(self.name, "tap0", "br0")
        vm = Vm(f"{self.directory}/vm", self.image, self.name, tap_fd=tap, mac=MAC, options=options,
                cmdline=f"godwit.ip={GUEST_IP}/24")
        if not os.path.exists(vm.overlay):
            vm.make_overlay()
        with self.net.inside(self.name):
            return vm.start()


def listen_in(net, name, ip):
    with net.inside(name):
        return socket.create_server((ip, 0))


def make_pump(net, source, destination, channel):
    """Bytes of one channel: from a unix socket at the source over TCP to the one QEMU listens at in the destination."""
    listener = listen_in(net, "h2", HOST_IP["h2"])
    address = listener.getsockname()

    def dial():
        with net.inside("h1"):
            return socket.create_connection(address, timeout=10)

    return Pump(source.path(channel), destination.path(channel), listener, dial, UNPRIVILEGED_UID)


def connect_to_guest(net):
    """It listens a little after it has said at its console that it is ready."""
    until = time.monotonic() + PATIENCE_S
    while True:
        try:
            with net.inside("peer"):
                return Lines(socket.create_connection((GUEST_IP, SERVICE_PORT), timeout=PATIENCE_S))
        except ConnectionRefusedError:
            if time.monotonic() > until:
                raise
            time.sleep(0.02)


def digest(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check(truth, what):
    if not truth:
        raise AssertionError(what)
    print(f"  ok: {what}")


def prepare_destination(vm):
    vm.qmp.call("migrate-set-capabilities", capabilities=[
        {"capability": "events", "state": True}, {"capability": "return-path", "state": True}])
    vm.qmp.call("nbd-server-start", addr={"type": "unix", "data": {"path": vm.path("disk.sock")}})
    vm.qmp.call("block-export-add", type="nbd", id="export", **{"node-name": "overlay"}, name="overlay", writable=True)
    vm.qmp.call("migrate-incoming", uri=f"unix:{vm.path('memory.sock')}")
    vm.qmp.wait("MIGRATION", status="setup")


def mirror_disk(vm):
    vm.qmp.call("blockdev-add", driver="nbd", **{"node-name": "mirror-target"}, export="overlay",
                server={"type": "unix", "path": vm.path("disk.sock")})
    # sync=top: the overlay alone. The guest's writes go on; the job goes round after them.
    vm.qmp.call("blockdev-mirror", **{"job-id": "mirror"}, device="overlay", target="mirror-target", sync="top")
    vm.qmp.wait("BLOCK_JOB_READY", device="mirror")


def send_memory(source):
    """Until the source stands still, its disk is out to the last byte, and its memory has arrived."""
    source.qmp.call("migrate-set-capabilities", capabilities=[
        {"capability": c, "state": True} for c in ("events", "return-path", "pause-before-switchover")])
    source.qmp.call("migrate-set-parameters", **{"downtime-limit": DOWNTIME_LIMIT_MS, "max-bandwidth": 1 << 40})
    source.qmp.call("migrate", uri=f"unix:{source.path('memory.sock')}")
    source.qmp.wait("MIGRATION", status="pre-switchover")
    check(not source.running(), "the source stands still before its disk is cut off")
    source.qmp.call("block-job-cancel", device="mirror")  # of a job that is ready: drains, flushes and ends
    source.qmp.wait("BLOCK_JOB_COMPLETED", device="mirror")
    source.qmp.call("migrate-continue", state="pre-switchover")
    source.qmp.wait("MIGRATION", status="completed")


def take_over(destination):
    destination.qmp.wait("MIGRATION", status="completed")
    check(destination.qmp.call("query-status")["status"] == "paused", "the destination has everything, and waits")
    destination.qmp.call("nbd-server-stop")
    destination.qmp.call("stop")  # of a machine that stands still: drains and flushes its disks, nothing else
    destination.qmp.call("cont")
    destination.qmp.call("announce-self", **{"initial": 20, "max": 200, "rounds": 4, "step": 40})


def check_one_copy(net, source, destination, switched_over):
    status = source.qmp.call("query-status")
    check(status == {"status": "postmigrate", "singlestep": False, "running": False} and destination.running(),
          "exactly one runs: the destination")
    check(net.learned_port("peer", MAC) == "to-h2", "the network has learned where the guest is now")
    source.quit()
    check(digest(source.overlay) == switched_over, "the source's overlay was left as it was at switchover")
    os.unlink(source.overlay)


def move(net, source, destination, pumps):
    prepare_destination(destination)
    pumps += [make_pump(net, source, destination, channel) for channel in ("disk.sock", "memory.sock")]
    stream = Stream(connect_to_guest(net), "SEQ 200 0 100", r"SEQ (\d+) ")
    control = connect_to_guest(net)
    for record in range(EARLY_RECORDS):
        check_quietly(control.ask(f"WRITE {record} 1"), f"OK {record}")
    writes = Stream(connect_to_guest(net), f"WRITES {LATER_RECORDS_FROM} 100 2", r"OK (\d+)$", LATER_RECORDS_FROM)
    boot = control.ask("STAT").split()[1]
    stream.wait_past(20)

    mirror_disk(source)
    writes.wait_past(20)
    send_memory(source)
    switched_over = digest(source.overlay)
    take_over(destination)

    stream.wait_past(200)
    writes.wait_past(20)
    check_one_copy(net, source, destination, switched_over)
    downtime_s = destination.qmp.wait("RESUME")["arrived_s"] - source.qmp.wait("STOP")["arrived_s"]
    stream.stop()
    writes.stop()
    check(not stream.wrong, f"the TCP connection lives, and of {stream.next} numbered lines none is lost")
    check(not writes.wrong, f"{writes.next - LATER_RECORDS_FROM} disk writes were acknowledged before, during and after")
    check(control.ask("STAT").split()[1] == boot, "it is the same boot of the guest")
    check_records(control, writes.next)
    print(f"  downtime {downtime_s * 1000:.0f} ms; longest silence of the TCP stream {stream.max_gap_s * 1000:.0f} ms; "
          f"memory {pumps[1].bytes_there >> 10} KiB, disk {pumps[0].bytes_there >> 10} KiB")
    return writes.next


def check_quietly(got, wanted):
    if got != wanted:
        raise AssertionError(f"{got!r} instead of {wanted!r}")


def check_records(guest, end):
    early, later = guest.ask(f"SUM 0 {EARLY_RECORDS}"), guest.ask(f"SUM {LATER_RECORDS_FROM} {end - LATER_RECORDS_FROM}")
    check(f"whole={EARLY_RECORDS} absent=0 corrupt=0" in early
          and f"whole={end - LATER_RECORDS_FROM} absent=0 corrupt=0" in later, "every acknowledged record is readable")


def story(net, directory, image):
    vms, pumps = [], []
    try:
        net.add("peer")
        net.bridge("peer", "br0", f"{PEER_IP}/24")
        hosts = [Host(net, name, directory, image) for name in ("h1", "h2")]
        print("boot at h1, wait at h2")
        vms.append(source := hosts[0].make_vm())
        vms.append(destination := hosts[1].make_vm("-incoming", "defer", "-S"))
        source.booted()
        print("move from h1 to h2")
        end = move(net, source, destination, pumps)
        print("kill it, and boot from what h2's disk holds")
        destination.kill()
        vms.append(hosts[1].make_vm())
        check_records(vms[-1].booted(), end)
    except BaseException:
        for vm in vms:
            print(f"--- {vm.directory}\n{vm.log_text()}events: {vm.qmp.seen() if vm.qmp else 'none'}", file=sys.stderr)
        raise
    finally:
        for vm in vms:
            vm.kill()
        for pump in pumps:
            pump.close()


def main():
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    image = sys.argv[1] if len(sys.argv) > 1 else f"{root}/.cache/images/tiny"
    if os.geteuid() != 0:
        sys.exit("first_move: it makes network namespaces and TAPs: run it as root")
    if not os.access("/dev/net/tun", os.R_OK | os.W_OK):
        sys.exit("first_move: open /dev/net/tun: no such device (modprobe tun, or give this container the device)")
    subprocess.run([f"{root}/images/build-tiny", image], check=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("first_move: terminated"))  # by way of the cleanup below
    directory = tempfile.mkdtemp(prefix="godwit-first-move.")
    os.chmod(directory, 0o711)
    net = Net(f"gwmove{os.getpid()}")
    try:
        story(net, directory, os.path.abspath(image))
    finally:
        net.remove()
        shutil.rmtree(directory)
    print("first_move: passed")


if __name__ == "__main__":
    main()
