"""How long until a lab of two sites with three nodes each is up and pinging?

Nothing to compare with: the goal is absolute, 20 s on two cores. With --bare as the second case,
the difference is what controllers and agents take.
"""

import shutil
import tempfile
import time
from pathlib import Path

from benchmarks.common import Report, say, spread, summary
from ovnmesh.lab.boot import teardown
from ovnmesh.lab.runner import LabRunner
from ovnmesh.lab.values.spec import uniform_spec


def run(quick: bool) -> Report:
    """Measure.

    Args:
        quick: fewer rounds.
    """
    cases = {"lab up": False, "lab up --bare": True}
    phases: dict[str, dict[str, list[float]]] = {case: {} for case in cases}
    for number in range(2 if quick else 5):
        for case, bare in cases.items():
            for phase, seconds in _one(bare).items():
                phases[case].setdefault(phase, []).append(seconds)
            say(f"round {number + 1}: {case} {phases[case]['in all'][-1]:.2f} s")
    rows = [
        [case, phase, spread(values, "s", 2)]
        for case, found in phases.items()
        for phase, values in found.items()
    ]
    data: dict[str, object] = {
        case: {phase: summary(values) for phase, values in found.items()}
        for case, found in phases.items()
    }
    return Report((__doc__ or "").split("\n")[0], ("command", "phase", "time"), rows, data)


def _one(bare: bool) -> dict[str, float]:
    """Seconds of each phase of one start, of all, and of the end."""
    folder = Path(tempfile.mkdtemp(prefix="ovnmesh-bench-"))
    try:
        began = time.monotonic()
        runner = LabRunner.up(uniform_spec(), folder / "lab", bare=bare)
        found = {**runner.timings_s, "in all": time.monotonic() - began}
        began = time.monotonic()
        teardown.down(folder / "lab")
        found["lab down"] = time.monotonic() - began
    finally:
        teardown.down(folder / "lab")
        shutil.rmtree(folder, ignore_errors=True)
    return found
