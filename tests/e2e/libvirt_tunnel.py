#!/usr/bin/env python3
"""`virsh migrate` of a running guest between two unmodified libvirt, through `godwit tunnel` and nothing else: its memory, its disk,
and libvirt's own connection. Once while the tunnel is cut, which must leave it where it was; then there over one connection for the
memory, back, and there again over several (--parallel).
Usage: libvirt_tunnel.py GODWIT IMAGE_DIR    (needs root; about 60 s under emulation)
"""
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rig.guest import Serial as Console
from rig.guest import Stream
from rig.libvirt import LibvirtHost, cable, kill, wait_for

GUEST = "tiny"
IMAGES = "/var/lib/libvirt/images"
IMAGE_FILES = ("vmlinuz", "tiny.initrd", "tiny.qcow2")
DISK = f"{IMAGES}/disk.qcow2"
CONSOLE = "/var/lib/libvirt/qemu/tiny.console"
ADDRESS = {"left": "10.78.0.1", "right": "10.78.0.2"}
PORT, ONE_WAY_PORT = 7443, 7444  # in network namespaces of their own
WRITES_A_SECOND = 50
MOVE_LIMIT_S = 300
# libvirt rounds up to whole MiB, and of such an emulated guest QEMU 7.2 loses dirty pages (docs/decisions/emulated-dirty-pages.md).
MEMORY_KIB = 128 * 1024 + 64

DOMAIN = f"""
<domain type='qemu' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>
  <name>{GUEST}</name>
  <memory unit='MiB'>129</memory>
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
      <source file='{DISK}'/>
      <target dev='vda' bus='virtio'/>
    </disk>
    <serial type='unix'><source mode='bind' path='{CONSOLE}'/><target port='0'/></serial>
    <memballoon model='none'/>
  </devices>
  <qemu:commandline>
    <qemu:arg value='-object'/><qemu:arg value='memory-backend-ram,id=odd,size={MEMORY_KIB}K'/>
    <qemu:arg value='-machine'/><qemu:arg value='memory-backend=odd'/>
    <qemu:arg value='-m'/><qemu:arg value='{MEMORY_KIB}K'/>
  </qemu:commandline>
</domain>
"""


def check(truth, what):
    if not truth:
        raise AssertionError(what)
    print(f"  ok: {what}", flush=True)


def make_disk(host, image):
    """The image, and an empty overlay on it: what each host must have before a guest of that image comes."""
    for name in IMAGE_FILES:
        if not host.path(f"{IMAGES}/{name}").exists():
            shutil.copyfile(f"{image}/{name}", host.path(f"{IMAGES}/{name}"))
    host.run("qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", f"{IMAGES}/tiny.qcow2", DISK)


class Way:
    """From one host to the other. Its sockets have the same paths at both ends, as libvirt wants it."""

    def __init__(self, source, destination, at, log):
        self.source, self.destination, self.at, self._log = source, destination, at, log
        wait_for(lambda: source.path(f"{at}/libvirt").exists(), f"the tunnel's sockets at {source.name}")

    def begin(self, *options):
        """virsh migrate. The guest stays paused at the destination: so that the disks of both can be compared."""
        words = ["virsh", "-c", "qemu:///system", "migrate", "--live", "--suspend", GUEST, "--copy-storage-inc",
                 "--desturi", f"qemu+unix:///system?socket={self.at}/libvirt", "--migrateuri", f"unix://{self.at}/memory",
                 "--disks-uri", f"unix://{self.at}/disk", *options]
        return self.source.start("virsh.log", *words)

    def accounts(self):
        """What the sending end has said of each migration: the MiB of memory that crossed, and the whole line."""
        text = (self.source.directory / self._log).read_text()
        return [(float(found[2]), found[1]) for found in re.finditer(r"guest 1: (.* ([0-9.]+) MiB of memory .*)\n", text)]

    def account_after(self, accounts):
        wait_for(lambda: len(self.accounts()) > len(accounts), "the sending end's account")
        return self.accounts()[-1]


def common_options(host, keys):
    shutil.copyfile(f"{keys}/{host.name}.keys", host.path("/run/tunnel.keys"))
    images = [word for name in IMAGE_FILES for word in ("--image", f"{IMAGES}/{name}")]
    return ["--keys", "/run/tunnel.keys", *images]


