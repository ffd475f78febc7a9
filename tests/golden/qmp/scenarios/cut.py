"""The connection that carries memory is cut, or goes quiet, in each phase."""


def _cut(pair):
    pair.memory.cut()
    pair.note("world", "the memory connection is cut")


def memory_cut_in_precopy(pair):
    """Cut during pre-copy: the source fails and never stood still; the destination's QEMU ends with exit code 1."""
    pair.boot().wait_at_destination().mirror()
    pair.migrate_slowly()
    _cut(pair)
    pair.source.qmp.wait("MIGRATION", status="failed")
    pair.destination_exits(1)
    assert pair.status(pair.source) == ("running", "failed")
    assert "STOP" not in pair.source.qmp.seen()
    pair.disk.cut()
    pair.source.qmp.call("block-job-cancel", device="mirror", force=True)
    pair.source.qmp.wait("JOB_STATUS_CHANGE", status="null")
    pair.source.qmp.call("blockdev-del", **{"node-name": "mirror-target"})
    pair.move_at_last()


def memory_quiet_in_precopy(pair):
    """Nothing passes during pre-copy: QEMU has no time-out, QMP answers; migrate_cancel works, be it as a failure."""
    pair.boot().wait_at_destination(disk=False)
    pair.migrate_slowly()
    pair.memory.hold("there")
    pair.note("world", "nothing passes on the memory connection")
    pair.silent(pair.source, "MIGRATION", status="failed")
    assert pair.status(pair.source) == ("running", "active")
    pair.source.qmp.call("migrate_cancel")
    pair.source.qmp.wait("MIGRATION", status=("cancelled", "failed"))  # both were seen: the write or the cancel comes first
    assert pair.status(pair.source)[0] == "running"


def memory_cut_while_paused(pair):
    """Cut in pre-switchover: the source notices nothing and stands still until it is told to continue or cancel."""
    pair.boot().wait_at_destination(disk=False)
    pair.migrate_until_paused()
    _cut(pair)
    pair.destination_exits(1)
    pair.silent(pair.source, "MIGRATION", status="failed")
    assert pair.status(pair.source) == ("finish-migrate", "pre-switchover")
    pair.resume_migration()
    pair.source.qmp.wait("MIGRATION", status="failed")
    pair.source.qmp.wait("RESUME")
    assert pair.status(pair.source) == ("running", "failed")
    pair.move_at_last()


def memory_cut_while_paused_then_cancel(pair):
    """The same, with migrate_cancel instead."""
    pair.boot().wait_at_destination(disk=False)
    pair.migrate_until_paused()
    _cut(pair)
    pair.destination_exits(1)
    pair.source.qmp.call("migrate_cancel")
    pair.source.qmp.wait("RESUME")
    pair.source.qmp.wait("MIGRATION", status="cancelled")
    assert pair.status(pair.source) == ("running", "cancelled")
    pair.move_at_last()


def memory_quiet_in_device(pair):
    """Quiet while the rest goes out: QMP is deaf, migrate_cancel too, until it is closed; then the source runs on."""
    pair.boot().wait_at_destination(disk=False)
    pair.migrate_until_paused_with_much_left()
    pair.memory.hold("there")
    pair.note("world", "nothing passes on the memory connection")
    pair.resume_migration()
    pair.source.qmp.wait("MIGRATION", status="device")
    cancel = pair.unanswered(pair.source, "migrate_cancel")
    query = pair.unanswered(pair.source, "query-status")
    _cut(pair)
    pair.source.qmp.wait("RESUME")
    pair.source.qmp.answer(cancel, "migrate_cancel")
    pair.source.qmp.answer(query, "query-status")
    assert pair.status(pair.source)[0] == "running"
    pair.destination_exits(1)
    pair.move_at_last()


def memory_cut_in_device(pair):
    """Cut while the rest goes out: the source fails and runs on by itself, nobody having asked it to."""
    pair.boot().wait_at_destination(disk=False)
    pair.migrate_until_paused_with_much_left()
    pair.memory.hold("there")
    pair.resume_migration()
    pair.source.qmp.wait("MIGRATION", status="device")
    _cut(pair)
    pair.source.qmp.wait("MIGRATION", status="failed")
    pair.source.qmp.wait("RESUME")
    assert pair.status(pair.source) == ("running", "failed")
    pair.destination_exits(1)
    pair.move_at_last()


def memory_tail_lost(pair):
    """All is written, but the WAN swallows the end: with return-path the source waits, fails when cut, and runs on."""
    pair.boot().wait_at_destination(disk=False)
    pair.migrate_until_paused(downtime_limit=1)
    pair.memory.hold("there")
    pair.note("world", "nothing passes on the memory connection, but its buffers swallow all that is left")
    pair.resume_migration()
    pair.source.qmp.wait("MIGRATION", status="device")
    pair.silent(pair.source, "MIGRATION", status="completed")
    assert pair.status(pair.source) == ("finish-migrate", "device")
    _cut(pair)
    pair.source.qmp.wait("MIGRATION", status="failed")
    pair.source.qmp.wait("RESUME")
    assert pair.status(pair.source) == ("running", "failed")
    pair.destination_exits(1)


def memory_tail_lost_without_return_path(pair):
    """The same without return-path: the source says completed, though the destination never gets it. Never do that."""
    pair.boot().wait_at_destination(capabilities=("events",), disk=False)
    pair.migrate_until_paused(downtime_limit=1, capabilities=("events", "pause-before-switchover"))
    pair.memory.hold("there")
    pair.note("world", "nothing passes on the memory connection, but its buffers swallow all that is left")
    pair.resume_migration()
    pair.source.qmp.wait("MIGRATION", status="completed")
    _cut(pair)
    pair.destination_exits(1)
    assert pair.status(pair.source) == ("postmigrate", "completed")


def acknowledgement_lost(pair):
    """The destination has it all, its word gets lost: the source fails and runs on; both could run now."""
    pair.boot().wait_at_destination(disk=False)
    pair.migrate_until_paused()
    pair.memory.hold("back")
    pair.note("world", "nothing passes from the destination to the source")
    pair.resume_migration()
    pair.destination.qmp.wait("MIGRATION", status="completed")
    pair.silent(pair.source, "MIGRATION", status="completed")
    assert pair.status(pair.source) == ("finish-migrate", "device")
    _cut(pair)
    pair.source.qmp.wait("MIGRATION", status="failed")
    pair.source.qmp.wait("RESUME")
    assert pair.status(pair.source) == ("running", "failed")
    assert pair.status(pair.destination) == ("paused", "completed")


def acknowledgement_late_then_cancel(pair):
    """migrate_cancel while the source waits for the destination's word: it runs on, with status cancelled."""
    pair.boot().wait_at_destination(disk=False)
    pair.migrate_until_paused()
    pair.memory.hold("back")
    pair.note("world", "nothing passes from the destination to the source")
    pair.resume_migration()
    pair.destination.qmp.wait("MIGRATION", status="completed")
    pair.source.qmp.call("migrate_cancel")
    pair.source.qmp.wait("RESUME")
    assert pair.status(pair.source) == ("running", "cancelled")
    assert pair.status(pair.destination) == ("paused", "completed")
