"""What the commands of the monitor do; the order of events is that of docs/formats/qemu-migration-control.md."""
import threading

from disk import Export, Mirror
from memory import Incoming, Outgoing
from monitor import Refused

SILENT = ("qmp_capabilities", "migrate-set-parameters", "blockdev-reopen")


def unix_path(uri):
    return uri.removeprefix("unix:")


class Machine:
    """One machine without a guest: its runstate, its disk's mirror and its memory's migration."""

    def __init__(self, monitor, memory_bytes, incoming, stopped):
        self.monitor, self.memory_bytes = monitor, memory_bytes
        self.runstate = "inmigrate" if incoming else "prelaunch" if stopped else "running"
        self.changing = threading.Lock()
        self.export, self.mirror, self.target = None, None, None
        self.migration = None
        self.commands = {name: lambda _: {} for name in SILENT} | {
            "query-status": lambda _: {"status": self.runstate, "running": self.runstate == "running", "singlestep": False},
            "stop": lambda _: self.become("paused"),
            "cont": lambda _: self.become("running"),
            "system_powerdown": lambda _: self.power_down(),
            "migrate-set-capabilities": self.set_capabilities,
            "blockdev-add": self.open_target,
            "blockdev-mirror": self.start_mirror,
            "block-job-cancel": lambda arguments: self.mirror.cancel(arguments.get("force", False)),
            "job-dismiss": lambda _: self.dismiss(),
            "blockdev-del": lambda _: self.close_target(),
            "query-jobs": lambda _: [self.mirror.job()] if self.mirror else [],
            "query-block-jobs": lambda _: [self.mirror.block_job()] if self.mirror else [],
            "migrate": self.migrate,
            "migrate-continue": lambda _: self.migration.go_on(),
            "migrate_cancel": lambda _: self.migration.cancel() if self.migration else {},
            "query-migrate": lambda _: self.migration.describe() if self.migration else {},
            "nbd-server-start": self.serve_disk,
            "block-export-add": lambda arguments: self.export.name_it(arguments["name"]),
            "nbd-server-stop": lambda _: self.export.stop(),
            "migrate-incoming": self.receive,
        }

    def execute(self, command, arguments):
        if command not in self.commands:
            raise Refused(f"The command {command} has not been found")
        return self.commands[command](arguments)

    def become(self, runstate):
        with self.changing:
            ran, self.runstate = self.runstate == "running", runstate
        if ran != (runstate == "running"):
            self.monitor.event("STOP" if ran else "RESUME")
        return {}

    def power_down(self):
        self.monitor.event("POWERDOWN")
        self.monitor.event("SHUTDOWN", guest=True, reason="guest-shutdown")
        return self.become("shutdown")

    def set_capabilities(self, arguments):
        if any(each["capability"] == "postcopy-ram" and each["state"] for each in arguments["capabilities"]):
            raise Refused("Postcopy is not supported")
        return {}

    # ---- as the source

    def open_target(self, arguments):
        try:
            self.target = Mirror(self.monitor, arguments["server"]["path"], arguments["export"])
        except OSError as error:
            raise Refused(f"Failed to connect: {error}") from error
        return {}

    def start_mirror(self, arguments):
        self.mirror = self.target
        self.mirror.start(arguments["job-id"])
        return {}

    def dismiss(self):
        self.mirror = None
        return {}

    def close_target(self):
        if self.target is None:
            raise Refused("Failed to find node with node-name='mirror-target'")
        self.target.close()
        self.target = None
        return {}

    def migrate(self, arguments):
        self.migration = Outgoing(self, unix_path(arguments["uri"]))
        return {}

    # ---- as the destination

    def serve_disk(self, arguments):
        self.export = Export(arguments["addr"]["data"]["path"])
        return {}

    def receive(self, arguments):
        self.migration = Incoming(self, unix_path(arguments["uri"]))
        return {}
