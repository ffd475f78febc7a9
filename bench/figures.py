"""What every benchmark gives: a table for people, and out/bench-NAME.json in one form."""
import json
import os
import platform
import statistics
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY / "demo"))


def machine():
    with open("/proc/cpuinfo", encoding="ascii") as cpuinfo:
        model = next((line.split(":")[1].strip() for line in cpuinfo if line.startswith("model name")), "?")
    memory_gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {"cpu": model, "cores": os.cpu_count(), "memory_gib": round(memory_gib, 1), "kernel": platform.release(),
            "load": os.getloadavg()[0]}


class Figures:
    """Collects what was measured; finish() prints and writes it, and ends the program with 1 where a least is missed."""

    def __init__(self, name):
        self.name, self.figures, self.runs, self.tables = name, [], [], []

    def add(self, name, values, unit, better, least=None, aim=None):
        """The median of `values`, against the least that is promised (None: nothing is)."""
        self.figures.append({"name": name, "value": round(statistics.median(values), 3), "unit": unit, "better": better,
                             "least": least, "aim": aim})
        self.runs.append({"figure": name, "values": [round(value, 3) for value in values]})

    def finish(self):
        out = REPOSITORY / f"out/bench-{self.name}.json"
        out.parent.mkdir(exist_ok=True)
        out.write_text(json.dumps({"machine": machine(), "command": f"make bench-{self.name}", "figures": self.figures,
                                   "runs": self.runs, **({"tables": self.tables} if self.tables else {})}, indent=2) + "\n", encoding="utf-8")
        width = max((len(figure["name"]) for figure in self.figures), default=0)
        missed = 0
        print(f"\n  {'figure':{width}} {'median':>12} {'least':>10} {'aim':>10}")
        for figure in self.figures:
            value, least = figure["value"], figure["least"]
            reached = least is None or (value <= least if figure["better"] == "lower" else value >= least)
            missed += not reached
            least, aim = ("" if each is None else each for each in (least, figure["aim"]))
            print(f"  {figure['name']:{width}} {value:>9} {figure['unit']:2} {least:>10} {aim:>10}"
                  f"  {'' if reached else 'MISSED'}")
        print(f"\n  written to {out}")
        sys.exit(1 if missed else 0)
