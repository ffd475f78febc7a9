"""An unmodified mDNS responder (Debian's python3-zeroconf) as processes in guests' namespaces.

As a program: mdns.py offer FAMILY DEVICE INSTANCE PORT ADDRESS…   says "offered" when the name was probed for and announced, until its input ends
              mdns.py find FAMILY DEVICE INSTANCE OTHER            says, as JSON, what it heard of until it had resolved the first, and of the other,
                                                                   for which it then asks by name: addresses and port of each instance
"""
import json
import os
import socket
import subprocess
import sys

KIND = "_godwit._tcp.local."
PYTHON = "/usr/bin/python3"  # Debian's, which has Debian's packages
LIMIT_S, ASKED_MS = 20, 1500  # it asks three times


class Offer:
    """A service that a guest offers by one family's groups, until close()."""

    def __init__(self, guest, device, family, instance, port, addresses):
        with guest.net.inside(guest.name):
            self.process = subprocess.Popen([PYTHON, os.path.abspath(__file__), "offer", family, device, instance, str(port), *addresses],
                                            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def wait(self):
        if self.process.stdout.readline() != "offered\n":
            raise AssertionError(f"the responder ended with {self.process.wait()}")
        return self

    def close(self):
        self.process.communicate()

    def kill(self):
        self.process.kill()
        self.process.wait()


def find(guest, device, family, instance, other):
    """What `guest` hears of by one family's groups until it has resolved `instance`, and when it has asked for `other`:
    {instance: [addresses, port]}."""
    with guest.net.inside(guest.name):
        done = subprocess.run([PYTHON, os.path.abspath(__file__), "find", family, device, instance, other], stdout=subprocess.PIPE, text=True, check=True,
                              timeout=LIMIT_S + 10)
    return json.loads(done.stdout)


def responder(family, device):
    """By this device and these groups alone."""
    from zeroconf import IPVersion, Zeroconf
    if family == "6":
        return Zeroconf(interfaces=[socket.if_nametoindex(device)], ip_version=IPVersion.V6Only)
    shown = json.loads(subprocess.run(["ip", "-j", "-4", "addr", "show", "dev", device], capture_output=True, check=True).stdout)
    return Zeroconf(interfaces=[shown[0]["addr_info"][0]["local"]], ip_version=IPVersion.V4Only)


def offer(family, device, instance, port, *addresses):
    from zeroconf import ServiceInfo
    with responder(family, device) as mine:
        mine.register_service(ServiceInfo(KIND, f"{instance}.{KIND}", port=int(port), server=f"{instance}.local.", parsed_addresses=list(addresses)))
        print("offered", flush=True)
        sys.stdin.read()


def browse(family, device, instance, other):
    import queue
    import time

    from zeroconf import ServiceBrowser

    class Names:
        def __init__(self):
            self.heard = queue.Queue()

        def add_service(self, _zeroconf, _kind, name):
            self.heard.put(name)

        def update_service(self, *_):
            pass

        def remove_service(self, *_):
            pass

    out, names, until = {}, Names(), time.monotonic() + LIMIT_S

    def resolve(name, limit_ms):
        if found := mine.get_service_info(KIND, name, timeout=limit_ms):
            out[name.removesuffix(f".{KIND}")] = [sorted(found.parsed_addresses()), found.port]

    with responder(family, device) as mine:
        browser = ServiceBrowser(mine, KIND, names)
        while instance not in out:
            resolve(names.heard.get(timeout=max(0.0, until - time.monotonic())), 1000 * LIMIT_S)
        browser.cancel()
        resolve(f"{other}.{KIND}", ASKED_MS)
    print(json.dumps(out))


if __name__ == "__main__":
    {"offer": offer, "find": browse}[sys.argv[1]](*sys.argv[2:])
