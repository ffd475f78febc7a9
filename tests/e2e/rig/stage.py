"""Where a story with switches is told: refuses what can't be done here, and leaves nothing behind, however it ends."""
import os
import shutil
import signal
import subprocess
import sys
import tempfile

from rig.net import Net


def play(name, story, others=()):
    """`story` gets a Net, the program that is the command line's first word, a directory, and two lists, for the hosts and segments
    that it makes. Hosts, and what it puts into `others`, have kill(), which is called at the end."""
    if os.geteuid() != 0:
        sys.exit(f"{name}: it makes network namespaces and TAPs: run it as root")
    if not os.access("/dev/net/tun", os.R_OK | os.W_OK):
        sys.exit(f"{name}: open /dev/net/tun: no such device (modprobe tun, or give this container the device)")
    if len(sys.argv) != 2:
        sys.exit(f"usage: {name} GODWIT")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(f"{name}: terminated"))  # by way of the cleanup below
    directory = tempfile.mkdtemp(prefix="godwit-switch.")
    net = Net(f"gwsw{os.getpid()}")
    hosts, segments = [], []
    try:
        story(net, os.path.abspath(sys.argv[1]), directory, hosts, segments)
    finally:
        for each in [*others, *hosts]:
            each.kill()
        for segment in segments:
            for host in hosts:
                subprocess.run(["ip", "netns", "del", segment.gateway(host)], check=False, stderr=subprocess.DEVNULL)
        net.remove()
        shutil.rmtree(directory)
    print(f"{name}: passed")
