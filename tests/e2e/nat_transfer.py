#!/usr/bin/env python3
"""Between hosts behind NATs of every pair of kinds, and where UDP is blocked, a migration's bytes get through.

Usage: nat_transfer.py GODWIT    (root; half a minute). Makes a lab with a name of its own, and removes it whatever happens.

What crosses is TCP to the address inside the overlay at which an agent dials another (os/peer_network), by real switches; the TLS
above it, and the agent, are in nat_migration.py, which moves a guest along every pair of these.
"""
import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rig import nats
from rig.nats import config_of
from rig.net import Net, run
from rig.switch import SwitchProcess, configure, wait_for
from switch_nat import HOST_PORT, Relay, pump

KINDS = [*map(config_of, nats.KINDS), nats.BLOCKED]
RELAY_AT, SIZE = "203.0.113.101", 1 << 20


def config():
    text = '[wan]\nround_trip = "10ms"\nrate = "unlimited"\n[public]\nnodes = ["relay"]\n'
    for number, nat in enumerate(KINDS, 1):
        text += f'[[cloud]]\nname = "c{number}"\nnat = {nat}\ncontrol = "c{number}a"\nhosts = ["h{number}"]\n'
    return text


def address_of(net, node):
    return json.loads(run("ip", "-n", net.full(node), "-j", "-4", "addr", "show", "eth0"))[0]["addr_info"][0]["local"]


def carry(net, hosts, relay):
    """Each pair once, from the first to the second; how many bytes the relay carried of it."""
    points = [{"ip": host.underlay, "port": host.location(1)["underlay_port"], "record": host.record()} for host in hosts]
    addresses = [reply["host_address"] for reply in configure(hosts, peers=points, host_ports=[HOST_PORT])]
    wait_for(lambda: relay.metric("clients") == len(hosts), "every host has found the relay")
    time.sleep(5)  # ways are found meanwhile; it needn't be so, and the relay carries what comes before
    direct = 0
    for (one, a), (two, b) in itertools.combinations(enumerate(hosts), 2):
        before = relay.carried()
        began = time.monotonic()
        if not pump(net, a.name, b.name, socket.AF_INET6, (addresses[two], HOST_PORT), SIZE):
            raise AssertionError(f"altered on the way: {KINDS[one]} to {KINDS[two]}")
        relayed = relay.carried() - before > SIZE // 2
        direct += not relayed
        print(f"  {KINDS[one]} to {KINDS[two]}: {time.monotonic() - began:.1f} s, {'by the relay' if relayed else 'direct'}", flush=True)
    return direct


def main():
    if os.geteuid() != 0:
        sys.exit("nat_transfer: it makes network namespaces: run it as root")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("nat_transfer: terminated"))  # by way of the cleanup below
    program, lab = str(Path(sys.argv[1]).resolve()), f"nt{os.getpid()}"
    ending = []
    with tempfile.TemporaryDirectory(prefix="godwit-switch.") as directory:
        Path(directory, "lab.toml").write_text(config(), encoding="ascii")
        try:
            run(program, "lab", "up", f"{directory}/lab.toml", "--name", lab, "--bare")
            net = Net(f"gw-{lab}")
            relay = Relay(net, program, directory, node="relay", ip=RELAY_AT)
            ending.append(relay)
            hosts = [SwitchProcess(net, f"h{number}", address_of(net, f"h{number}"), program, directory, [relay.spec])
                     for number in range(1, len(KINDS) + 1)]
            for host in hosts:
                ending.append(host)
                host.start()
            direct = carry(net, hosts, relay)
        finally:
            for each in ending:
                each.kill()
            subprocess.run([program, "lab", "down", lab], check=False)
    pairs = len(KINDS) * (len(KINDS) - 1) // 2
    print(f"nat_transfer: passed, {pairs} pairs, {direct} of them direct")


if __name__ == "__main__":
    main()
