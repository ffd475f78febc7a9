"""Eight namespaces on one bridge, or on two with a slow cable between them; each host's link limited both ways with tbf."""
import json
import re
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests/e2e"))
from rig.net import Net, run  # noqa: E402

BURST = "256kb"
HOSTS = 8


class Scene:
    def __init__(self, prefix, mbit, slow=None, sites=None, wan_mbit=100):
        """`slow`: {host: mbit}; `sites`: a letter for each host."""
        self.net, self.mbit, self.sites = Net(prefix), mbit, sites or "a" * HOSTS
        for site in sorted(set(self.sites)):
            self.net.add(f"lan{site}")
            self.net.bridge(f"lan{site}", "br0")
        if "b" in self.sites:
            self.net.cable("lana", "wan", "lanb", "wan")
            for site in "ab":
                self.net.plug(f"lan{site}", "wan", "br0")
                self.limit(f"lan{site}", "wan", wan_mbit)
        for host in range(HOSTS):
            lan, name = f"lan{self.sites[host]}", self.name(host)
            rate = (slow or {}).get(host, mbit)
            self.net.add(name)
            self.net.cable(name, "up0", lan, f"p{host}")
            self.net.plug(lan, f"p{host}", "br0")
            self.net.ip(name, "addr", "add", f"{self.ip(host)}/24", "brd", "+", "dev", "up0")
            self.net.ip(name, "link", "set", "up0", "up")
            self.net.ip(name, "route", "add", "224.0.0.0/4", "dev", "up0")
            self.limit(name, "up0", rate)
            self.limit(lan, f"p{host}", rate)

    def limit(self, space, device, mbit):
        run("tc", "-n", self.net.full(space), "qdisc", "replace", "dev", device, "root", "tbf", "rate", f"{mbit}mbit",
            "burst", BURST, "latency", "50ms")

    @staticmethod
    def name(host):
        return f"h{host}"

    @staticmethod
    def ip(host):
        return f"10.7.0.{host + 1}"

    def inside(self, host, *words):
        return ["ip", "netns", "exec", self.net.full(self.name(host)), *words]

    def goodput(self):
        """Bytes a second of one TCP stream over one link, as iperf3 says."""
        server = subprocess.Popen(self.inside(1, "iperf3", "-s", "-1"), stdout=subprocess.DEVNULL)
        try:
            for _ in range(50):
                done = subprocess.run(self.inside(0, "iperf3", "-c", self.ip(1), "-J", "-t", "3", "-O", "1"), capture_output=True,
                                      text=True, check=False)
                received = json.loads(done.stdout or "{}").get("end", {}).get("sum_received")
                if received:
                    return received["bits_per_second"] / 8
                time.sleep(0.1)
            raise RuntimeError(f"iperf3: {done.stdout}{done.stderr}")
        finally:
            server.kill()
            server.wait()

    def wan_bytes(self):
        """That have left site a's bridge by the cable to site b, with all headers."""
        shown = run("ip", "-n", self.net.full("lana"), "-s", "-j", "link", "show", "wan")
        return json.loads(shown)[0]["stats64"]["tx"]["bytes"]

    def remove(self):
        self.net.remove()


def cpu_of_ksoftirqd():
    total = 0
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = path.read_text(encoding="ascii")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if re.search(r"\(ksoftirqd/", text):
            words = text.rsplit(")", 1)[1].split()
            total += int(words[11]) + int(words[12])
    return total / 100
