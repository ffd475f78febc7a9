"""The mirror of the overlay: how it ends, and what an NBD connection that goes away or quiet does to it and to QEMU."""
from rig.pair import refused


def mirror_cancel_while_copying(pair):
    """A job that is not ready yet is cancelled: no flush, and BLOCK_JOB_CANCELLED instead of BLOCK_JOB_COMPLETED."""
    pair.boot().fill_disk(8)
    pair.wait_at_destination().start_mirror(speed=65536)
    pair.source.qmp.call("block-job-cancel", device="mirror")
    pair.source.qmp.wait("BLOCK_JOB_CANCELLED")
    assert "flush" not in pair.nbd_asked
    assert pair.source.qmp.call("query-jobs") == []
    pair.source.qmp.call("blockdev-del", **{"node-name": "mirror-target"})


def mirror_cancel_while_paused(pair):
    """A ready job is cancelled while the vCPUs stand still: it drains, flushes and completes."""
    pair.boot().wait_at_destination().mirror()
    assert pair.guest.ask("WRITE 1 1") == "OK 1"
    pair.source.qmp.call("stop")
    flushes = pair.nbd_asked.count("flush")
    pair.end_mirror()
    assert pair.nbd_asked.count("flush") > flushes and pair.nbd_asked[-1] == "disconnect"
    pair.note("nbd", f"then asked: {pair.nbd_asked}")


def stop_while_paused_flushes(pair):
    """`stop` of a machine that stands still already flushes its disks, the mirror's target among them; seen as an NBD flush."""
    pair.boot().wait_at_destination().mirror()
    pair.source.qmp.call("stop")
    flushes = pair.nbd_asked.count("flush")
    pair.source.qmp.call("stop")
    assert pair.nbd_asked.count("flush") == flushes + 1
    pair.note("nbd", "one more flush")


def mirror_target_lost_while_copying(pair):
    """The NBD connection breaks: an error a request in flight, then the job is gone; the guest does not notice."""
    pair.boot().fill_disk(8)
    pair.wait_at_destination().start_mirror(speed=1 << 20)
    pair.disk.cut()
    pair.note("world", "the NBD connection is cut, for good")
    ended = pair.source.qmp.wait("BLOCK_JOB_COMPLETED")
    assert ended["data"]["error"] == "Input/output error"
    assert pair.guest.ask("WRITE 1 1") == "OK 1"
    pair.source.qmp.call("blockdev-del", **{"node-name": "mirror-target"})
    pair.move_at_last()


def mirror_target_lost_when_ready(pair):
    """A ready job notices only when it has something to write."""
    pair.boot().wait_at_destination().mirror()
    pair.disk.cut()
    pair.note("world", "the NBD connection is cut, for good")
    pair.silent(pair.source, "BLOCK_JOB_COMPLETED")
    pair.source.qmp.call("query-block-jobs")
    assert pair.guest.ask("WRITE 1 1") == "OK 1"
    assert pair.source.qmp.wait("BLOCK_JOB_COMPLETED")["data"]["error"] == "Input/output error"
    assert pair.source.qmp.call("query-jobs") == []


def mirror_target_lost_before_cancel(pair):
    """The flush of a cancelled ready job fails: it completes, but with an error. Only `error` tells the difference."""
    pair.boot().wait_at_destination().mirror()
    pair.source.qmp.call("stop")
    pair.disk.cut()
    pair.note("world", "the NBD connection is cut, for good")
    pair.source.qmp.call("block-job-cancel", device="mirror")
    assert pair.source.qmp.wait("BLOCK_JOB_COMPLETED")["data"]["error"] == "Input/output error"
    pair.source.qmp.call("cont")
    assert pair.guest.ask("WRITE 1 1") == "OK 1"


def mirror_does_not_reconnect(pair):
    """The NBD server is there again at once: the job fails all the same (reconnect-delay is 0 by default)."""
    pair.boot().wait_at_destination().mirror()
    pair.disk.cut()
    pair.disk.mend()
    pair.note("world", "the NBD connection is cut, and could be made again")
    assert pair.guest.ask("WRITE 1 1") == "OK 1"
    assert pair.source.qmp.wait("BLOCK_JOB_COMPLETED")["data"]["error"] == "Input/output error"
    assert pair.disk.connections == 1


