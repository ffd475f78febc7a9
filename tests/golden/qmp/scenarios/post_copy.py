"""Post-copy: the destination runs before all of the memory is there. Sets vm.unprivileged_userfaultfd, and puts it back."""
import functools
import signal

from rig.pair import refused

CAPABILITIES = ("events", "return-path", "pause-before-switchover", "postcopy-ram")
SYSCTL = "/proc/sys/vm/unprivileged_userfaultfd"


def _allowed(scenario):
    @functools.wraps(scenario)
    def wrapped(pair):
        with open(SYSCTL, encoding="ascii") as file:
            before = file.read()
        try:
            with open(SYSCTL, "w", encoding="ascii") as file:
                file.write("1")
            scenario(pair)
        finally:
            with open(SYSCTL, "w", encoding="ascii") as file:
                file.write(before)

    return wrapped


def _begin(pair, rest_bytes_per_s):
    """To the pause, while the guest writes memory faster than it may be sent."""
    pair.boot().wait_at_destination(capabilities=("events", "return-path", "postcopy-ram"), disk=False)
    pair.dirty_memory(60, 16)
    pair.migrate(capabilities=CAPABILITIES, max_bandwidth=16 << 20, downtime_limit=50,
                 max_postcopy_bandwidth=rest_bytes_per_s)
    pair.source.qmp.wait("MIGRATION_PASS", 60, **{"pass": 2})
    pair.source.qmp.call("migrate-start-postcopy")
    pair.source.qmp.wait("MIGRATION", status="pre-switchover")


def _hand_over(pair, rest_bytes_per_s=1 << 20):
    _begin(pair, rest_bytes_per_s)
    pair.resume_migration()
    pair.source.qmp.wait("MIGRATION", status="postcopy-active")
    pair.destination.qmp.wait("MIGRATION", status="postcopy-active")
    while pair.destination.qmp.call("query-status")["status"] == "inmigrate":
        pass
    assert pair.status(pair.source) == ("finish-migrate", "postcopy-active")
    assert pair.status(pair.destination) == ("paused", "postcopy-active")


def _until_deaf(pair):
    qmp = pair.destination.qmp
    for _ in range(1000):
        try:
            qmp.answer(qmp.send("query-status"), "query-status", 2)
        except TimeoutError:
            pair.note("destination", "query-status: no answer for 2 s, once the guest has touched a missing page")
            return
    raise AssertionError("the destination answers, though its guest lacks pages")


@_allowed
def postcopy(pair):
    """The rounds don't end: post-copy; the destination pauses with the devices loaded, runs when told to, and fetches the rest."""
    _hand_over(pair, 8 << 20)
    pair.destination.qmp.call("stop")
    pair.destination.qmp.call("cont")
    pair.source.qmp.wait("MIGRATION", 60, status="completed")
    pair.destination.qmp.wait("MIGRATION", status="completed")
    assert pair.status(pair.source) == ("postmigrate", "completed")
    assert pair.status(pair.destination) == ("running", "completed")


@_allowed
def postcopy_with_multifd(pair):
    """With multifd too: all pages come, both say completed, and the destination's QEMU ends by an assertion; nobody has the guest any more."""
    pair.boot().wait_at_destination(capabilities=("events", "return-path", "postcopy-ram", "multifd"), disk=False)
    pair.dirty_memory(60, 16)
    pair.migrate(capabilities=(*CAPABILITIES, "multifd"), max_bandwidth=16 << 20, downtime_limit=50, max_postcopy_bandwidth=8 << 20)
    pair.source.qmp.wait("MIGRATION_PASS", 60, **{"pass": 2})
    pair.source.qmp.call("migrate-start-postcopy")
    pair.source.qmp.wait("MIGRATION", status="pre-switchover")
    pair.resume_migration()
    pair.destination.qmp.wait("MIGRATION", status="postcopy-active")
    pair.destination.qmp.call("cont")
    for vm in (pair.source, pair.destination):
        vm.qmp.wait("MIGRATION", status="completed")
    pair.destination_exits(-signal.SIGABRT)
    assert pair.status(pair.source) == ("postmigrate", "completed")


@_allowed
def postcopy_cancelled_while_paused(pair):
    """migrate_cancel at the pause of a post-copy: the source does not run by itself, but does when told to."""
    _begin(pair, 1 << 20)
    pair.source.qmp.call("migrate_cancel")
    pair.source.qmp.wait("MIGRATION", status="cancelled")
    assert pair.status(pair.source) == ("postmigrate", "cancelled")
    pair.source.qmp.call("cont")
    assert pair.status(pair.source) == ("running", "cancelled")


@_allowed
def postcopy_cut_while_paused(pair):
    """The connection is cut at the pause: the failure comes with migrate-continue, and the source does not run by itself."""
    _begin(pair, 1 << 20)
    pair.memory.cut()
    pair.note("world", "the memory connection is cut")
    pair.destination_exits(1)
    pair.resume_migration()
    pair.source.qmp.wait("MIGRATION", status="failed")
    assert pair.status(pair.source) == ("postmigrate", "failed")
    pair.source.qmp.call("cont")
    assert pair.status(pair.source) == ("running", "failed")


@_allowed
def postcopy_cancelled(pair):
    """migrate_cancel with the devices loaded at the destination, which has not run: the source has it back."""
    _hand_over(pair)
    pair.source.qmp.call("migrate_cancel")
    pair.source.qmp.wait("MIGRATION", status="cancelled")
    pair.destination.qmp.wait("MIGRATION", status="postcopy-paused")
    assert pair.status(pair.source) == ("postmigrate", "cancelled")
    assert pair.status(pair.destination) == ("paused", "postcopy-paused")
    pair.source.qmp.call("cont")
    assert pair.status(pair.source) == ("running", "cancelled")


@_allowed
def postcopy_cut(pair):
    """The connection is cut before the destination runs: the source can neither go on nor be cancelled."""
    _hand_over(pair)
    pair.memory.cut()
    pair.note("world", "the memory connection is cut")
    pair.source.qmp.wait("MIGRATION", status="postcopy-paused")
    pair.destination.qmp.wait("MIGRATION", status="postcopy-paused")
    assert refused(pair.source.qmp.call, "cont") == "Migration is not finalized yet"
    pair.source.qmp.call("migrate_cancel")
    pair.silent(pair.source, "MIGRATION", status="cancelled")
    assert pair.status(pair.source) == ("finish-migrate", "cancelling")


@_allowed
def postcopy_cut_while_it_runs(pair):
    """The connection is cut while the destination runs and lacks pages: its monitor goes deaf, migrate-recover is not heard."""
    _hand_over(pair)
    pair.destination.qmp.call("cont")
    pair.memory.cut()
    pair.note("world", "the memory connection is cut")
    pair.source.qmp.wait("MIGRATION", status="postcopy-paused")
    pair.destination.qmp.wait("MIGRATION", status="postcopy-paused")
    _until_deaf(pair)
    pair.unanswered(pair.destination, "migrate-recover", uri=f"unix:{pair.destination.path('again.sock')}")