def receive(godwit, keys, source, destination, at):
    """`godwit tunnel receive`, and when it listens."""
    address = f"{ADDRESS[destination.name]}:{ONE_WAY_PORT}"
    words = [godwit, "tunnel", "receive", *common_options(destination, keys), "--memory", f"{at}/memory", "--disk", f"{at}/disk",
             "--libvirt", "/run/libvirt/libvirt-sock", "--listen", address, "--from", source.name]
    started = destination.start("receive.log", *words)
    wait_for(lambda: f":{ONE_WAY_PORT}" in destination.run("ss", "-Hltn").stdout, "tunnel receive")
    return started


def send(godwit, keys, source, destination, at):
    source.start("send.log", godwit, "tunnel", "send", *common_options(source, keys), "--memory", f"{at}/memory", "--disk",
                 f"{at}/disk", "--libvirt", f"{at}/libvirt", "--to", f"{ADDRESS[destination.name]}:{ONE_WAY_PORT}", "--peer",
                 destination.name)
    return Way(source, destination, at, "send.log")


def both(godwit, keys, left, right):
    """`godwit tunnel both` at each: the ways there and back."""
    for host, peer in ((left, right), (right, left)):
        host.start("both.log", godwit, "tunnel", "both", *common_options(host, keys), "--listen", f"{ADDRESS[host.name]}:{PORT}",
                   "--to", f"{ADDRESS[peer.name]}:{PORT}", "--peer", peer.name, "--libvirt", "/run/libvirt/libvirt-sock")
    return (Way(left, right, f"/run/godwit-tunnel/to-{right.name}", "both.log"),
            Way(right, left, f"/run/godwit-tunnel/to-{left.name}", "both.log"))


class Guest:
    """The tiny guest, at its console: on whichever host it is, each time anew."""

    def __init__(self, host):
        host.path("/run/tiny.xml").write_text(DOMAIN)
        host.virsh("create", "--paused", "/run/tiny.xml")
        said = host.virsh("qemu-monitor-command", "--hmp", GUEST, "info memory_size_summary").stdout
        check(f"base memory: {MEMORY_KIB * 1024}" in said, f"QEMU gives the guest {MEMORY_KIB} KiB, no MiB that are whole")
        self.host, self.console = host, Console(str(host.path(CONSOLE)))
        host.virsh("resume", GUEST)
        self.console.wait_ready()
        self.boot = self._boot()
        self.written = 0
        self.dirty(3)

    def dirty(self, mib_per_s):
        check(self.console.ask(f"DIRTY {mib_per_s} 4").startswith("OK"), f"the guest dirties {mib_per_s} MiB/s, of 4 MiB of its memory")

    def _boot(self):
        return re.search(r"boot=(\S+)", self.console.ask("STAT"))[1]

    def write_on(self):
        stream = Stream(self.console, f"WRITES {self.written} {WRITES_A_SECOND}", r"OK (\d+)$", self.written)
        stream.wait_past(20)
        return stream

    def meet(self, host, stream):
        """Where it is now. What it said while nobody listened is lost; it goes on with what it was told."""
        self.host, self.written = host, stream.next
        self.console = Console(str(host.path(CONSOLE)))
        self.console.send("")  # ends its writing
        self.console.send("ECHO who is there")
        heard = []
        while "OK who is there" not in heard[-1:]:
            try:
                heard.append(self.console.read())
            except OSError as error:
                raise RuntimeError(f"the guest at {host.name} has said no more than {heard[-40:]}: {error}") from error

    def examine(self):
        check(self._boot() == self.boot, "it is the same boot of the guest")
        dirtied = int(re.search(r"dirtied=(\d+) corrupt=0$", self.console.ask("CHECK"))[1])
        again = re.search(r"dirtied=(\d+) corrupt=0$", self.console.ask("CHECK"))
        check(again and int(again[1]) >= dirtied > 0, "its memory is whole, and it goes on dirtying it")
        check(f"whole={self.written} absent=0 corrupt=0" in self.console.ask(f"SUM 0 {self.written}"),
              f"all {self.written} records whose writing it acknowledged are on its disk")


def state(host):
    return host.virsh("domstate", GUEST, check=False).stdout.strip()