def mirror_on_target_error_stop(pair):
    """on-target-error=stop: the job pauses at an error, can be resumed, and cancelled only with force."""
    pair.boot().fill_disk(8)
    pair.wait_at_destination().start_mirror(speed=1 << 20, **{"on-target-error": "stop"})
    pair.disk.cut()
    pair.note("world", "the NBD connection is cut, for good")
    pair.source.qmp.wait("BLOCK_JOB_ERROR", action="stop")
    pair.source.qmp.wait("JOB_STATUS_CHANGE", status="paused")
    assert pair.source.qmp.call("query-block-jobs")[0]["io-status"] == "failed"
    pair.source.qmp.call("block-job-cancel", device="mirror", force=True)
    pair.source.qmp.wait("BLOCK_JOB_CANCELLED")


def mirror_dismissed_by_hand(pair):
    """auto-dismiss=false: a concluded job stays, with its error, until somebody has read it."""
    pair.boot().fill_disk(8)
    pair.wait_at_destination().start_mirror(speed=1 << 20, **{"auto-dismiss": False})
    pair.disk.cut()
    pair.note("world", "the NBD connection is cut, for good")
    pair.source.qmp.wait("JOB_STATUS_CHANGE", status="concluded")
    assert pair.source.qmp.call("query-jobs")[0]["error"] == "Input/output error"
    pair.note("source", refused(pair.source.qmp.call, "blockdev-mirror", **{"job-id": "mirror"}, device="overlay",
                                target="mirror-target", sync="top"))
    pair.source.qmp.call("job-dismiss", id="mirror")
    assert pair.source.qmp.call("query-jobs") == []


def mirror_ready_dismissed_by_hand(pair):
    """auto-dismiss=false, no error: concluded without `error` is the proof that the last flush succeeded."""
    pair.boot().wait_at_destination().mirror(**{"auto-dismiss": False})
    pair.source.qmp.call("block-job-cancel", device="mirror")
    pair.source.qmp.wait("JOB_STATUS_CHANGE", status="concluded")
    assert "error" not in pair.source.qmp.call("query-jobs")[0]
    pair.source.qmp.call("job-dismiss", id="mirror")


def quiet_target_while_copying(pair):
    """The NBD connection goes quiet: no cancel helps, also not by force, until the connection is closed."""
    pair.boot().fill_disk(32)
    pair.wait_at_destination()
    pair.start_mirror(speed=1 << 20)
    pair.disk.hold("there")
    pair.note("world", "nothing passes on the NBD connection")
    pair.source.qmp.call("block-job-cancel", device="mirror")
    pair.silent(pair.source, "BLOCK_JOB_CANCELLED")
    pair.source.qmp.call("block-job-cancel", device="mirror", force=True)
    pair.silent(pair.source, "BLOCK_JOB_CANCELLED")
    assert pair.guest.ask("WRITE 1 1") == "OK 1"
    pair.disk.cut()
    pair.note("world", "the NBD connection is cut, for good")
    pair.source.qmp.wait("BLOCK_JOB_CANCELLED")


def quiet_target_deafens_stop(pair):
    """`stop` flushes the mirror's target too: with a quiet NBD connection all of QMP waits, until it is closed."""
    pair.boot().wait_at_destination().mirror()
    pair.disk.hold("there")
    pair.note("world", "nothing passes on the NBD connection")
    stop = pair.unanswered(pair.source, "stop")
    query = pair.unanswered(pair.source, "query-status")
    pair.disk.cut()
    pair.note("world", "the NBD connection is cut, for good")
    pair.source.qmp.answer(stop, "stop")
    assert pair.source.qmp.answer(query, "query-status")["status"] == "paused"
    assert pair.source.qmp.call("query-block-jobs")[0]["status"] == "ready"


