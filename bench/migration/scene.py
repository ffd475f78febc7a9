"""What is measured of one method: instances restored at one host, moved to the other, and seen to live there."""
import contextlib
import os
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from rig.qmp import QmpClosed, QmpError

from .course import Turns
from .cpu import Meter, Split
from .guests import WAITS, Lifeless, machine, restore, wait_past
from .move import Failed, Move
from .wan import HERE, THERE, Tunnels

LIFE_LIMIT_S = 120
QUIET_S, QUIET_BYTES, QUIET_LIMIT_S = 0.25, 2000, 20
VCPU_NICER = 5
AT_ONCE = 4  # as src/sky/migrations.cc


class Instance:
    """A guest that runs here or there. Each of its QEMUs has a directory of its own."""

    def __init__(self, saved, scratch):
        self.saved, self.name, self._scratch, self._machines = saved, saved.name, scratch, 0
        self.vm, self.host = None, HERE

    def next_directory(self):
        self._machines += 1
        return f"{self._scratch}/{self.name}-{self._machines}"

    def start(self, wan, image):
        number = self.saved.number
        self.vm = machine(image, self.name, number, self.next_directory(), wan.net.tap(HERE, f"g{number}"), *WAITS)
        restore(self.vm, self.saved)
        yield_to_others(self.vm)

    def arrived(self, vm, host):
        self.vm, self.host = vm, host
        yield_to_others(vm)

    def see_load(self):
        """It counts on, since it is here: two counts of this QEMU that differ."""
        first = wait_past(self.vm, 0, LIFE_LIMIT_S)
        wait_past(self.vm, first, LIFE_LIMIT_S)

    def close(self):
        if self.vm is not None:
            self.vm.kill()


def yield_to_others(vm):
    """The hosts of both clouds share this machine's few cores: what moves guests would wait for those that compute."""
    nice = min(os.getpriority(os.PRIO_PROCESS, 0) + VCPU_NICER, 19)
    for cpu in vm.qmp.call("query-cpus-fast"):
        os.setpriority(os.PRIO_PROCESS, cpu["thread-id"], nice)


@dataclass
class Outcome:
    """Of one move of some instances with one method. `apart` says why it has no place among the others, if it has none."""
    method: str
    disk_bytes: int = 0
    memory_bytes: int = 0
    seconds: float = 0.0
    downtimes_ms: dict = field(default_factory=dict)
    rounds: dict = field(default_factory=dict)
    tried: dict = field(default_factory=dict)
    loads_per_minute: dict = field(default_factory=dict)  # while they moved
    apart: list = field(default_factory=list)
    lost: list = field(default_factory=list)  # guests that did not live afterwards
    cpu: dict = field(default_factory=dict)  # as Split has it

    @property
    def bytes(self):
        return self.disk_bytes + self.memory_bytes

    def text(self):
        if self.apart:
            return f"{self.method:>8}: APART after {self.seconds:.0f} s: {'; '.join(self.apart)}"
        downtimes = ", ".join(f"{name} {each:.0f}" for name, each in self.downtimes_ms.items())
        helped = sum(bool(each) for each in self.tried.values())
        return (f"{self.method:>8}: memory {self.memory_bytes / 1e6:7.1f} MB, disk {self.disk_bytes / 1e6:6.1f} MB, {self.seconds:6.1f} s; "
                f"downtime in ms: {downtimes}" + (f"; {helped} were helped to converge" if helped else "")
                + (f"; DID NOT LIVE: {'; '.join(self.lost)}" if self.lost else "") + f"; {Split(**self.cpu).text()}")


