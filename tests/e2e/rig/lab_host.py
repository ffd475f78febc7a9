"""One host of a lab with all of Godwit in it: its agent and QEMUs to be frozen and killed, its records to be read."""
import contextlib
import json
import os
import signal
import sqlite3
import time
from pathlib import Path

from rig.net import run
from rig.patience import PATIENCE_S

LOOK_EVERY_S = 0.0005


class Missed(Exception):
    """The moment that was waited for passed by; nothing is wrong."""


def look_until(what, condition, limit_s):
    """As quick as can be: what is waited for lasts a fraction of a second."""
    deadline = time.monotonic() + limit_s
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise Missed(f"{what}: not within {limit_s} s")
        time.sleep(LOOK_EVERY_S)
    return found


def processes():
    """{pid: command line} of all."""
    found = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            found[int(pid)] = Path("/proc", pid, "cmdline").read_text(errors="replace").split("\0")[:-1]
        except OSError:
            pass  # it is gone
    return found


def state_of(pid):
    try:
        return Path("/proc", str(pid), "stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()[0]
    except OSError:
        return "gone"


class LabHost:
    """`frozen` is shared by the hosts of a lab: whoever stands still, to be let go at the end whatever happens."""

    def __init__(self, lab, cloud, name, frozen):
        self.lab, self.cloud, self.name, self.frozen = lab, cloud, name, frozen
        self.state = lab.directory / "hosts" / name
        self.netns = f"gw-{lab.name}-{name}"

    # ---- processes

    def agent(self):
        words = ["agent", "run", "--state", str(self.state)]
        return next((pid for pid, line in processes().items() if line[1:5] == words), None)

    def qemus(self, instance):
        """By their command lines, wherever their directory has gone."""
        part = f"{self.state}/instances/{instance}/"
        return [pid for pid, line in processes().items()
                if line and "qemu-system" in line[0] and any(part in word for word in line)]

    def qemu(self, instance):
        found = self.qemus(instance)
        if len(found) != 1:
            raise Missed(f"{self.name} has {len(found)} QEMUs of {instance}")
        return found[0]

    def freeze(self, pid):
        if pid is None:
            raise Missed(f"{self.name} has no agent")
        os.kill(pid, signal.SIGSTOP)
        self.frozen.add(pid)
        look_until("frozen", lambda: state_of(pid) in ("T", "t", "Z", "X", "gone"), PATIENCE_S)

    def kill(self, pid):
        with contextlib.suppress(ProcessLookupError):  # it has ended by itself
            os.kill(pid, signal.SIGKILL)
        self.frozen.discard(pid)
        look_until("dead", lambda: state_of(pid) in ("Z", "X", "gone"), PATIENCE_S)

    def start_agent(self):
        """It runs when this returns: who is started is another program before it is an agent."""
        run(str(self.lab.godwit), "lab", "run", "--lab", self.lab.name, self.name, "--name", "agent", "--",
            str(self.lab.godwit), "agent", "run", "--state", str(self.state))
        look_until("the agent", self.agent, PATIENCE_S)

    # ---- what it has promised, and said

    def ballot(self, migration):
        try:
            return json.loads((self.state / "migrations" / f"{migration}.json").read_text(encoding="utf-8"))["ballot"]
        except (OSError, ValueError):
            return {"vote": "unknown", "decision": "none", "carried_out": False}

    def vote_of_cloud(self, migration):
        database = self.lab.directory / "clouds" / self.cloud / "cloud.db"
        with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as opened:
            row = opened.execute("SELECT vote FROM migrations WHERE id = ? AND role = 'source'", (migration,)).fetchone()
        return row[0] if row else "unknown"

    def log_path(self):
        return self.lab.directory / "log" / f"{self.name}.agent.log"  # of every agent that was started here

    def log_size(self):
        return self.log_path().stat().st_size

    def log(self, since=0):
        with open(self.log_path(), "rb") as file:
            file.seek(since)
            return file.read().decode(errors="replace")

    # ---- what it has of an instance

    def console(self, instance):
        return self.state / "instances" / instance / "console.log"

    def traces(self, instance):
        """What a host that doesn't have the instance must not have."""
        found = [f"a QEMU of it (pid {pid})" for pid in self.qemus(instance)]
        places = [self.state / "instances", self.state / "records", self.state / "switch"]
        found += [str(path) for place in places for path in place.glob(f"{instance}*")]
        links = json.loads(run("ip", "-n", self.netns, "-j", "link"))
        return found + [f"device {link['ifname']}" for link in links if link["ifname"] not in ("lo", "eth0", "gwhosts")]
