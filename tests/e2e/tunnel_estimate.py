#!/usr/bin/env python3
"""What an operator asks first of a tunnel: what it would save, as a subcommand or as a flag.

    tunnel_estimate.py GODWIT

Recorded streams stand for guests: one of new content, and one that shares half of it.
"""
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

PAGE = 4096


def check(holds, what):
    if not holds:
        sys.exit(f"FAILED: {what}")
    print(f"  {what}")


def run(*command):
    return subprocess.run(command, capture_output=True, text=True, timeout=50, check=False)


def figures(said):
    """All but the times that it took."""
    return re.sub(r"looked at in [0-9.]+ s", "", said)


def main():
    godwit = sys.argv[1]
    with tempfile.TemporaryDirectory() as directory:
        first, second, image = (Path(directory, name) for name in ("first", "second", "image"))
        image.write_bytes(os.urandom(256 * PAGE))
        shared = os.urandom(512 * PAGE)
        first.write_bytes(shared + image.read_bytes())
        second.write_bytes(shared[: 256 * PAGE] + os.urandom(256 * PAGE))
        rest = [str(first), str(second), "--image", str(image)]
        command = run(godwit, "tunnel", "estimate", *rest)
        check(command.returncode == 0 and "QEMU sends" in command.stdout, "estimate says what would cross")
        flag = run(godwit, "tunnel", "--estimate", *rest)
        check(flag.returncode == 0 and figures(flag.stdout) == figures(command.stdout), "--estimate says the same")
        for wrong in ([], ["--image", str(image)], ["--estimate"], ["--estimate", str(first), "keys", "left"]):
            said = run(godwit, "tunnel", *wrong)
            check(said.returncode != 0 and said.stderr, f"{' '.join(wrong) or 'nothing'} is refused with a reason")
        gone = run(godwit, "tunnel", "--estimate", f"{directory}/gone")
        check(gone.returncode == 1 and "gone" in gone.stderr, "a guest that is not there is named")


main()