class Scene:
    """Tunnels that know nothing yet, and instances that come and go; a context manager. `guests`: how many there will be."""

    def __init__(self, wan, image, image_files, method, guests):
        self.wan, self.image, self.image_files, self.method, self.guests = wan, image, image_files, method, guests
        self.instances, self._ends = [], contextlib.ExitStack()

    def __enter__(self):
        with contextlib.ExitStack() as ends:
            self.scratch = Path(ends.enter_context(tempfile.TemporaryDirectory(prefix="bench-migration.")))
            self.scratch.chmod(0o711)
            self.tunnels = ends.enter_context(
                Tunnels(self.wan, self.scratch / "tunnel", self.image_files, self.method.encodings, self.guests))
            self._ends = ends.pop_all()
        return self

    def __exit__(self, *_):
        self._ends.close()

    def adopt(self, instance):
        """One of another scene that runs on in this one."""
        self.instances.append(instance)
        self._ends.callback(instance.close)

    def bring(self, saved):
        """These guests run here, and their loads count."""
        brought = [Instance(each, self.scratch) for each in saved]
        for instance in brought:
            self.adopt(instance)
            instance.start(self.wan, self.image)
        for instance in brought:
            instance.vm.qmp.call("cont")
        for instance in brought:
            instance.see_load()
        return brought

    def way(self, instance, to, turns):
        number = self.instances.index(instance) + 1
        return Move(self.wan, self.tunnels, self.image, self.method, instance, to, number, turns)

    def move(self, instances, to=THERE, limit_s=900):
        """All of them: the disks at once, then the memory in the product's order (src/sky/order.h): up to four at a time, and where one
        spares others, the first goes ahead until its memory has crossed once."""
        turns = Turns()
        moves = [self.way(each, to, turns) for each in instances]
        outcome = Outcome(self.method.name)
        with contextlib.ExitStack() as ends:
            for each in moves:
                ends.callback(each.end)
                each.prepare()
            self.take(moves, limit_s, outcome)
            for each in moves:
                if each.downtime_ms is not None:
                    self.note(each, outcome)
        return outcome

    def take(self, moves, limit_s, outcome):
        before, began = self.quiet_bytes(), time.monotonic()
        origin = moves[0].origin
        meter = Meter(self.tunnels.running[origin].pid, self.tunnels.running[moves[0].to].pid)
        for each in moves:
            each.be_metered(meter)
        with ThreadPoolExecutor(len(moves)) as disks, ThreadPoolExecutor(AT_ONCE) as memories:
            try:
                list(disks.map(Move.copy_disk, moves))
                outcome.disk_bytes = self.wan.bytes() - before
                deadline, under_way = time.monotonic() + limit_s, []
                for each in moves:
                    under_way.append(memories.submit(memory_problem, each, deadline))
                    if self.method.shares and each is moves[0]:
                        each.crossed.wait(limit_s)
                outcome.apart = [problem for each in under_way if (problem := each.result())]
            except BaseException:  # an interrupt too: the threads wait for these QEMUs
                memories.shutdown(wait=False, cancel_futures=True)
                for each in moves:
                    each.kill()
                raise
        outcome.seconds = time.monotonic() - began
        outcome.cpu = vars(meter.end())
        outcome.memory_bytes = self.quiet_bytes() - before - outcome.disk_bytes

    def note(self, move, outcome):
        name = move.instance.name
        outcome.downtimes_ms[name], outcome.rounds[name], outcome.tried[name] = move.downtime_ms, move.rounds, move.tried
        outcome.loads_per_minute[name] = move.per_minute
        try:
            wait_past(move.instance.vm, move.last_count, LIFE_LIMIT_S)
        except Lifeless as problem:
            outcome.lost.append(str(problem))

    def quiet_bytes(self):
        """The WAN's bytes once nothing is on its way any more."""
        deadline, last = time.monotonic() + QUIET_LIMIT_S, self.wan.bytes()
        while True:
            time.sleep(QUIET_S)
            now = self.wan.bytes()
            if now - last < QUIET_BYTES or time.monotonic() > deadline:
                return now
            last = now

    def mirror_disk(self, instance, sync):
        """The WAN's bytes of its disk alone, until the mirror follows; the instance ends with that."""
        move = self.way(instance, THERE, Turns())
        with contextlib.ExitStack() as ends:
            ends.callback(move.kill)
            move.prepare()
            before = self.quiet_bytes()
            move.copy_disk(sync)
            return self.wan.bytes() - before


def memory_problem(move, deadline):
    """Moves its memory; why that came to nothing, or None."""
    try:
        move.copy_memory(deadline)
        return None
    except (Failed, Lifeless, QmpClosed, QmpError, TimeoutError) as problem:
        return str(problem)
