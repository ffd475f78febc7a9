"""Hosts with a `godwit switch` each on an underlay of their own, and guests that are network namespaces on a cable.

A guest has one veth end per host on which it may be, all of the same MAC and address but one up at a time: to move it is to
take one down and the other up, as QEMU's pause and start do.
"""
import json
import signal
import socket
import struct
import subprocess
import threading
import time

from rig.authority import Authority
from rig.net import run
from rig.patience import PATIENCE_S

AUTHORITY = Authority("lab")
MTU = 1500
SO_RCVBUFFORCE, RECEIVE_BYTES = 33, 4 << 20
CIDR, GATEWAY = "10.77.0.0/24", "10.77.0.1"

def wait_for(condition, what, limit_s=PATIENCE_S):
    end = time.monotonic() + limit_s
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"not within {limit_s} s: {what}")
        time.sleep(0.002)


class Guest:
    def __init__(self, net, number, network=1, mtu=MTU):
        self.net, self.number, self.network, self.mtu = net, number, network, mtu
        self.name, self.device = f"g{network}{number}", {}
        self.instance = f"i-{network:08x}{number:09x}"
        self.ip, self.mac = f"10.77.0.{10 + number}", f"02:67:00:00:{network:02x}:{number:02x}"
        net.add(self.name)

    def plug(self, host):
        """A cable to `host`, not connected yet at the guest's end. The host's end is what a guest's TAP would be."""
        device, tap = f"to-{host.name}", self.tap(host)
        self.net.cable(self.name, device, host.name, tap)
        self.net.ip(self.name, "link", "set", device, "address", self.mac, "mtu", str(self.mtu))
        self.net.ip(host.name, "link", "set", tap, "mtu", str(self.mtu), "up")
        self.device[host.name] = device

    def tap(self, host):
        return f"{self.name}-{host.name}"

    def start(self, host):
        device = self.device[host.name]
        self.net.ip(self.name, "link", "set", device, "up")
        self.net.ip(self.name, "addr", "add", f"{self.ip}/24", "dev", device)
        self.net.ip(self.name, "route", "add", "default", "via", GATEWAY)

    def pause(self, host):
        self.net.ip(self.name, "addr", "flush", "dev", self.device[host.name])
        self.net.ip(self.name, "link", "set", self.device[host.name], "down")

    def listen(self, kind=socket.SOCK_STREAM, port=0):
        with self.net.inside(self.name):
            out = socket.socket(socket.AF_INET, kind)
        out.bind((self.ip, port))
        if kind == socket.SOCK_STREAM:
            out.listen(4)
        return out

    def connect(self, address):
        with self.net.inside(self.name):
            out = socket.socket()
        out.settimeout(PATIENCE_S)
        out.connect(address)
        return out

    def neighbours(self):
        return {e["dst"]: e.get("lladdr") for e in json.loads(run("ip", "-n", self.net.full(self.name), "-j", "neigh"))}


