"""What speaks, from outside a test, for the machine having disturbed its data path.

Called by `repeats` and by the long run of chaos. The hosts of virtual machines give processors to
others now and then, for tenths of a second; BFD takes a gateway for dead after 0.3 s. Must not take
the test's own word for it: a thread that wakes late says more about the test than about the
machine, and so does the load.
"""

import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.common import steal_s

#: Processor time withheld while a test ran, in seconds: a third of what BFD waits for by default.
STOLEN_S = 0.1
#: And its share of all processor time, in percent.
STOLEN_PERCENT = 1.0
#: What ovs-vswitchd logs when it got no processor in time (lib/bfd.c).
_LATE = "sending BFD control message"

_notes: list[str] = []


def note(text: str) -> None:
    """Tell what a test has seen outside of what it is about, such as a control train that lost."""
    _notes.append(text)


def stolen_percent(stolen_s: float, took_s: float, cpus: int) -> float:
    """Share of the time of all processors, in percent."""
    return 100 * stolen_s / (took_s * cpus) if took_s > 0 else 0.0


class Window:
    """From now on, until somebody asks.

    Args:
        folder: where the labs of this process are, for the logs of their ovs-vswitchd.
        cpus: processors of this machine.
    """

    def __init__(self, folder: Path, cpus: int) -> None:
        _notes.clear()
        self._folder, self._cpus = folder, cpus
        self._began = time.monotonic()
        self._stolen_s = steal_s()
        self._seen = {path: path.stat().st_size for path in self._logs()}

    def evidence(self) -> list[str]:
        """What has been found since the window was opened; nothing if the machine was well."""
        took_s = time.monotonic() - self._began
        stolen_s = steal_s() - self._stolen_s
        percent = stolen_percent(stolen_s, took_s, self._cpus)
        found = list(_notes)
        if stolen_s >= STOLEN_S and percent >= STOLEN_PERCENT:
            found.append(f"processors withheld for {stolen_s:.2f} s, {percent:.0f} % (/proc/stat)")
        for path in self._logs():
            with path.open(errors="replace") as log:
                log.seek(self._seen.get(path, 0))
                late = sum(_LATE in line for line in log)
            if late:
                place = path.relative_to(self._folder).parent
                found.append(f"ovs-vswitchd of {place} sent BFD late, {late} times")
        return found

    def _logs(self) -> Iterator[Path]:
        # LAB/SITE/nodes/NODE, and LAB is in a folder of the test's or of pytest's own making.
        for depth in ("*", "*/*"):
            yield from self._folder.glob(f"{depth}/*/nodes/*/ovs-vswitchd.log")
