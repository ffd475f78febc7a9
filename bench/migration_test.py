#!/usr/bin/env python3
"""What bench_migration takes for a guest that works, and for a memory that doesn't converge."""
import contextlib
import io
import tempfile
import unittest
from pathlib import Path

from migration import guests
from migration.course import Convergence, Turns
from migration.scene import Outcome


class Console:
    """As much of a machine as its console."""

    def __init__(self, directory):
        self.name, self._directory = "dirty1", Path(directory)

    def path(self, name):
        return self._directory / name

    def says(self, text):
        with open(self.path("console.log"), "a", encoding="ascii") as console:
            console.write(text)


class LoadTest(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.console = Console(directory.name)

    def test_the_last_whole_count_on_the_console_counts(self):
        self.console.says("Debian GNU/Linux 12 dirty1 ttyS0\r\n")
        self.assertEqual(guests.count(self.console), 0)
        self.console.says("godwit-load 3\r\ngodwit-load 4\r\nlogin: godwit-load 5\r\ngodwit-load 6")
        self.assertEqual(guests.count(self.console), 5)

    def test_a_guest_that_panics_or_says_nothing_more_is_lifeless(self):
        self.console.says("godwit-load 7\r\n")
        with self.assertRaises(guests.Lifeless):
            guests.wait_past(self.console, 7, limit_s=0)
        self.console.says("Kernel panic - not syncing\r\n")
        with self.assertRaises(guests.Lifeless):
            guests.count(self.console)

    def test_a_load_that_does_not_really_run_is_refused(self):
        with contextlib.redirect_stdout(io.StringIO()):
            guests.check_load(self.console, "dirty", 10, 190, seconds=60)
            with self.assertRaises(guests.Lifeless):
                guests.check_load(self.console, "dirty", 10, 20, seconds=60)

    def test_every_role_has_a_load_and_every_guest_a_number_of_its_own(self):
        self.assertEqual({path.stem for path in guests.ROLES.glob("*.py")}, set(guests.LOADS))
        self.assertEqual(guests.gang(5), ["idle1", "blast1", "sqlite1", "dirty1", "idle2"])
        self.assertEqual(len(set(guests.ALL)), len(guests.ALL))


class ConvergenceTest(unittest.TestCase):
    def test_three_slow_rounds_in_a_row_need_help(self):
        convergence = Convergence()
        rests = [500, 100, 90, 85, 40, 39, 38, 37, 36]
        asked = [convergence.needs_help({"dirty-sync-count": number, "remaining": rest}) for number, rest in enumerate(rests, start=1)]
        self.assertEqual(asked, [False, False, False, False, False, False, False, True, False])

    def test_what_is_sent_within_a_round_says_nothing(self):
        convergence = Convergence()
        self.assertFalse(any(convergence.needs_help({"dirty-sync-count": 1, "remaining": rest}) for rest in (9, 9, 9, 9, 9)))


class TurnsTest(unittest.TestCase):
    def test_one_at_a_time_pauses_none_in_its_first_round_and_the_one_with_least_to_do_next(self):
        turns = Turns()
        self.assertFalse(turns.may_pause("a", {"dirty-sync-count": 1, "remaining": 0}))
        self.assertTrue(turns.may_pause("b", {"dirty-sync-count": 2, "remaining": 500}))
        self.assertFalse(turns.may_pause("a", {"dirty-sync-count": 2, "remaining": 300}))
        self.assertFalse(turns.may_pause("c", {"dirty-sync-count": 3, "remaining": 200}))
        turns.leave("b")
        self.assertFalse(turns.may_pause("a", {"dirty-sync-count": 2, "remaining": 300}))
        self.assertTrue(turns.may_pause("c", {"dirty-sync-count": 3, "remaining": 200}))


class OutcomeTest(unittest.TestCase):
    def test_what_did_not_converge_stands_apart(self):
        self.assertIn("APART", Outcome("plain", apart=["dirty1: 12 MiB are left"]).text())
        self.assertNotIn("APART", Outcome("plain", memory_bytes=1).text())


if __name__ == "__main__":
    unittest.main()
