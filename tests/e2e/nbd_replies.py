#!/usr/bin/env python3
"""What is read of a destination's disk through `godwit tunnel` is what lies there: by structured replies, whose chunks are data, holes
and what is allocated. A real QEMU mirrors its whole disk there, holes and all, and copies it back by the same way; qemu-img and qemu-io ask
by it too. Every byte is compared with both disks.
Usage: nbd_replies.py GODWIT [IMAGE_DIR]    (needs root; about half a minute under emulation)
"""
import collections
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile

from dump_comparison import LINK, NAMES, Tunnel, check, make_vm
from rig.nbd import Replies
from rig.net import Net, run
from rig.pair import NbdWatch
from rig.pump import Pump
from rig.qemu import UNPRIVILEGED_UID, Image

ENCODINGS = ("shrink", "zstd", "plain")
# Random here and there; zeros that were written, over what was random; the rest is a hole.
WRITES = ["dd if=/dev/urandom of=/dev/vda bs=4096 seek=10 count=300 conv=notrunc,fsync",
          "dd if=/dev/urandom of=/dev/vda bs=4096 seek=5000 count=500 conv=notrunc,fsync",
          "dd if=/dev/zero of=/dev/vda bs=4096 seek=5100 count=64 conv=notrunc,fsync"]
PATTERN_AT, PATTERN_BYTES = 9 << 20, 3 << 16


def qemu(*words):
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    check(done.returncode == 0, f"{words[0]} {words[1]}{f': {done.stdout}{done.stderr}' if done.returncode else ''}")
    return done.stdout


class Way:
    """From the source's socket by the tunnel to the destination's export; both directions are watched."""

    def __init__(self, source, tunnel):
        self.asked, self.answered, self.path = [], collections.Counter(), source.path("disk.sock")
        if os.path.exists(self.path):
            os.unlink(self.path)
        listener = socket.create_server(("127.0.0.1", 0))
        address = listener.getsockname()
        self._pump = Pump(self.path, tunnel.path("disk"), listener, lambda: socket.create_connection(address), UNPRIVILEGED_UID,
                          lambda: NbdWatch(self.asked), lambda: Replies(self.answered))

    def url(self):
        return f"nbd+unix:///overlay?socket={self.path}"

    def forget(self):
        check(not self.answered["error"] and not self.answered["other"], "no error was said, and nothing that is not understood")
        self.asked.clear()
        self.answered.clear()

    def close(self):
        self._pump.close()


def mirror(source, destination, way):
    """The whole disk, while the guest stands still in the end."""
    source.qmp.call("blockdev-add", driver="nbd", **{"node-name": "target"}, export="overlay", server={"type": "unix", "path": way.path})
    source.qmp.call("blockdev-mirror", **{"job-id": "mirror"}, device="overlay", target="target", sync="full")
    source.qmp.wait("BLOCK_JOB_READY", device="mirror")
    source.qmp.call("block-job-cancel", device="mirror")
    check("error" not in source.qmp.wait("BLOCK_JOB_COMPLETED", device="mirror")["data"], "the mirror ends without an error")
    check("write" in way.asked and "write-zeroes" in way.asked, f"it wrote data and zeros: {dict(collections.Counter(way.asked))}")
    qemu("qemu-img", "compare", "-U", source.overlay, destination.overlay)


def copy_back(source, destination, way):
    """By the source's QEMU, which reads what it has mirrored."""
    way.forget()
    copy = source.path("back.raw")
    with open(copy, "wb") as file:
        file.truncate(source.image.virtual_size_bytes)
    os.chown(copy, UNPRIVILEGED_UID, UNPRIVILEGED_UID)
    source.qmp.call("blockdev-add", driver="raw", **{"node-name": "back"}, file={"driver": "file", "filename": copy})
    source.qmp.call("blockdev-backup", **{"job-id": "back"}, device="target", target="back", sync="full")
    check("error" not in source.qmp.wait("BLOCK_JOB_COMPLETED", device="back")["data"], "the source's QEMU has read it back")
    for node in ("back", "target"):
        source.qmp.call("blockdev-del", **{"node-name": node})
    check(way.answered["data"] > 0, f"by structured replies: {dict(way.answered)}")
    for overlay in (source.overlay, destination.overlay):
        qemu("qemu-img", "compare", "-U", "-f", "raw", "-F", "qcow2", copy, overlay)
    os.unlink(copy)


