"""What a vCPU does in the moments after it goes on elsewhere: the guest's own code, or the emulator's work for it.

An emulated vCPU (TCG) begins with nothing translated. `perf` samples the whole machine while an instance moves; the samples of
its new QEMU's busiest thread, which is the vCPU of a guest that has one, are told apart by where they fell.
"""
import collections
import re
import shutil
import signal
import subprocess
from pathlib import Path

RATE_HZ = 2000
BEGUN = 20          # samples within BEGUN_S: the vCPU runs
BEGUN_S = 0.05
FIRST_S = 0.25      # the moments after
LATER_S = (2, 4)    # when all that recurs has been translated
SAMPLE = re.compile(r"(\d+)/(\d+)\s+([\d.]+):\s+cpu-clock:\s+[0-9a-f]+ .*\((.*)\)$")


def samples_of(text, pid):
    """Of `perf script -F pid,tid,time,event,ip,sym,dso`: thread -> [(seconds, where)], without the main thread's."""
    threads = collections.defaultdict(list)
    for line in text.splitlines():
        found = SAMPLE.search(line)
        if found and int(found[1]) == pid and found[2] != found[1]:
            threads[int(found[2])].append((float(found[3]), found[4]))
    return threads


def kind(where):
    """Translated code is in memory that is no file's; perf looks for a map of it."""
    if where.startswith(("/tmp/perf-", "//anon", "[JIT]")):
        return "guest"
    return "kernel" if where.startswith("[") else "emulator"


def begin_of(samples):
    """When it runs for good: threads of QEMU do a little before."""
    for at, (begun, _) in enumerate(samples):
        if at + BEGUN < len(samples) and samples[at + BEGUN][0] - begun < BEGUN_S:
            return begun
    raise RuntimeError("perf has seen no vCPU that ran")


def shares(samples):
    """Seconds that it ran of its first FIRST_S, and what part of them was of each kind; and these parts LATER_S."""
    begun = begin_of(samples)

    def within(first, end):
        kinds = collections.Counter(kind(where) for time, where in samples if first <= time - begun < end)
        return {each: kinds[each] / max(1, kinds.total()) for each in ("emulator", "kernel", "guest")}, kinds.total() / RATE_HZ

    first, ran_s = within(0, FIRST_S)
    return ran_s, first, within(*LATER_S)[0]


def newest_qemu_of(instance):
    pids = [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit() and is_qemu_of(path, instance)]
    return max(pids, key=started)


def is_qemu_of(process, instance):
    try:
        words = (process / "cmdline").read_bytes().split(b"\0")
    except OSError:  # it has ended
        return False
    return b"qemu" in words[0] and any(instance.encode() in word for word in words)


def started(pid):
    return int(Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()[19])


class VcpuProfile:
    """From the beginning until look() the machine is sampled. Needs `perf` (Debian's linux-perf) and root."""

    def __init__(self, directory):
        if not shutil.which("perf"):
            raise RuntimeError("perf is not here (apt: linux-perf)")
        self.data = Path(directory, "perf.data")
        self.perf = subprocess.Popen(["perf", "record", "-q", "-a", "-F", str(RATE_HZ), "-e", "cpu-clock", "-o", self.data],
                                     stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def look(self, instance):
        """As shares(), of the instance's newest QEMU; LATER_S after its move."""
        self.perf.send_signal(signal.SIGINT)
        self.perf.wait()
        text = subprocess.run(["perf", "script", "-i", self.data, "--ns", "-F", "pid,tid,time,event,ip,sym,dso"], capture_output=True,
                              text=True, check=True).stdout
        threads = samples_of(text, newest_qemu_of(instance))
        if not threads:
            raise RuntimeError("perf has no sample of the instance's QEMU")
        return shares(max(threads.values(), key=len))
