"""How long does an event stop traffic? Ping trains over it, and how their gaps are written down.

Called by the benchmarks of failures. An outage is the longest gap of all trains in milliseconds, 0
if no packet was lost, `NEVER` if traffic did not come back while the train ran. Must not know what
the event is.
"""

import math
import statistics
import time
from collections.abc import Callable, Sequence

from benchmarks.common import summary
from benchmarks.mesh import BenchLab
from ovnmesh.lab.ping import PingResult
from ovnmesh.lab.values.topology import Pod, Site

NEVER = math.inf
INTERVAL_MS = 5.0
LEAD_S = 0.5
"""How long trains run before the event."""

Pairs = Sequence[tuple[str, str]]


def place(pod: Pod) -> str:
    """A pod as the lab's commands name it."""
    return f"{pod.site}/{pod.name}"


def bystanders(site: Site) -> list[str]:
    """Pods on the site's last node, which is no gateway, or the one least preferred."""
    return [place(pod) for pod in site.pods if pod.node == site.nodes[-1].name]


def both_ways(lab: BenchLab) -> Pairs:
    """A pod of each of the first two sites, far from the active gateways, in both directions."""
    one, two = (bystanders(site)[0] for site in lab.sites[:2])
    return (one, two), (two, one)


def watch(
    lab: BenchLab,
    pairs: Pairs,
    event: Callable[[], object],
    after_s: float,
    interval_ms: float = INTERVAL_MS,
) -> list[PingResult]:
    """Run trains over an event and for some time after it.

    Args:
        lab: the lab.
        pairs: source and target of each train.
        event: what happens meanwhile.
        after_s: seconds to go on after the event.
        interval_ms: between two requests of a train, in milliseconds.
    """
    trains = [lab.runner.ping_train(*pair, interval_ms) for pair in pairs]
    try:
        time.sleep(LEAD_S)
        event()
        time.sleep(after_s)
    finally:
        results = [train.stop() for train in trains]
    return results


def outage(results: Sequence[PingResult], after_s: float) -> float:
    """The longest gap of all trains in milliseconds, `NEVER` if one lasted to the end.

    Args:
        results: of trains that went on for a time after the event.
        after_s: that time, in seconds.
    """
    longest_ms = max(result.longest_gap_ms for result in results)
    return NEVER if longest_ms >= 950 * after_s else longest_ms


def cell(values: Sequence[float], limit_s: float) -> str:
    """Median and spread of outages: ``12 (9-31) ms``, or ``not within 10 s``."""
    if not values:
        return ""
    never = f"not within {limit_s:g} s"
    if min(values) == NEVER:
        return never
    low, middle, high = min(values), statistics.median(values), max(values)
    words = [never if value == NEVER else f"{value:.0f}" for value in (middle, low, high)]
    return f"{words[0]} ({words[1]}-{words[2]}) ms"


def record(values: Sequence[float]) -> dict[str, object]:
    """Outages for the results' file; null stands for `NEVER`."""
    known = [value for value in values if value != NEVER]
    found = summary(known) if known else {}
    if len(known) < len(values):
        found |= {"median": None, "never": len(values) - len(known)}
    return found


def against(ours: Sequence[float], baseline: Sequence[float]) -> str:
    """Ratio of medians, for a cell; empty where it says nothing."""
    if not ours or not baseline:
        return ""
    one, other = statistics.median(ours), statistics.median(baseline)
    if NEVER in (one, other) or other == 0:
        return ""
    return f"{one / other:.2f}"
