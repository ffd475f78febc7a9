"""One instance's move, in the order of the product's (docs/protocols/migration.md, "The course"): its disk, its memory, the
switchover. What the agents say to each other and vote on is not here, and is the same for every method."""
import os
import threading
import time

from rig.pair import set_capabilities
from rig.qmp import QmpClosed, QmpError

from .course import Convergence
from .guests import WAITS, count, machine

# As src/migrate has them: context.h, source_course.cc.
NO_PAUSE_MS, SHORT_PAUSE_MS, PAUSE_MS = 1, 30, 100
THROTTLE = {"max-cpu-throttle": 99, "cpu-throttle-initial": 20, "cpu-throttle-increment": 10}  # QEMU's defaults too
OUR_BEGIN = {"downtime-limit": NO_PAUSE_MS, "max-cpu-throttle": 1, "cpu-throttle-initial": 1, "cpu-throttle-increment": 1}
# QEMU's own methods may plan the same pause from the start, three times of it (QEMU's default) where rounds don't get smaller, and slow
# the guest down when they like: our course, made for pages that cost nothing, would have them send more.
QEMUS_OWN, QEMUS_PAUSE_MS = {"downtime-limit": PAUSE_MS, **THROTTLE}, 300
QEMUS_HELP = f"a pause of {QEMUS_PAUSE_MS} ms"
LOOK_EVERY_S, TURN_EVERY_S = 0.5, 0.1
FOLLOWING_BYTES = 1 << 20
DISK_LIMIT_S, SWITCHOVER_LIMIT_S = 900, 60


class Failed(Exception):
    """A move that came to nothing; the text is for people."""


class NotConverged(Failed):
    pass


def moment(event):
    """When QEMU says that it was; all QEMUs have this machine's clock."""
    return event["timestamp"]["seconds"] + event["timestamp"]["microseconds"] / 1e6


