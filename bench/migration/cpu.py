"""Where a move's CPU time goes: to the guests' own work, to what QEMU does for the move, to the tunnels at both ends, to the WAN and all else."""
import os
from dataclasses import dataclass

TICK_S = 1 / os.sysconf("SC_CLK_TCK")


def _of(stat):
    """User and system time in a stat file of /proc, whose second field may hold spaces; 0 where the process has ended."""
    try:
        with open(stat, encoding="utf-8") as file:
            fields = file.read().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return (int(fields[11]) + int(fields[12])) * TICK_S


def of_process(pid):
    """Its ended threads too."""
    return _of(f"/proc/{pid}/stat")


def of_thread(pid, thread):
    return _of(f"/proc/{pid}/task/{thread}/stat")


def of_machine():
    """All that was not idle, nor waited for a disk."""
    with open("/proc/stat", encoding="utf-8") as file:
        user, nice, system, _idle, _wait, irq, soft, *_ = (int(word) for word in file.readline().split()[1:])
    return (user + nice + system + irq + soft) * TICK_S


@dataclass
class Split:
    """CPU seconds."""
    guests: float = 0.0   # their vCPUs, at both ends
    qemu: float = 0.0     # its other threads
    sending: float = 0.0  # the tunnel at the source
    receiving: float = 0.0
    all: float = 0.0

    def text(self):
        rest = self.all - self.guests - self.qemu - self.sending - self.receiving
        return (f"CPU in s: guests {self.guests:.1f}, QEMU's migration {self.qemu:.1f}, sending {self.sending:.1f}, "
                f"receiving {self.receiving:.1f}, rest {rest:.1f}")


class Meter:
    """Adds up what QEMUs take from `watch` to `leave`, and the tunnels from its beginning to its end."""

    def __init__(self, sending, receiving):
        self._split, self._tunnels, self._watched = Split(), {"sending": sending, "receiving": receiving}, {}
        self._begun = {name: of_process(pid) for name, pid in self._tunnels.items()}
        self._begun_all = of_machine()

    def watch(self, vm):
        threads = [cpu["thread-id"] for cpu in vm.qmp.call("query-cpus-fast")]
        self._watched[vm] = (threads, *self._now(vm, threads))

    def leave(self, vm):
        threads, guests, all_of_it = self._watched.pop(vm)
        guests_now, all_now = self._now(vm, threads)
        self._split.guests += guests_now - guests
        self._split.qemu += (all_now - all_of_it) - (guests_now - guests)

    @staticmethod
    def _now(vm, threads):
        pid = vm.process.pid
        return sum(of_thread(pid, each) for each in threads), of_process(pid)

    def end(self):
        for vm in list(self._watched):
            self.leave(vm)
        for name, pid in self._tunnels.items():
            setattr(self._split, name, of_process(pid) - self._begun[name])
        self._split.all = of_machine() - self._begun_all
        return self._split
