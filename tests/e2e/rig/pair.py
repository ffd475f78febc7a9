"""A source and a destination on one machine, without a network: what the experiments with QEMU's control are made with."""
import os
import socket
import struct

from .pump import Pump
from .qmp import QmpError
from .qemu import UNPRIVILEGED_UID, Vm

NBD_COMMANDS = {0: "read", 1: "write", 2: "disconnect", 3: "flush", 4: "trim", 6: "write-zeroes", 7: "block-status"}
NBD_REQUEST_MAGIC, NBD_OPTION_MAGIC = 0x25609513, 0x49484156454F5054


class NbdWatch:
    """Counts what one NBD connection's client asks for. Format: the NBD project's doc/proto.md."""

    def __init__(self, asked):
        self.asked, self._bytes, self._greeted = asked, b"", False

    def __call__(self, data):
        self._bytes += data
        while self._take():
            pass

    def _take(self):
        size = self._size()
        if size is None or len(self._bytes) < size:
            return False
        self._bytes = self._bytes[size:]
        return True

    def _size(self):
        held = self._bytes
        if not self._greeted:
            self._greeted = len(held) >= 4
            return 4
        if len(held) >= 16 and struct.unpack(">Q", held[:8])[0] == NBD_OPTION_MAGIC:
            return 16 + struct.unpack(">I", held[12:16])[0]
        if len(held) < 28:
            return None
        magic, _, command, _, _, length = struct.unpack(">IHHQQI", held[:28])
        assert magic == NBD_REQUEST_MAGIC
        size = 28 + (length if command == 1 else 0)
        if len(held) >= size:
            self.asked.append(NBD_COMMANDS.get(command, str(command)))
        return size


