#!/usr/bin/env python3
"""blast_search.py against members that are shells on this machine and a blastp that only looks like one."""
import json
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

PROGRAM = Path(__file__).with_name("blast_search.py")
# Answers each query with two lines, in an order that depends on the process, as the order of threads might.
BLASTP = """#!/usr/bin/env python3
import os, sys
names = [line[1:].split()[0] for line in sys.stdin if line.startswith(">")]
lines = [f"{name}\\thit{n}" for name in names for n in (1, 2)]
print("\\n".join(sorted(lines, reverse=os.getpid() % 2 == 0)))
"""
# The member "weak" takes one task and dies with it.
SHELL = """#!/bin/sh
[ "$1" != weak ] || { read -r task; echo "broken" >&2; exit 1; }
exec sh -c "$2"
"""


class BlastSearch(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory(prefix="godwit-blast-")
        self.addCleanup(scratch.cleanup)
        self.directory = Path(scratch.name)
        for name, text in (("blastp", BLASTP), ("shell", SHELL)):
            (self.directory / name).write_text(text)
            os.chmod(self.directory / name, 0o755)
        (self.directory / "query.fasta").write_text("".join(f">q{n} some protein\nMKV{'A' * n}\n" for n in range(20)))

    def search(self, *members, queries=20, per_task=3):
        result = self.directory / "result.tsv"
        result.unlink(missing_ok=True)
        done = subprocess.run([sys.executable, PROGRAM, "--queries", str(queries), "--per-task", str(per_task),
                               "--query-file", self.directory / "query.fasta", "--blastp", self.directory / "blastp",
                               "--shell", f"{self.directory}/shell {{member}}", "--result", result, *members],
                              capture_output=True, text=True, check=False)
        events = [json.loads(line) for line in done.stdout.splitlines()]
        return done.returncode, events, result.read_text() if result.exists() else None

    def test_result_is_the_same_whoever_does_the_work(self):
        status, events, alone = self.search("one")
        self.assertEqual((status, alone.count("\n")), (0, 40))
        self.assertEqual(self.search("one", "two", "three")[2], alone)
        end = events[-1]
        self.assertEqual((end["event"], end["tasks"], end["hits"], end["lost"], end["by_member"]), ("end", 7, 40, 0, {"one": 7}))

    def test_every_task_is_reported_as_it_is_done(self):
        _, events, _ = self.search("one", "two")
        self.assertEqual([event["event"] for event in events], ["start"] + ["task"] * 7 + ["end"])
        self.assertEqual([event["done"] for event in events[1:-1]], list(range(1, 8)))
        self.assertEqual(sorted(event["task"] for event in events[1:-1]), list(range(7)))

    def test_a_lost_member_gives_its_task_to_another(self):
        status, events, table = self.search("weak", "strong")
        self.assertEqual((status, events[-1]["lost"], events[-1]["by_member"]), (0, 1, {"weak": 0, "strong": 7}))
        self.assertEqual(table, self.search("strong")[2])
        self.assertIn("broken", next(event for event in events if event["event"] == "lost")["why"])

    def test_without_any_member_left_it_fails_and_writes_no_result(self):
        status, events, table = self.search("weak")
        self.assertEqual((status, table, events[-1]["event"]), (1, None, "lost"))


if __name__ == "__main__":
    unittest.main()