class Move:
    """`number` says which of the tunnels' sockets it takes. After prepare() the other methods may run in a thread of their own;
    prepare() starts processes, which end with the thread that did."""

    def __init__(self, wan, tunnels, image, method, instance, to, number, turns):
        self.wan, self.tunnels, self.image, self.method = wan, tunnels, image, method
        self.instance, self.source, self.origin, self.to, self.number = instance, instance.vm, instance.host, to, number
        self.turns, self.crossed, self.destination, self.meter = turns, threading.Event(), None, None
        self.downtime_ms, self.rounds, self.tried = None, 0, []
        self.began, self.first_count, self.last_count, self.per_minute = 0.0, 0, 0, None  # of its load, while it moves

    def socket(self, at, channel):
        return str(self.tunnels.socket_there(at, self.to, self.number, channel))

    # ---- the destination

    def prepare(self):
        instance = self.instance
        tap = self.wan.net.tap(self.to, f"g{instance.saved.number}")
        self.destination = vm = machine(self.image, instance.saved.name, instance.saved.number, instance.next_directory(), tap,
                                        *WAITS)
        vm.make_overlay()
        vm.start()
        set_capabilities(vm.qmp, ("events", "return-path", *(self.method.capabilities if self.method.both else ())))
        if self.method.both:
            vm.qmp.call("migrate-set-parameters", **self.method.parameters)
        for channel in ("disk", "memory"):
            if os.path.exists(self.socket(self.to, channel)):  # of an earlier move
                os.unlink(self.socket(self.to, channel))
        vm.qmp.call("nbd-server-start", addr={"type": "unix", "data": {"path": self.socket(self.to, "disk")}})
        vm.qmp.call("block-export-add", type="nbd", id="export", **{"node-name": "overlay"}, name="overlay", writable=True)
        vm.qmp.call("migrate-incoming", uri=f"unix:{self.socket(self.to, 'memory')}")

    def be_metered(self, meter):
        self.meter = meter
        for vm in (self.source, self.destination):
            meter.watch(vm)

    # ---- the disk

    def copy_disk(self, sync="top"):
        """Until the mirror follows the guest's writes closely."""
        qmp = self.source.qmp
        self.began, self.first_count = time.monotonic(), count(self.source)
        server = {"type": "unix", "path": self.socket(self.origin, "disk")}
        added = qmp.send("blockdev-add", driver="nbd", **{"node-name": "mirror-target"}, export="overlay", server=server)
        qmp.answer(added, "blockdev-add", 60)
        qmp.call("blockdev-mirror", **{"job-id": "mirror"}, device="overlay", target="mirror-target", sync=sync)
        deadline, at_first = time.monotonic() + DISK_LIMIT_S, 0
        while True:
            job = self.mirror()
            left = job["len"] - job["offset"]
            at_first = at_first or job["len"]
            if job["ready"] or (at_first and job["offset"] >= at_first and left <= FOLLOWING_BYTES):
                return
            if time.monotonic() > deadline:
                raise NotConverged(f"{self.instance.name}: its disk is {left >> 10} KiB behind after {DISK_LIMIT_S} s")
            time.sleep(0.05)

    def mirror(self):
        jobs = [job for job in self.source.qmp.call("query-block-jobs") if job["device"] == "mirror"]
        if not jobs:
            raise Failed(f"{self.instance.name}: the mirror of its disk has ended: {self.source.log_text()[-300:]}")
        return jobs[0]

    # ---- the memory

    def copy_memory(self, deadline):
        """All the rest: afterwards the instance runs at the destination, and is no more at the source. `crossed` tells others that
        all of its memory has crossed once."""
        try:
            self.start_memory()
            self.wait_paused(deadline)
            self.crossed.set()
            self.switch_over()
        except NotConverged:
            self.source.qmp.call("migrate_cancel")
            self.source.qmp.wait("MIGRATION", SWITCHOVER_LIMIT_S, status=("cancelled", "failed"))
            raise
        finally:
            self.crossed.set()
            self.turns.leave(self.instance.name)

    def start_memory(self):
        qmp = self.source.qmp
        set_capabilities(qmp, ("events", "return-path", "pause-before-switchover", "auto-converge", *self.method.capabilities))
        qmp.call("migrate-set-parameters", **{"max-bandwidth": 1 << 40, **(OUR_BEGIN if self.method.shares else QEMUS_OWN),
                                              **self.method.parameters})
        qmp.call("migrate", uri=f"unix:{self.socket(self.origin, 'memory')}")

    def wait_paused(self, deadline):
        convergence, may_pause = Convergence(), not self.method.shares
        while not self.paused_within(LOOK_EVERY_S if may_pause else TURN_EVERY_S):
            seen = self.source.qmp.call("query-migrate")
            ram = seen.get("ram", {"remaining": 0, "dirty-sync-count": 0})
            if ram["dirty-sync-count"] > 1:
                self.crossed.set()
            if not self.method.shares:
                self.help_qemu(seen, convergence.needs_help(ram))
            elif not may_pause and self.turns.may_pause(self.instance.name, ram):
                may_pause = True
                self.source.qmp.call("migrate-set-parameters", **{"downtime-limit": SHORT_PAUSE_MS})
            elif may_pause and convergence.needs_help(ram):
                self.help_convergence()
            if time.monotonic() > deadline:
                raise NotConverged(f"{self.instance.name}: {ram['remaining'] >> 20} MiB are left after {ram['dirty-sync-count']} "
                                   f"rounds (tried: {', '.join(self.tried) or 'nothing'})")

    def paused_within(self, limit_s):
        try:
            event = self.source.qmp.wait("MIGRATION", limit_s, status=("pre-switchover", "failed", "completed"))
        except TimeoutError:
            return False
        if event["data"]["status"] != "pre-switchover":
            why = self.source.qmp.call("query-migrate").get("error-desc", "failed")
            raise Failed(f"{self.instance.name}: QEMU's migration: {why}")
        return True

    def help_qemu(self, seen, slow):
        if slow and QEMUS_HELP not in self.tried:
            self.tried.append(QEMUS_HELP)
            self.source.qmp.call("migrate-set-parameters", **{"downtime-limit": QEMUS_PAUSE_MS})
        if seen.get("cpu-throttle-percentage", 0) > 0 and "auto-converge" not in self.tried:
            self.tried.append("auto-converge")

    def help_convergence(self):
        if not self.tried:
            self.tried.append(f"a pause of {PAUSE_MS} ms")
            self.source.qmp.call("migrate-set-parameters", **{"downtime-limit": PAUSE_MS})
        elif len(self.tried) == 1:
            self.tried.append("auto-converge")
            self.source.qmp.call("migrate-set-parameters", **THROTTLE)

    # ---- the pause

    def switch_over(self):
        source, destination = self.source.qmp, self.destination.qmp
        paused, paused_at = source.wait("STOP"), time.monotonic()
        deadline = paused_at + SWITCHOVER_LIMIT_S
        while not self.mirror()["ready"]:
            if time.monotonic() > deadline:
                raise Failed(f"{self.instance.name}: its disk has not followed within {SWITCHOVER_LIMIT_S} s of the pause")
            time.sleep(0.002)
        source.call("block-job-cancel", device="mirror")
        source.wait("BLOCK_JOB_COMPLETED", SWITCHOVER_LIMIT_S)
        source.call("migrate-continue", state="pre-switchover")
        self.expect_completed(source, "source")
        self.expect_completed(destination, "destination")
        destination.call("nbd-server-stop")
        destination.call("cont")
        self.downtime_ms = (moment(destination.wait("RESUME")) - moment(paused)) * 1000
        self.rounds = source.call("query-migrate")["ram"]["dirty-sync-count"]
        self.last_count = count(self.source)
        self.per_minute = (self.last_count - self.first_count) * 60 / (paused_at - self.began)
        self.meter.leave(self.source)
        self.source.kill()
        self.instance.arrived(self.destination, self.to)

    def expect_completed(self, qmp, side):
        try:
            event = qmp.wait("MIGRATION", SWITCHOVER_LIMIT_S, status=("completed", "failed"))
        except (TimeoutError, QmpClosed, QmpError) as error:
            raise Failed(f"{self.instance.name}: {error}") from error
        if event["data"]["status"] != "completed":
            raise Failed(f"{self.instance.name}: its QEMU at the {side}: {self.destination.log_text()[-300:]}")

    def end(self):
        """A destination to which nobody came goes."""
        if self.destination is not None and self.instance.vm is not self.destination:
            self.destination.kill()

    def kill(self):
        for vm in (self.source, self.destination):
            if vm is not None:
                vm.kill()
