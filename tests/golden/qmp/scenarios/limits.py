"""Defaults, and what QEMU refuses to an unprivileged process."""
from rig.pair import refused, set_capabilities


def defaults(pair):
    """Parameters, capabilities and version as they are at the start."""
    pair.boot()
    parameters = pair.source.qmp.call("query-migrate-parameters")
    assert parameters["max-bandwidth"] == 128 << 20 and parameters["downtime-limit"] == 300
    pair.source.qmp.call("query-migrate-capabilities")
    pair.source.qmp.call("query-version")
    pair.source.qmp.call("query-kvm")
    pair.source.qmp.call("query-machines")  # whether the destination can be the same


def postcopy_refused(pair):
    """postcopy-ram as an unprivileged uid with vm.unprivileged_userfaultfd=0: the source may, the destination may not."""
    pair.boot().wait_at_destination(disk=False)
    set_capabilities(pair.source.qmp, ("postcopy-ram",))
    pair.note("source", "accepted: only the receiving side needs userfaultfd")
    text = refused(set_capabilities, pair.destination.qmp, ("postcopy-ram",))
    assert text == "Postcopy is not supported", text


def auto_converge(pair):
    """auto-converge slows down a guest that dirties memory faster than it may be sent."""
    pair.boot().wait_at_destination(disk=False)
    pair.dirty_memory(60, 16)
    pair.migrate(capabilities=("events", "return-path", "pause-before-switchover", "auto-converge"),
                 max_bandwidth=16 << 20, downtime_limit=50)
    for number in range(2, 6):  # it acts when two rounds in a row dirtied more than half of what was sent
        pair.source.qmp.wait("MIGRATION_PASS", 60, **{"pass": number})
    throttled = pair.source.qmp.call("query-migrate")["cpu-throttle-percentage"]
    assert throttled >= 20, throttled
    pair.source.qmp.call("migrate_cancel")


def rate_changed_in_flight(pair):
    """max-bandwidth and downtime-limit can be changed in pre-copy, and count at once."""
    pair.boot().wait_at_destination(disk=False)
    pair.migrate_slowly()
    pair.source.qmp.call("migrate-set-parameters", **{"max-bandwidth": 1 << 40, "downtime-limit": 2000})
    pair.source.qmp.wait("MIGRATION", status="pre-switchover")