def zeros_of(*words):
    """[(begin, end), …] of what qemu-img map says is zeros."""
    out = []
    for each in json.loads(qemu("qemu-img", "map", "--output=json", *words)):
        if each["zero"]:
            begin, end = each["start"], each["start"] + each["length"]
            if out and out[-1][1] == begin:
                begin = out.pop()[0]
            out.append((begin, end))
    return out


def read_by_others(destination, way, directory):
    way.forget()
    check(zeros_of(way.url()) == zeros_of("-U", destination.overlay), "what is zeros is told as it is there")
    check(way.answered["status"] > 0, f"by structured replies: {dict(way.answered)}")
    way.forget()
    copy = f"{directory}/copy.raw"
    qemu("qemu-img", "convert", "-O", "raw", way.url(), copy)
    qemu("qemu-img", "compare", "-U", "-f", "raw", "-F", "qcow2", copy, destination.overlay)
    size = os.path.getsize(copy)
    os.unlink(copy)
    qemu("qemu-io", "-r", "-f", "raw", way.url(), "-c", f"read 0 {min(size, 32 << 20)}")
    check(way.answered["hole"] > 0 and way.answered["data"] > 0, f"holes and data: {dict(way.answered)}")


def written_by_others(destination, way):
    """What comes back is what has just gone there, and is on the disk."""
    where = f"{PATTERN_AT} {PATTERN_BYTES}"
    said = qemu("qemu-io", "-f", "raw", way.url(), "-c", f"write -P 0xa5 {where}", "-c", f"write -z {PATTERN_AT + 4096} 4096", "-c", "flush",
                "-c", f"read -P 0xa5 {PATTERN_AT} 4096", "-c", f"read -P 0 {PATTERN_AT + 4096} 4096",
                "-c", f"read -P 0xa5 {PATTERN_AT + 8192} {PATTERN_BYTES - 8192}")
    check("verification failed" not in said, "what was written comes back")
    said = qemu("qemu-io", "-U", "-r", "-f", "qcow2", destination.overlay, "-c", f"read -P 0xa5 {PATTERN_AT} 4096",
                "-c", f"read -P 0 {PATTERN_AT + 4096} 4096", "-c", f"read -P 0xa5 {PATTERN_AT + 8192} {PATTERN_BYTES - 8192}")
    check("verification failed" not in said, "and is on the destination's disk")


def journey(directory, image, source, tunnel):
    destination = make_vm(directory, image, NAMES[1], "-incoming", "defer", "-S")
    way = Way(source, tunnel)
    try:
        destination.qmp.call("nbd-server-start", addr={"type": "unix", "data": {"path": destination.path("disk.sock")}})
        destination.qmp.call("block-export-add", type="nbd", id="export", **{"node-name": "overlay"}, name="overlay", writable=True)
        mirror(source, destination, way)
        check(way.answered["structured"] > 0, "structured replies were agreed on")
        copy_back(source, destination, way)
        read_by_others(destination, way, directory)
        written_by_others(destination, way)
        way.forget()
    finally:
        way.close()
        destination.kill()


def story(godwit, directory, net, image):
    net.add("wan")
    run("ip", "netns", "exec", net.full("wan"), "tc", "qdisc", "add", "dev", "lo", "root", "tbf", *LINK)
    subprocess.run([godwit, "tunnel", "keys", *NAMES, "--directory", directory], check=True, stdout=subprocess.DEVNULL)
    source = make_vm(directory, image, NAMES[0])
    try:
        guest = source.booted()
        for command in WRITES:
            check(guest.ask(f"SH {command} 2>/dev/null") == "OK 0", command[:60])
        source.qmp.call("stop")  # so that the disks can be compared
        for encoding in ENCODINGS:
            print(encoding, flush=True)
            tunnel = Tunnel(godwit, directory, net, image, NAMES, encoding)
            try:
                journey(directory, image, source, tunnel)
            finally:
                tunnel.close()
    finally:
        source.kill()


def main():
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    image = sys.argv[2] if len(sys.argv) > 2 else f"{root}/.cache/images/tiny"
    if os.geteuid() != 0:
        sys.exit("nbd_replies: it makes a network namespace, and runs QEMU as another user: run it as root")
    subprocess.run([f"{root}/images/build-tiny", image], check=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("nbd_replies: terminated"))
    directory = tempfile.mkdtemp(prefix="godwit-nbd-replies.")
    os.chmod(directory, 0o711)
    net = Net(f"gwnbd{os.getpid()}")
    try:
        story(os.path.abspath(sys.argv[1]), directory, net, Image(os.path.abspath(image)))
    finally:
        net.remove()
        shutil.rmtree(directory)
    print("nbd_replies: passed")


if __name__ == "__main__":
    main()
