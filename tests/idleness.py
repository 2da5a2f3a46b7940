"""Whether a process is as idle after an event as it was before: processor, threads, descriptors.

What counts is the processor time of each thread, not the time on a clock: a busy machine makes a
thread that spins use less of it, but never as little as one that waits.
"""

import gc
import os
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

#: Share of a processor that a waiting thread stays below. One that tries to connect every second
#: uses less than 0.01; one that spins uses 1, or its part of a processor that others want as well.
IDLE = 0.05
#: Seconds over which processor time is counted; the kernel counts in hundredths.
WINDOW_S = 1.0
#: Seconds that the consequences of an event may last.
SETTLED_S = 15.0
#: libuuid keeps this file open once for each thread that has ever made a UUID of the time, as the
#: ovs package does, and never closes it.
LIBUUID = "/var/lib/libuuid/clock.txt"
TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Idleness:
    """What a process has while nothing happens.

    Attributes:
        pid: the process.
        threads: its threads.
        descriptors: how many open files of each kind it has.
    """

    pid: int
    threads: frozenset[int]
    descriptors: Counter[str]

    @classmethod
    def of(cls, pid: int | None = None) -> Self:
        """The process, which must not be doing anything now; this one by default."""
        pid = pid or os.getpid()
        made = cls(pid, frozenset(_ticks(pid)), _descriptors(pid))
        made.again()
        return made

    def again(self, timeout_s: float = SETTLED_S) -> None:
        """Wait until it is as idle as it was; fails with what keeps it busy, or has been left."""
        _wait_until_nothing(lambda: busy(self.pid) + self._left(), timeout_s)

    def _left(self) -> list[str]:
        gc.collect()  # what only garbage of this process holds open is not left
        threads = _ticks(self.pid).keys()
        # Another thread in the place of one that has ended is fine.
        more = len(threads) - len(self.threads)
        left = [f"{more} more threads, {sorted(threads - self.threads)}"] if more > 0 else []
        kinds = _descriptors(self.pid) - self.descriptors
        return left + [f"{number} more of {kind}" for kind, number in kinds.items()]


def no_thread_spins(pid: int | None = None, timeout_s: float = SETTLED_S) -> None:
    """Wait until every thread waits: while a fault lasts, when there may be more descriptors."""
    _wait_until_nothing(lambda: busy(pid or os.getpid()), timeout_s)


def busy(pid: int) -> list[str]:
    """The threads that use the processor during a window from now on, and how much of it."""
    before = _ticks(pid)
    time.sleep(WINDOW_S)
    used = {t: (ticks - before.get(t, 0)) / TICKS_PER_S for t, ticks in _ticks(pid).items()}
    shares = {thread: seconds / WINDOW_S for thread, seconds in used.items()}
    return [f"thread {t} used {share:.0%}" for t, share in shares.items() if share > IDLE]


def _wait_until_nothing(find: Callable[[], list[str]], timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    while found := find():
        assert time.monotonic() < deadline, f"not idle within {timeout_s} s: {found}"


def _ticks(pid: int) -> dict[int, int]:
    """Processor time of each thread in clock ticks (proc_pid_stat(5), utime and stime)."""
    ticks = {}
    for folder in Path(f"/proc/{pid}/task").iterdir():
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has just ended
        ticks[int(folder.name)] = int(fields[11]) + int(fields[12])
    return ticks


def _descriptors(pid: int) -> Counter[str]:
    """Open files by kind: a path, or "socket", "pipe" and the like."""
    kinds: Counter[str] = Counter()
    for link in Path(f"/proc/{pid}/fd").iterdir():
        try:
            kind = os.readlink(link).partition(":[")[0]
        except OSError:
            continue  # the one of this listing, or it has just been closed
        kinds[kind] += kind != LIBUUID
    return kinds