class Pair:
    def __init__(self, directory, image, transcript=None):
        self.transcript, self.pumps = transcript, []
        self.source = Vm(f"{directory}/source", image, "source", cmdline="godwit.ip=none", monitors=2)
        self.destination = Vm(f"{directory}/destination", image, "destination", transcript=transcript,
                              cmdline="godwit.ip=none", options=("-incoming", "defer", "-S"))
        self.nbd_asked, self.disk, self.memory, self.guest = [], None, None, None

    def note(self, at, what):
        if self.transcript:
            self.transcript.note(at, what)

    def boot(self):
        self.source.make_overlay()
        self.source.start()
        self.guest = self.source.booted()
        self.source.transcript = self.source.qmp.transcript = self.transcript  # from here on
        return self

    def fill_disk(self, mib):
        assert self.guest.ask(f"SH dd if=/dev/urandom of=/dev/vda bs=1M count={mib} conv=fsync 2>/dev/null") == "OK 0"

    def _pump(self, channel, watch=None):
        if os.path.exists(self.source.path(channel)):
            os.unlink(self.source.path(channel))
        listener = socket.create_server(("127.0.0.1", 0))
        address = listener.getsockname()
        self.pumps.append(Pump(self.source.path(channel), self.destination.path(channel), listener,
                               lambda: socket.create_connection(address, timeout=10), UNPRIVILEGED_UID, watch))
        return self.pumps[-1]

    def wait_at_destination(self, capabilities=("events", "return-path"), disk=True):
        """A fresh destination, as far as it gets without the source."""
        vm = self.destination
        vm.make_overlay()
        vm.start()
        set_capabilities(vm.qmp, capabilities)
        if disk:
            vm.qmp.call("nbd-server-start", addr={"type": "unix", "data": {"path": vm.path("disk.sock")}})
            vm.qmp.call("block-export-add", type="nbd", id="export", **{"node-name": "overlay"}, name="overlay",
                        writable=True)
            self.nbd_asked = []
            self.disk = self._pump("disk.sock", lambda: NbdWatch(self.nbd_asked))
        vm.qmp.call("migrate-incoming", uri=f"unix:{vm.path('memory.sock')}")
        self.memory = self._pump("memory.sock")
        return self

    def replace_destination(self, **how):
        """The next attempt starts with a destination of its own."""
        self.destination.kill()
        for pump in self.pumps:
            pump.close()
        self.pumps.clear()
        self.destination.qmp = None
        return self.wait_at_destination(**how)

    def attach_mirror_target(self):
        self.source.qmp.call("blockdev-add", driver="nbd", **{"node-name": "mirror-target"}, export="overlay",
                             server={"type": "unix", "path": self.source.path("disk.sock")})

    def start_mirror(self, **more):
        self.attach_mirror_target()
        self.source.qmp.call("blockdev-mirror", **{"job-id": "mirror"}, device="overlay", target="mirror-target",
                             sync="top", **more)

    def mirror(self, **more):
        self.start_mirror(**more)
        self.source.qmp.wait("BLOCK_JOB_READY")

    def end_mirror(self):
        self.source.qmp.call("block-job-cancel", device="mirror")
        self.source.qmp.wait("BLOCK_JOB_COMPLETED")
        self.source.qmp.call("blockdev-del", **{"node-name": "mirror-target"})

    def migrate(self, capabilities=("events", "return-path", "pause-before-switchover"), **parameters):
        set_capabilities(self.source.qmp, capabilities)
        if parameters:
            self.source.qmp.call("migrate-set-parameters", **{k.replace("_", "-"): v for k, v in parameters.items()})
        self.source.qmp.call("migrate", uri=f"unix:{self.source.path('memory.sock')}")

    def resume_migration(self):
        self.source.qmp.call("migrate-continue", state="pre-switchover")

    def dirty_memory(self, mib_per_s, mib):
        answer = self.guest.ask(f"DIRTY {mib_per_s} {mib}")
        assert answer.startswith("OK"), answer  # it refuses more than fits

    def migrate_slowly(self, **how):
        """Pre-copy that goes on until somebody ends it: the guest writes memory faster than it may be sent."""
        self.dirty_memory(20, 16)
        self.migrate(**how, max_bandwidth=4 << 20)
        self.destination.qmp.wait("MIGRATION", status="active")

    def migrate_until_paused(self, downtime_limit=100, max_bandwidth=1 << 40, **how):
        self.migrate(**how, downtime_limit=downtime_limit, max_bandwidth=max_bandwidth)
        self.source.qmp.wait("MIGRATION", status="pre-switchover")

    def migrate_until_paused_with_much_left(self):
        """More than the buffers on the way can swallow is still to be sent after the pause."""
        self.dirty_memory(40, 16)
        self.migrate_until_paused(downtime_limit=2000, max_bandwidth=20 << 20)

    def close(self):
        for vm in (self.source, self.destination):
            vm.kill()
        for pump in self.pumps:
            pump.close()


    def status(self, vm):
        """(runstate, migration status); of both sides all that is asked for when things have settled."""
        return vm.qmp.call("query-status")["status"], vm.qmp.call("query-migrate").get("status")

    def unanswered(self, vm, command, limit_s=2, **arguments):
        """Sends a command that is expected to find QEMU deaf; returns the number for a later `answer`."""
        number = vm.qmp.send(command, **arguments)
        try:
            vm.qmp.answer(number, command, limit_s)
        except TimeoutError:
            self.note(vm.name, f"{command}: no answer for {limit_s} s")
            return number
        raise AssertionError(f"{vm.name} answered {command}, though it was expected not to")

    def silent(self, vm, event, limit_s=2, **data):
        """No such event comes."""
        try:
            vm.qmp.wait(event, limit_s, **data)
        except TimeoutError:
            self.note(vm.name, f"no event {event} {data} for {limit_s} s")
            return
        raise AssertionError(f"{vm.name} sent {event} {data}, though it was expected not to")

    def destination_exits(self, code):
        got = self.destination.wait_exit()
        lines = [line.split("qemu-system-x86_64: ", 1)[-1] for line in self.destination.log_text().splitlines()]
        self.note("destination", f"exit code {got}: {'; '.join(lines)}")
        assert got == code, f"the destination ended with {got}, not {code}"

    def move_at_last(self):
        """Whatever happened before: the next attempt, at a destination of its own, must work."""
        self.dirty_memory(0, 0)
        self.note("world", "a second attempt, with a destination of its own")
        self.replace_destination()
        self.mirror()
        self.migrate_until_paused()
        self.end_mirror()
        self.resume_migration()
        self.source.qmp.wait("MIGRATION", status="completed")
        self.destination.qmp.call("nbd-server-stop")
        self.destination.qmp.call("cont")
        assert self.status(self.destination) == ("running", "completed")
        assert self.status(self.source) == ("postmigrate", "completed")


def refused(call, *arguments, **named):
    """The text of the error that QEMU answers with."""
    try:
        call(*arguments, **named)
    except QmpError as error:
        return error.desc
    raise AssertionError(f"{arguments} was not refused")


def set_capabilities(qmp, names):
    qmp.call("migrate-set-capabilities", capabilities=[{"capability": n, "state": True} for n in names])
