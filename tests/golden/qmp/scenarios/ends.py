"""A QEMU that ends, and an agent that ends and is followed by another."""


def destination_quits_while_paused(pair):
    """The destination's QEMU ends after it has loaded, before it runs."""
    pair.boot().wait_at_destination(disk=False)
    pair.migrate_until_paused()
    pair.resume_migration()
    pair.source.qmp.wait("MIGRATION", status="completed")
    pair.destination.qmp.call("quit")
    pair.destination_exits(0)
    assert pair.status(pair.source) == ("postmigrate", "completed")


def destination_killed_in_precopy(pair):
    """SIGKILL of the destination during pre-copy, the mirror being ready."""
    pair.boot().wait_at_destination().mirror()
    pair.migrate_slowly()
    pair.destination.kill()
    pair.note("destination", "killed")
    pair.source.qmp.wait("MIGRATION", status="failed")
    assert pair.status(pair.source) == ("running", "failed")
    pair.source.qmp.call("query-block-jobs")


def destination_killed_while_paused(pair):
    """SIGKILL of the destination in pre-switchover, the mirror being ready: only its cancel shows it."""
    pair.boot().wait_at_destination().mirror()
    pair.migrate_until_paused()
    pair.destination.kill()
    pair.note("destination", "killed")
    pair.silent(pair.source, "MIGRATION", status="failed")
    pair.source.qmp.call("block-job-cancel", device="mirror")
    assert pair.source.qmp.wait("BLOCK_JOB_COMPLETED")["data"]["error"] == "Input/output error"
    pair.source.qmp.call("migrate_cancel")
    pair.source.qmp.wait("RESUME")
    pair.source.qmp.call("blockdev-del", **{"node-name": "mirror-target"})
    pair.move_at_last()


def source_killed_in_precopy(pair):
    """SIGKILL of the source during pre-copy: the destination's QEMU ends with exit code 1."""
    pair.boot().wait_at_destination().mirror()
    pair.migrate_slowly()
    pair.source.kill()
    pair.note("source", "killed")
    pair.destination_exits(1)


def source_killed_while_paused(pair):
    """SIGKILL of the source in pre-switchover: likewise."""
    pair.boot().wait_at_destination().mirror()
    pair.migrate_until_paused()
    pair.source.kill()
    pair.note("source", "killed")
    pair.destination_exits(1)


def source_killed_after_completion(pair):
    """SIGKILL of the source after `completed`: the destination does not care."""
    pair.boot().wait_at_destination(disk=False)
    pair.migrate_until_paused()
    pair.resume_migration()
    pair.source.qmp.wait("MIGRATION", status="completed")
    pair.source.kill()
    pair.note("source", "killed")
    assert pair.status(pair.destination) == ("paused", "completed")
    pair.destination.qmp.call("cont")
    assert pair.status(pair.destination) == ("running", "completed")


def adopted_in_precopy(pair):
    """A new client on the same socket while mirror and migration go on: events are gone, the queries tell all."""
    pair.boot().wait_at_destination().mirror()
    pair.migrate_slowly()
    pair.source.qmp.close()
    pair.note("source", "the agent has gone; the next one connects")
    pair.source.qmp = pair.source.connect()
    assert pair.status(pair.source) == ("running", "active")
    assert pair.source.qmp.call("query-block-jobs")[0]["status"] == "ready"
    pair.source.qmp.call("query-jobs")
    pair.source.qmp.call("query-migrate-capabilities")
    pair.source.qmp.call("query-named-block-nodes", flat=True)
    pair.source.qmp.call("migrate-set-parameters", **{"max-bandwidth": 1 << 40, "downtime-limit": 2000})
    pair.source.qmp.wait("MIGRATION", status="pre-switchover")


def adopted_while_paused(pair):
    """The agent goes in pre-switchover; meanwhile nothing happens, and the next one ends it."""
    pair.boot().wait_at_destination().mirror()
    pair.migrate_until_paused()
    pair.source.qmp.call("block-job-cancel", device="mirror")
    pair.source.qmp.close()
    pair.note("source", "the agent has gone; the next one connects")
    pair.source.qmp = pair.source.connect()
    assert pair.status(pair.source) == ("finish-migrate", "pre-switchover")
    assert pair.source.qmp.call("query-block-jobs") == []  # and nobody knows any more how it ended
    pair.source.qmp.call("blockdev-del", **{"node-name": "mirror-target"})
    pair.resume_migration()
    pair.source.qmp.wait("MIGRATION", status="completed")


def adopted_after_completion(pair):
    """The agent goes while the rest goes out; the next one reads `completed` from query-migrate."""
    pair.boot().wait_at_destination(disk=False)
    pair.migrate_until_paused()
    pair.resume_migration()
    pair.source.qmp.close()
    pair.destination.qmp.wait("MIGRATION", status="completed")
    pair.note("source", "the agent has gone; the next one connects")
    pair.source.qmp = pair.source.connect()
    assert pair.status(pair.source) == ("postmigrate", "completed")
    pair.destination.qmp.close()
    pair.note("destination", "the agent has gone; the next one connects")
    pair.destination.qmp = pair.destination.connect()
    assert pair.status(pair.destination) == ("paused", "completed")


def second_client(pair):
    """A socket takes one client at a time: the next waits for its greeting; a second monitor answers beside it."""
    pair.boot()
    try:
        pair.source.connect(limit_s=5).close()
    except TimeoutError:
        pair.note("source", "a second client of the same socket gets no greeting")
    else:
        raise AssertionError("a second client was greeted")
    beside = pair.source.connect(monitor=1)
    pair.note("source", "from here on also a client at the second monitor")
    assert beside.call("query-status")["running"]
    pair.source.qmp.call("stop")
    beside.wait("STOP")
    pair.source.qmp.wait("STOP")


def guest_ends(pair):
    """What an instance that ends of itself says: shutdown and reset by the guest, and a panic."""
    pair.boot()
    pair.guest.send("REBOOT")
    pair.source.qmp.wait("RESET")
    pair.guest.wait_ready()
    pair.guest.send("POWEROFF")
    pair.source.qmp.wait("SHUTDOWN")
    assert pair.source.wait_exit() == 0
    pair.note("source", "exit code 0")
