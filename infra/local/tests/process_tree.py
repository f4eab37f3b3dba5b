"""What a process and its children cost: processor time and memory, read from /proc.

Children count while they live and after they died, so that nothing is hidden by moving work into another process.
Memory that two processes share counts twice. Linux only.
"""

import os
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
INTERVAL = 0.02  # Between two looks at the memory, in seconds.


class ProcessTree:
    """A process and all that descend from it."""

    def __init__(self, pid):
        self.pid = pid

    def pids(self):
        found, queue = [], [self.pid]
        while queue:
            pid = queue.pop()
            found.append(pid)
            for thread in Path(f"/proc/{pid}/task").glob("*/children"):
                queue += map(int, read(thread).split())
        return found

    def cpu_seconds(self):
        """User and system time so far, dead children included."""
        ticks = 0
        for pid in self.pids():
            # The name in brackets may hold spaces; the times are fields 14 to 17, children's last.
            fields = read(f"/proc/{pid}/stat").rpartition(")")[2].split()
            ticks += sum(map(int, fields[11:15]))
        return ticks / TICKS

    def clock(self):
        """A clock that stands still while others keep the machine busy; only differences mean something.

        On an idle machine it is any clock. On a busy one it shows the least that the tree would have needed alone, with
        all cores: a bound on it does not fail because somebody compiles beside it.
        """
        times = list(map(int, read("/proc/stat").splitlines()[0].split()[1:]))
        # Idle time and waiting for a disk are nobody's; guests' time, at the end, is counted in the fields before.
        busy = sum(times[:8]) - times[3] - times[4]
        return time.monotonic() - (busy / TICKS - self.cpu_seconds()) / os.cpu_count()

    def memory(self):
        """Resident memory of each process now, and its own highest so far, in MiB."""
        found = {}
        for pid in self.pids():
            lines = dict(line.split(":", 1) for line in read(f"/proc/{pid}/status").splitlines())
            if "VmRSS" in lines:
                found[pid] = tuple(int(lines[name].split()[0]) / 1024 for name in ("VmRSS", "VmHWM"))
        return found

    def at_rest(self, seconds=30):
        """Waits until hardly any time is spent any more."""
        deadline, before = time.monotonic() + seconds, self.cpu_seconds()
        while time.monotonic() < deadline:
            time.sleep(0.1)
            now = self.cpu_seconds()
            if now - before <= 0.02:
                return
            before = now

    @contextmanager
    def weighed(self):
        """Watches the memory; the `Weight` that it yields is final once the block is left."""
        for pid in self.pids():
            # Starts the kernel's own record of the peak anew: it misses nothing between two looks.
            with suppress(FileNotFoundError, ProcessLookupError):
                Path(f"/proc/{pid}/clear_refs").write_text("5")
        weight, stop = Weight(self.memory()), threading.Event()

        def watch():
            while not stop.wait(INTERVAL):
                weight.add(self.memory())

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            yield weight
        finally:
            stop.set()
            watcher.join()
            weight.add(self.memory())


class Weight:
    """The most memory that a tree took together, in MiB."""

    def __init__(self, memory):
        self.least = {pid: now for pid, (now, _) in memory.items()}
        self.highest = {pid: now for pid, now in self.least.items()}
        self.together = sum(self.least.values())

    def add(self, memory):
        # A process that came later, or ended, held nothing at one time.
        self.least = {pid: min(least, memory[pid][0]) for pid, least in self.least.items() if pid in memory}
        for pid, (_, highest) in memory.items():
            self.highest[pid] = max(self.highest.get(pid, 0), highest)
        self.together = max(self.together, sum(now for now, _ in memory.values()))

    @property
    def peak(self):
        """What was seen at once, or one process's own peak beside the least that the others held: the larger."""
        if not self.highest:
            return 0.0
        rest = sum(self.least.values())
        return max(self.together, max(high + rest - self.least.get(pid, 0) for pid, high in self.highest.items()))


def read(path):
    """A file of /proc, empty once its process is gone."""
    try:
        return Path(path).read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""