class SwitchProcess:
    """The switch of a namespace that has the address `underlay`."""

    def __init__(self, net, name, underlay, program, directory, relays=()):
        self.net, self.name, self.underlay, self.program = net, name, underlay, program
        self.more = [word for each in relays for word in ("--relay", each)]
        self.state, self.control = f"{directory}/{self.name}", f"{directory}/{self.name}.sock"
        self.process, self._connection, self._next = None, None, 0

    def start(self):
        """Starts the switch; returns the seconds until it answered."""
        began = time.monotonic()
        with self.net.inside(self.name):
            self.process = subprocess.Popen([self.program, "switch", "--control", self.control, "--state", self.state,
                                             "--underlay", self.underlay, "--log", "warn", *self.more])
        self._connection = None
        wait_for(self._try_connect, f"the switch of {self.name} listens")
        self.ask(op="locations")
        return time.monotonic() - began

    def _try_connect(self):
        if self.process.poll() is not None:
            raise AssertionError(f"the switch of {self.name} ended with {self.process.returncode}")
        end = socket.socket(socket.AF_UNIX)
        try:
            end.connect(self.control)
        except OSError:
            end.close()
            return False
        self._connection = end.makefile("rw")
        return True

    def reconnect(self):
        """As an agent does that was restarted."""
        self._connection.close()
        wait_for(self._try_connect, f"the switch of {self.name} listens")

    def path_to(self, other):
        peers = self.ask(op="observe")["observation"]["peers"]
        return next((peer["path"] for peer in peers if peer["host"] == other.name), None)

    def ask(self, **request):
        self._next += 1
        self._connection.write(json.dumps({"id": self._next, **request}) + "\n")
        self._connection.flush()
        reply = json.loads(self._connection.readline())
        if reply["id"] != self._next:
            raise AssertionError(f"answer {reply['id']} to question {self._next}")
        if reply["error"]:
            raise AssertionError(f"switch of {self.name}: {reply['error']}")
        return reply

    def kill(self, number=signal.SIGKILL):
        if self.process:
            self.process.send_signal(number)
            self.process.wait()
        self.process = None

    def location(self, version):
        port = self.ask(op="locations")["overlay_port"]
        return {"cloud": "lab", "host": self.name, "underlay_ip": self.underlay, "underlay_port": port, "version": version,
                "record": self.record()}

    def record(self):
        return AUTHORITY.host_record(self.name, self.ask(op="locations")["overlay_key"])

    def drops(self):
        return {d["reason"]: d["frames"] for d in self.ask(op="stats")["drops"]}

    def devices(self):
        return [e["ifname"] for e in json.loads(run("ip", "-n", self.net.full(self.name), "-j", "link"))]


class Host(SwitchProcess):
    """A namespace on the bridge of "wan", with its switch."""

    def __init__(self, net, number, program, directory):
        super().__init__(net, f"h{number}", f"10.1.0.{number}", program, directory)
        self.number = number
        net.add(self.name)
        net.cable(self.name, "up0", "wan", f"to-{self.name}")
        net.ip(self.name, "addr", "add", f"{self.underlay}/24", "dev", "up0")
        net.ip(self.name, "link", "set", "up0", "up")
        net.plug("wan", f"to-{self.name}", "br0")


class Segment:
    """One network over all hosts, as sky and the agents would tell it to the switches."""

    def __init__(self, number, cidr6="", mtu=MTU):
        self.number, self.cidr6, self.mtu = number, cidr6, mtu
        self.members, self.ports = {}, {}  # by instance; by host, by instance
        self.groups, self.groups_of = [], {}  # security groups; their names by instance

    def place(self, guest, host, version=1):
        self.members[guest.instance] = (guest, host.location(version))
        self.ports.setdefault(host.name, {})[guest.instance] = (guest, version)

    def expect(self, guest, host):
        """A port for an incoming migration."""
        self.ports.setdefault(host.name, {})[guest.instance] = (guest, 0)

    def announcement(self, guest, host, version):
        return {"network": self.id(), "instance": guest.instance, "version": version,
                "claim": AUTHORITY.location_claim(host.name, self.id(), self.number, guest.instance, version)}

    def config(self, host):
        members = [{"instance": instance, "name": guest.name, "mac": guest.mac, "ip": guest.ip, "roles": [],
                    "groups": self.groups_of.get(instance, []), "location": location} for instance, (guest, location) in self.members.items()]
        network = {"id": f"net-{self.number:017x}", "tenant": "t", "name": f"net{self.number}", "vni": self.number,
                   "cidr": CIDR, "cidr6": self.cidr6, "groups": self.groups, "gateway": GATEWAY, "domain": "demo.internal",
                   "key": f"{self.number:064x}", "mtu": self.mtu,
                   "members": members}
        ports = [{"instance": i, "mac": g.mac, "ip": g.ip, "guest_tap": g.tap(host), "version": v}
                 for i, (g, v) in self.ports.get(host.name, {}).items()]
        return {"network": network, "ports": ports, "gateway_namespace": self.gateway(host)}

    def gateway(self, host):
        return host.net.full(f"gw{self.number}-{host.name}")

    def id(self):
        return f"net-{self.number:017x}"


