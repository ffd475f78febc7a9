"""migrate_cancel, and commands that come in a state that does not allow them."""
from rig.pair import refused


def cancel_in_precopy(pair):
    """migrate_cancel during pre-copy: cancelling, cancelled; the guest never stood still."""
    pair.boot().wait_at_destination(disk=False)
    pair.migrate_slowly()
    pair.source.qmp.call("migrate_cancel")
    pair.source.qmp.wait("MIGRATION", status="cancelled")
    assert pair.status(pair.source) == ("running", "cancelled")
    assert "STOP" not in pair.source.qmp.seen()
    pair.destination_exits(1)
    pair.move_at_last()


def cancel_while_paused(pair):
    """migrate_cancel in pre-switchover: the vCPUs run again; a mirror that was ready still is."""
    pair.boot().wait_at_destination().mirror()
    pair.migrate_until_paused()
    pair.source.qmp.call("migrate_cancel")
    pair.source.qmp.wait("RESUME")
    pair.source.qmp.wait("MIGRATION", status="cancelled")
    assert pair.status(pair.source) == ("running", "cancelled")
    pair.destination_exits(1)
    assert pair.source.qmp.call("query-block-jobs")[0]["status"] == "ready"
    pair.source.qmp.call("block-job-cancel", device="mirror", force=True)
    pair.source.qmp.wait("JOB_STATUS_CHANGE", status="null")
    pair.source.qmp.call("blockdev-del", **{"node-name": "mirror-target"})
    pair.move_at_last()


def cancel_after_completion(pair):
    """migrate_cancel when there is nothing to cancel is no error and changes nothing."""
    pair.boot()
    pair.source.qmp.call("migrate_cancel")
    assert pair.status(pair.source) == ("running", None)
    pair.wait_at_destination(disk=False)
    pair.migrate_until_paused()
    pair.resume_migration()
    pair.source.qmp.wait("MIGRATION", status="completed")
    pair.source.qmp.call("migrate_cancel")
    assert pair.status(pair.source) == ("postmigrate", "completed")


def commands_out_of_place(pair):
    """The errors that QEMU answers with: a second migrate, continue in the wrong state, a peer that is not there."""
    pair.boot().wait_at_destination(disk=False)
    call, uri = pair.source.qmp.call, f"unix:{pair.source.path('memory.sock')}"
    pair.note("source", refused(call, "migrate-continue", state="pre-switchover"))
    pair.note("destination", refused(pair.destination.qmp.call, "migrate", uri=uri))
    pair.note("destination", refused(pair.destination.qmp.call, "migrate-incoming", uri=uri))
    pair.migrate_slowly()
    pair.note("source", refused(call, "migrate", uri=uri))
    pair.note("source", refused(call, "migrate-continue", state="pre-switchover"))
    pair.note("source", refused(call, "migrate-set-capabilities",
                                capabilities=[{"capability": "pause-before-switchover", "state": False}]))
    call("migrate-set-parameters", **{"max-bandwidth": 1 << 40})
    pair.source.qmp.wait("MIGRATION", status="pre-switchover")
    pair.note("source", refused(call, "cont"))  # only migrate_cancel or migrate-continue lead on from here
    call("stop")  # is accepted, but does not keep the vCPUs from running again
    call("migrate_cancel")
    pair.source.qmp.wait("MIGRATION", status="cancelled")
    pair.status(pair.source)


def migrate_to_nowhere(pair):
    """A peer that is not there: `migrate` itself succeeds, the failure comes as an event."""
    pair.boot()
    pair.source.qmp.call("migrate-set-capabilities", capabilities=[{"capability": "events", "state": True}])
    pair.source.qmp.call("migrate", uri=f"unix:{pair.source.path('nobody.sock')}")
    pair.source.qmp.wait("MIGRATION", status="failed")
    assert pair.status(pair.source) == ("running", "failed")
    pair.source.qmp.call("query-migrate")


def migrate_while_stopped(pair):
    """A guest that stood still before stays so: failed or cancelled, it does not run by itself afterwards."""
    pair.boot().wait_at_destination(disk=False)
    pair.source.qmp.call("stop")
    pair.migrate_until_paused()
    pair.source.qmp.call("migrate_cancel")
    pair.source.qmp.wait("MIGRATION", status="cancelled")
    pair.status(pair.source)
    assert "RESUME" not in pair.source.qmp.seen()
    pair.source.qmp.call("cont")
    assert pair.status(pair.source)[0] == "running"