def quiet_target_at_the_pause(pair):
    """The same at the pause of a migration: vCPUs stand still, QMP is deaf; once closed, it fails and runs on by itself."""
    pair.boot().wait_at_destination().mirror()
    pair.disk.hold("there")
    pair.note("world", "nothing passes on the NBD connection")
    pair.migrate(downtime_limit=100, max_bandwidth=1 << 40)
    pair.source.qmp.wait("STOP")
    query = pair.unanswered(pair.source, "query-migrate")
    pair.disk.cut()
    pair.note("world", "the NBD connection is cut, for good")
    pair.source.qmp.answer(query, "query-migrate")
    pair.source.qmp.wait("MIGRATION", status="failed")
    pair.source.qmp.wait("RESUME")
    assert pair.status(pair.source) == ("running", "failed")
    pair.silent(pair.destination, "MIGRATION", status="failed")
    pair.note("destination", "still waits: the failed source has not closed the memory connection")
    pair.memory.cut()
    pair.note("world", "the memory connection is cut")
    pair.destination_exits(1)
    pair.source.qmp.call("block-job-cancel", device="mirror", force=True)
    pair.source.qmp.wait("JOB_STATUS_CHANGE", status="null")
    pair.source.qmp.call("blockdev-del", **{"node-name": "mirror-target"})
    pair.move_at_last()


def second_migrate_beside_a_failed_one(pair):
    """The same, but `migrate` again before the first connection is closed: the source's QEMU dies of SIGSEGV. Close it first."""
    pair.boot().wait_at_destination().mirror()
    pair.disk.hold("there")
    pair.note("world", "nothing passes on the NBD connection")
    pair.migrate(downtime_limit=100, max_bandwidth=1 << 40)
    pair.source.qmp.wait("STOP")
    pair.disk.cut()
    pair.note("world", "the NBD connection is cut, for good")
    pair.source.qmp.wait("MIGRATION", status="failed")
    pair.source.qmp.call("migrate", uri=f"unix:{pair.source.path('nobody.sock')}")
    pair.source.qmp.wait("MIGRATION", status="failed")
    pair.memory.cut()
    pair.note("world", "the memory connection is cut")
    code = pair.source.wait_exit()
    pair.note("source", f"exit code {code}")
    assert code == -11, code


def quiet_target_after_the_pause(pair):
    """Quiet when the ready job is cancelled: QMP answers, the job waits; once closed it ends with an error."""
    pair.boot().wait_at_destination().mirror()
    pair.migrate_until_paused()
    pair.disk.hold("there")
    pair.note("world", "nothing passes on the NBD connection")
    pair.source.qmp.call("block-job-cancel", device="mirror")
    pair.silent(pair.source, "BLOCK_JOB_COMPLETED")
    pair.source.qmp.call("query-block-jobs")
    pair.disk.cut()
    pair.note("world", "the NBD connection is cut, for good")
    assert pair.source.qmp.wait("BLOCK_JOB_COMPLETED")["data"]["error"] == "Input/output error"
    pair.source.qmp.call("migrate_cancel")
    pair.source.qmp.wait("RESUME")
    pair.source.qmp.call("blockdev-del", **{"node-name": "mirror-target"})
    pair.destination_exits(1)
    pair.move_at_last()


def nbd_server_stopped_in_flight(pair):
    """`nbd-server-stop` while the mirror writes: the client is hung up on, the job ends with an error."""
    pair.boot().fill_disk(8)
    pair.wait_at_destination().start_mirror(speed=1 << 20)
    pair.destination.qmp.call("nbd-server-stop")
    assert pair.source.qmp.wait("BLOCK_JOB_COMPLETED")["data"]["error"] == "Input/output error"
    pair.destination.qmp.call("query-block-exports")
    assert pair.status(pair.destination) == ("inmigrate", None)


def nbd_export_lost_name(pair):
    """What the server answers to a wrong export, a second server, and to a client when there is no server."""
    pair.boot().wait_at_destination()
    server = {"type": "unix", "path": pair.source.path("disk.sock")}
    pair.note("source", refused(pair.source.qmp.call, "blockdev-add", driver="nbd", **{"node-name": "mirror-target"},
                                export="another", server=server))
    pair.note("destination", refused(pair.destination.qmp.call, "nbd-server-start",
                                     addr={"type": "unix", "data": {"path": pair.destination.path("other.sock")}}))
    pair.destination.qmp.call("nbd-server-stop")
    pair.note("source", refused(pair.source.qmp.call, "blockdev-add", driver="nbd", **{"node-name": "mirror-target"},
                                export="overlay", server=server))
    pair.note("destination", refused(pair.destination.qmp.call, "nbd-server-stop"))
