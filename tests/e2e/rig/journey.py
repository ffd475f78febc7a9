"""The main() of a journey: its command line, and a lab that is taken down whatever becomes of it."""
import argparse
import json
import os
import signal
import sys
import tempfile
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(REPOSITORY / "demo"))
from stage import Failed, Lab  # noqa: E402


def expect(holds, what):
    if not holds:
        raise Failed(what)


def config_of(clouds):
    """A lab of clouds that reach each other, by their hosts' names, and a user in the public net."""
    out = '[wan]\nround_trip = "20ms"\n[public]\nnodes = ["user"]\n'
    for name, hosts in clouds.items():
        out += f'[[cloud]]\nname = "{name}"\nhosts = {json.dumps(hosts)}\n'
    return out


def journey(name, config, play, *, placed=(), up=()):
    """play(lab, options) in a lab of the text `config`; `placed`: of the options' images, those that lie on its hosts from the
    beginning; `up`: further words for `lab up`. What play() gives back is told at the end."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--godwit", type=Path, default=REPOSITORY / "build/release/bin/godwit")
    arguments.add_argument("--images", type=Path, default=REPOSITORY / ".cache/images")
    options = arguments.parse_args()
    if os.geteuid() != 0:
        sys.exit(f"{name}: it makes network namespaces: run it as root")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(f"{name}: terminated"))  # by way of the lab's end
    with tempfile.NamedTemporaryFile("w", suffix=".toml") as file:
        file.write(config)
        file.flush()
        with Lab(f"{name[:2]}{os.getpid()}", options.godwit, [options.images / each for each in placed], file.name, up) as lab:
            told = play(lab, options)
    print(f"{name}: passed" + (f", {told}" if told else ""))
