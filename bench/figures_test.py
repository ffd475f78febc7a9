#!/usr/bin/env python3
"""The one form of every benchmark's figures, and that a missed one is told."""
import contextlib
import io
import json
import subprocess
import tempfile
import unittest
from pathlib import Path

import figures

BENCH = Path(__file__).resolve().parent


class FiguresTest(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.addCleanup(setattr, figures, "REPOSITORY", figures.REPOSITORY)
        figures.REPOSITORY = self.out = Path(directory.name)

    def finish(self, *rows):
        """Exit code, what was printed, what was written."""
        collected, said = figures.Figures("sample"), io.StringIO()
        for row in rows:
            collected.add(*row)
        with contextlib.redirect_stdout(said), self.assertRaises(SystemExit) as ended:
            collected.finish()
        return ended.exception.code, said.getvalue(), json.loads((self.out / "out/bench-sample.json").read_text(encoding="utf-8"))

    def test_figures_are_medians_beside_what_is_promised(self):
        code, said, written = self.finish(("pause", [9, 1, 2], "ms", "lower", 20, 5))
        self.assertEqual(code, 0)
        self.assertIn("pause", said)
        self.assertEqual(list(written), ["machine", "command", "figures", "runs"])
        self.assertEqual(written["command"], "make bench-sample")
        self.assertEqual(written["figures"],
                         [{"name": "pause", "value": 2, "unit": "ms", "better": "lower", "least": 20, "aim": 5}])
        self.assertEqual(written["runs"], [{"figure": "pause", "values": [9, 1, 2]}])

    def test_a_figure_that_is_missed_fails_whichever_way_is_better(self):
        for row in (("pause", [21], "ms", "lower", 20), ("rate", [299], "Mbit/s", "higher", 300)):
            code, said, _ = self.finish(("good", [1], "ms", "lower", 1), row)
            self.assertEqual(code, 1)
            self.assertEqual(said.count("MISSED"), 1)

    def test_every_benchmark_explains_itself_and_runs_nothing_when_asked(self):
        programs = sorted(BENCH.glob("bench_*"))
        self.assertGreaterEqual(len(programs), 4)
        for program in programs:
            done = subprocess.run([program, "--help"], capture_output=True, text=True, check=True)
            self.assertIn(f"make bench-{program.name.removeprefix('bench_')}", done.stdout)


if __name__ == "__main__":
    unittest.main()