def move(way, guest, image, *options):
    """The MiB of memory that crossed."""
    source, destination = way.source, way.destination
    print(f"from {source.name} to {destination.name} {' '.join(options)}", flush=True)
    make_disk(destination, image)
    stream, accounts = guest.write_on(), way.accounts()
    begun = time.monotonic()
    check(way.begin(*options).wait(MOVE_LIMIT_S) == 0, "virsh migrate succeeds")
    print(f"  in {time.monotonic() - begun:.1f} s")
    crossed, account = way.account_after(accounts)
    print(f"  {account}")
    check(source.domains() == [] and state(destination) == "paused", f"it is gone from {source.name}, and at {destination.name}")
    shutil.copyfile(source.path(DISK), destination.path(f"{DISK}.source"))
    compared = destination.run("qemu-img", "compare", "-U", f"{DISK}.source", DISK, check=False)
    check(compared.returncode == 0, f"both disks are equal at the switchover {compared.stdout.strip()}")
    destination.virsh("resume", GUEST)
    guest.meet(destination, stream)
    guest.examine()
    return crossed


def cut(way, receiver, guest):
    print(f"from {way.source.name} to {way.destination.name}, and the tunnel ends in the middle", flush=True)
    stream = guest.write_on()
    migrating = way.begin("--bandwidth", "1")
    wait_for(lambda: "Memory processed" in way.source.virsh("domjobinfo", GUEST, check=False).stdout, "memory on its way")
    kill(receiver)
    check(migrating.wait(MOVE_LIMIT_S) != 0, "virsh migrate fails")
    wait_for(lambda: way.destination.domains() == [], f"{way.destination.name} forgets it")
    check(state(way.source) == "running", f"the guest runs on at {way.source.name}")
    stream.wait_past(20)
    stream.stop()
    check(not stream.wrong[:-1], "and has noticed nothing")
    guest.written = stream.next
    guest.examine()


def slow_down(*hosts):
    """To the rate of a WAN: on a link that is faster than the encoder, it tries less."""
    for host in hosts:
        host.run("tc", "qdisc", "add", "dev", "wan0", "root", "tbf", "rate", "100mbit", "burst", "64kb", "latency", "50ms")


def estimate(godwit, host):
    print(f"what it would be, from {host.name}", flush=True)
    images = [word for name in IMAGE_FILES for word in ("--image", f"{IMAGES}/{name}")]
    said = host.run(godwit, "tunnel", "estimate", GUEST, *images).stdout
    print(said, end="")
    plain, ours, looked_at = (float(found) for found in re.findall(r"(?:sends|tunnel|of) ([0-9.]+) MiB", said))
    check(looked_at >= 128 and ours < plain < looked_at, "godwit tunnel estimate sees the memory of the guest that runs")


def story(godwit, image, directory, hosts):
    for name in ("left", "right"):
        Path(directory, name).mkdir()
        hosts.append(LibvirtHost(name, f"{directory}/{name}"))
        make_disk(hosts[-1], image)
    left, right = hosts
    cable(left, ADDRESS["left"], right, ADDRESS["right"])
    subprocess.run([godwit, "tunnel", "keys", "left", "right", "--directory", f"{directory}/keys"], check=True,
                   stdout=subprocess.DEVNULL)
    slow_down(left, right)
    guest = Guest(left)
    estimate(godwit, left)
    keys, at = f"{directory}/keys", "/run/one-way"
    receiver = receive(godwit, keys, left, right, at)
    cut(send(godwit, keys, left, right, at), receiver, guest)
    there, back = both(godwit, keys, left, right)
    crossed_there = move(there, guest, image)
    guest.dirty(0)  # else what goes back is how long it takes
    crossed_back = move(back, guest, image)
    check(crossed_back < crossed_there / 2, "what came needs not go back")
    guest.dirty(3)
    move(there, guest, image, "--parallel", "--parallel-connections", "3")


def main():
    godwit, image = Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve()
    directory = tempfile.mkdtemp(prefix="godwit-tunnel-")
    Path(directory).chmod(0o711)
    hosts = []
    try:
        story(godwit, image, directory, hosts)
    except BaseException:
        for host in hosts:
            for what, text in (*host.logs(), *host.guests_now()):
                print(f"==== {what}\n{text[-4000:]}", file=sys.stderr)
        raise
    finally:
        for host in hosts:
            host.end()
        shutil.rmtree(directory)
    print("ok")


if __name__ == "__main__":
    main()
