"""The course of a migration in which nothing goes wrong, and what may be done around it."""
from rig.pair import refused


def handover(pair):
    """Disk mirror, pre-copy, pause, mirror ended, device state, NBD server stopped, destination runs."""
    pair.boot().wait_at_destination()
    source, destination = pair.source, pair.destination
    assert pair.status(source) == ("running", None)
    assert pair.status(destination) == ("inmigrate", None)
    pair.mirror()
    source.qmp.call("query-block-jobs")
    source.qmp.call("query-jobs")
    pair.migrate_until_paused()
    assert pair.status(source) == ("finish-migrate", "pre-switchover")
    assert pair.status(destination) == ("inmigrate", "active")
    flushes = pair.nbd_asked.count("flush")
    pair.note("nbd", f"{flushes} flushes until now")
    pair.end_mirror()
    assert pair.nbd_asked.count("flush") > flushes and pair.nbd_asked[-1] == "disconnect"
    pair.note("nbd", f"{pair.nbd_asked.count('flush')} flushes, then disconnect")
    pair.resume_migration()
    destination.qmp.wait("MIGRATION", status="completed")
    source.qmp.wait("MIGRATION", status="completed")
    assert pair.status(source) == ("postmigrate", "completed")
    assert pair.status(destination) == ("paused", "completed")
    destination.qmp.call("nbd-server-stop")
    destination.qmp.call("stop")
    destination.qmp.call("cont")
    assert pair.status(destination) == ("running", "completed")
    source.qmp.call("quit")
    assert source.wait_exit() == 0


def cont_after_completion(pair):
    """QEMU does not keep a source that has completed from running again: only Godwit's records do."""
    pair.boot().wait_at_destination(disk=False)
    pair.migrate_until_paused()
    pair.resume_migration()
    pair.source.qmp.wait("MIGRATION", status="completed")
    pair.source.qmp.call("cont")
    assert pair.status(pair.source) == ("running", "completed")


def cont_before_migration(pair):
    """`cont` and `stop` at a destination that waits: they only choose whether it will run by itself afterwards."""
    pair.boot().wait_at_destination(disk=False)
    pair.destination.qmp.call("cont")
    assert pair.status(pair.destination)[0] == "inmigrate"
    pair.destination.qmp.call("stop")
    pair.migrate_until_paused()
    pair.destination.qmp.call("query-status")
    pair.resume_migration()
    pair.destination.qmp.wait("MIGRATION", status="completed")
    assert pair.status(pair.destination)[0] == "paused"


def cont_makes_it_run_by_itself(pair):
    """A `cont` that comes too early starts the destination as soon as it has loaded, whatever anybody has decided."""
    pair.boot().wait_at_destination(disk=False)
    pair.destination.qmp.call("cont")
    pair.migrate_until_paused()
    pair.resume_migration()
    pair.destination.qmp.wait("RESUME")
    pair.source.qmp.wait("MIGRATION", status="completed")
    assert pair.status(pair.destination) == ("running", "completed")


def mirror_left_on(pair):
    """The mirror is not ended before the switchover: QEMU does not object, and nothing tells whether it had caught up."""
    pair.boot().wait_at_destination()
    pair.mirror()
    pair.migrate_until_paused()
    pair.resume_migration()
    pair.source.qmp.wait("MIGRATION", status="completed")
    assert pair.source.qmp.call("query-block-jobs")[0]["status"] == "ready"
    pair.source.qmp.call("block-job-cancel", device="mirror")
    pair.source.qmp.wait("JOB_STATUS_CHANGE", status="null")


def no_pause_without_capability(pair):
    """Without pause-before-switchover there is no moment in which the mirror can be ended."""
    pair.boot().wait_at_destination(disk=False)
    pair.migrate(capabilities=("events", "return-path"))
    pair.source.qmp.wait("MIGRATION", status="completed")
    pair.note("source", refused(pair.source.qmp.call, "migrate-continue", state="pre-switchover"))
