#!/usr/bin/env python3
"""`virsh migrate` of a running guest between two unmodified libvirt, through `godwit tunnel` and nothing else: its memory, its disk,
and libvirt's own connection. There over one connection for the memory, and back over several (--parallel).
Usage: libvirt_tunnel.py GODWIT IMAGE_DIR    (needs root; about 60 s under emulation)
"""
import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rig.guest import Serial, Stream
from rig.libvirt import LibvirtHost, cable, wait_for

GUEST = "tiny"
IMAGES = "/var/lib/libvirt/images"
SERIAL = "/var/lib/libvirt/qemu/tiny.serial"
ADDRESS = {"left": "10.78.0.1", "right": "10.78.0.2"}
PORT = 7443  # in a network namespace of its own
EARLY_RECORDS, LATER_RECORDS_FROM = 40, 1000

DOMAIN = f"""
<domain type='qemu'>
  <name>{GUEST}</name>
  <memory unit='MiB'>128</memory>
  <vcpu>1</vcpu>
  <os>
    <type arch='x86_64' machine='pc'>hvm</type>
    <kernel>{IMAGES}/vmlinuz</kernel>
    <initrd>{IMAGES}/tiny.initrd</initrd>
    <cmdline>console=ttyS0 quiet godwit.ip=none</cmdline>
  </os>
  <features><acpi/></features>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <disk type='file' device='disk'>
      <driver name='qemu' type='qcow2'/>
      <source file='{IMAGES}/disk.qcow2'/>
      <target dev='vda' bus='virtio'/>
    </disk>
    <serial type='unix'><source mode='bind' path='{SERIAL}'/><target port='0'/></serial>
    <memballoon model='none'/>
  </devices>
</domain>
"""


def check(truth, what):
    if not truth:
        raise AssertionError(what)
    print(f"  ok: {what}", flush=True)


def make_disk(host, image):
    """The image, and an empty overlay on it: what each host must have before its first guest of that image comes."""
    for name in ("vmlinuz", "tiny.initrd", "tiny.qcow2"):
        shutil.copyfile(f"{image}/{name}", host.path(f"{IMAGES}/{name}"))
    host.run("qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", f"{IMAGES}/tiny.qcow2", f"{IMAGES}/disk.qcow2")


def start_tunnel(godwit, keys, source, destination):
    """One direction, with sockets of its own: /run/tunnel-to-RIGHT at both ends."""
    at = f"/run/tunnel-to-{destination.name}"
    for host in (source, destination):
        shutil.copyfile(f"{keys}/{host.name}.keys", host.path("/run/tunnel.keys"))
    common = ["--keys", "/run/tunnel.keys", "--memory", f"{at}/memory", "--disk", f"{at}/disk"]
    destination.start("receive.log", godwit, "tunnel", "receive", *common, "--libvirt", "/run/libvirt/libvirt-sock",
                      "--listen", f"{ADDRESS[destination.name]}:{PORT}", "--from", source.name)
    source.start("send.log", godwit, "tunnel", "send", *common, "--libvirt", f"{at}/libvirt",
                 "--to", f"{ADDRESS[destination.name]}:{PORT}", "--peer", destination.name)
    wait_for(lambda: source.path(f"{at}/libvirt").exists(), "tunnel send")
    return at


def guest_serial(host):
    return Serial(str(host.path(SERIAL)))


def migrate(source, destination, at, *options):
    begun = time.monotonic()
    source.virsh("migrate", "--live", GUEST, "--desturi", f"qemu+unix:///system?socket={at}/libvirt", "--migrateuri",
                 f"unix://{at}/memory", "--disks-uri", f"unix://{at}/disk", "--copy-storage-inc", *options, limit_s=120)
    print(f"  virsh migrate {' '.join(options)}: {time.monotonic() - begun:.1f} s", flush=True)
    check(source.domains() == [], f"the guest is gone from {source.name}")
    check(destination.virsh("domstate", GUEST).stdout.strip() == "running", f"it runs at {destination.name}")


def move(source, destination, at, *options):
    """Moves the guest while it dirties memory and writes its disk; what it was and wrote must be there afterwards."""
    print(f"{source.name} to {destination.name} {' '.join(options)}", flush=True)
    serial = guest_serial(source)
    boot = re.search(r"boot=(\S+)", serial.ask("STAT"))[1]
    check(serial.ask("DIRTY 3 16").startswith("OK"), "it dirties 3 MiB/s")
    writes = Stream(serial, f"WRITES {LATER_RECORDS_FROM} 50 2", r"OK (\d+)$", LATER_RECORDS_FROM)
    writes.wait_past(20)
    migrate(source, destination, at, *options)
    acknowledged = writes.next - LATER_RECORDS_FROM
    serial = guest_serial(destination)
    serial.send("")  # ends its writing
    serial = guest_serial_again(serial)
    return boot, acknowledged, serial


def guest_serial_again(serial):
    while not serial.ask("PING") == "OK":
        pass
    return serial


def main():
    godwit, image = Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve()
    directory = tempfile.mkdtemp(prefix="godwit-tunnel-")
    hosts = []
    try:
        for name in ("left", "right"):
            Path(directory, name).mkdir()
            hosts.append(LibvirtHost(name, f"{directory}/{name}"))
            make_disk(hosts[-1], image)
        left, right = hosts
        cable(left, ADDRESS["left"], right, ADDRESS["right"])
        subprocess.run([godwit, "tunnel", "keys", "left", "right", "--directory", f"{directory}/keys"], check=True)
        there = start_tunnel(godwit, f"{directory}/keys", left, right)
        left.path("/run/tiny.xml").write_text(DOMAIN)
        left.virsh("create", "/run/tiny.xml")
        guest_serial(left).wait_ready()
        print(move(left, right, there))
    except BaseException:
        for host in hosts:
            for log, text in host.logs():
                print(f"==== {log}\n{text[-4000:]}", file=sys.stderr)
        raise
    finally:
        for host in hosts:
            host.end()
        shutil.rmtree(directory)


if __name__ == "__main__":
    main()
