#!/usr/bin/env python3
"""What bench/vcpu_profile.py makes of perf's samples."""
import unittest

from vcpu_profile import FIRST_S, RATE_HZ, samples_of, shares


def line(pid, thread, time, where):
    return f"{pid}/{thread} {time:.9f}: cpu-clock: 55b6bca563ef tcg_gen_code ({where})"


class Shares(unittest.TestCase):
    def test_samples_are_of_the_other_threads_of_that_process(self):
        text = "\n".join([line(7, 7, 1.0, "/usr/bin/qemu"), line(7, 8, 1.1, "/usr/bin/qemu"), line(9, 10, 1.2, "[kernel.kallsyms]"),
                          "swapper 0/0 1.0: sched:sched_switch: ffffffff"])
        self.assertEqual(dict(samples_of(text, 7)), {8: [(1.1, "/usr/bin/qemu")]})

    def test_the_first_moments_and_later_are_told_apart(self):
        early = [(0.5, "/usr/bin/qemu")]  # as it was made
        first = [(10 + at / RATE_HZ, "/tmp/perf-7.map" if at % 10 == 0 else "/usr/bin/qemu") for at in range(int(FIRST_S * RATE_HZ))]
        later = [(12 + at / RATE_HZ, "//anon" if at % 2 else "[kernel.kallsyms]") for at in range(1000)]
        ran_s, at_first, afterwards = shares(early + first + later)
        self.assertAlmostEqual(ran_s, FIRST_S, 2)
        self.assertAlmostEqual(at_first["guest"], 0.1, 2)
        self.assertAlmostEqual(at_first["emulator"], 0.9, 2)
        self.assertAlmostEqual(afterwards["guest"], 0.5, 2)
        self.assertAlmostEqual(afterwards["kernel"], 0.5, 2)

    def test_a_vcpu_that_never_ran_is_no_profile(self):
        with self.assertRaises(RuntimeError):
            shares([(1.0, "/usr/bin/qemu")])


if __name__ == "__main__":
    unittest.main()