def configure(hosts, *segments, **more):
    """Returns what each switch answered."""
    return [host.ask(op="config", config={"cloud": "lab", "host": host.name, "networks": [s.config(host) for s in segments],
                                          "record": host.record(), "authorities": [{"cloud": "lab", "pem": AUTHORITY.pem}],
                                          **more}) for host in hosts]


class Records(threading.Thread):
    """A TCP connection from one guest to another that carries numbered records, at a steady pace; notes when each came."""

    def __init__(self, sender, receiver, every_s=0.002):
        super().__init__(daemon=True)
        self.every_s, self.stopping, self.sent, self.arrivals, self.wrong = every_s, False, 0, [], None
        listener = receiver.listen()
        self.out = sender.connect(listener.getsockname())
        self.into, _ = listener.accept()
        listener.close()
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        self.start()

    def run(self):
        while not self.stopping:
            self.out.sendall(struct.pack("!Q", self.sent).ljust(64, b"."))
            self.sent += 1
            time.sleep(self.every_s)
        self.out.shutdown(socket.SHUT_WR)

    def _read(self):
        with self.into.makefile("rb") as stream:
            while record := stream.read(64):
                number = struct.unpack("!Q", record[:8])[0]
                if len(record) != 64 or number != len(self.arrivals):
                    self.wrong = f"{record!r} as number {len(self.arrivals)}"
                    return
                self.arrivals.append(time.monotonic())

    def wait(self, count):
        goal = len(self.arrivals) + count
        wait_for(lambda: len(self.arrivals) >= goal or self.wrong, f"{count} more records")

    def gap_ms(self, since):
        """The longest time without a record since then."""
        times = [since] + [t for t in self.arrivals if t >= since]
        return max((b - a for a, b in zip(times, times[1:])), default=0) * 1000

    def finish(self):
        self.stopping = True
        self.join()
        self.reader.join(PATIENCE_S)
        if self.wrong or len(self.arrivals) != self.sent:
            raise AssertionError(f"{self.sent} records sent, {len(self.arrivals)} arrived; wrong: {self.wrong}")


class Beats(threading.Thread):
    """Datagrams from one guest to another, one every 5 ms; notes when each came. Nobody sends one again."""

    EVERY_S = 0.005

    def __init__(self, sender, receiver):
        super().__init__(daemon=True)
        self.stopping, self.arrivals, self.sent = False, [], 0
        self.into = receiver.listen(socket.SOCK_DGRAM)
        self.into.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BYTES)  # whoever reads them may have to wait for the machine
        with sender.net.inside(sender.name):
            self.out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        threading.Thread(target=self._read, daemon=True).start()
        self.start()

    def run(self):
        next_at = time.monotonic()
        while not self.stopping:
            self.out.sendto(b"beat", self.into.getsockname())
            self.sent += 1
            now = time.monotonic()
            next_at = max(next_at + self.EVERY_S, now)  # who stood still sends no burst
            time.sleep(next_at - now)

    def _read(self):
        while True:
            self.into.recv(16)
            self.arrivals.append(time.monotonic())

    def wait(self, count):
        goal = len(self.arrivals) + count
        wait_for(lambda: len(self.arrivals) >= goal, f"{count} more datagrams")

    def gap_ms(self, since):
        """The longest time without a datagram since then."""
        times = [since] + [t for t in self.arrivals if t >= since]
        return max((b - a for a, b in zip(times, times[1:])), default=0) * 1000


def echo(guest, port=0):
    """Answers every datagram to `guest` from now on; returns the address."""
    server = guest.listen(socket.SOCK_DGRAM, port)

    def serve():
        while True:
            try:
                data, sender = server.recvfrom(65536)
                server.sendto(data, sender)
            except OSError:
                return

    threading.Thread(target=serve, daemon=True).start()
    return server.getsockname()
