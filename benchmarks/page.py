"""Writes tables of results into the page: ``python -m benchmarks.page``.

Replaces what stands between ``<!-- NAME -->`` and ``<!-- end -->`` in docs/benchmarks.md by the
table of results/NAME.json and the conditions it was measured under, and ``<!-- goals -->`` by the
goals beside what was measured. Called after runs whose figures are for the record; so no figure of
these tables is typed. Must not measure.
"""

import json
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import failover, leader, path
from benchmarks.common import QUIET_LOAD, RESULTS, table

PAGE = Path(__file__).parent.parent / "docs" / "benchmarks.md"
_BLOCK = re.compile(r"(<!-- ([a-z_]+) -->\n).*?(<!-- end -->)", re.DOTALL)

Results = dict[str, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Goal:
    """A promise and where its figure is.

    Attributes:
        text: the promise.
        limit: the most that keeps it.
        unit: of limit and figures.
        name: the benchmark.
        find: finds median, minimum and maximum in its data.
        peer: what Kube-OVN's controller did, measured elsewhere.
    """

    text: str
    limit: float
    unit: str
    name: str
    find: Callable[[dict[str, Any]], dict[str, Any]]
    peer: str = ""


def _ours(event: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda data: data["outage_ms"]["ovnmesh"][event]


def _of(event: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda data: data["ovnmesh"][event]


def _worst(moves: bool) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """The worst change, of those that move a gateway, or of all others."""

    def find(data: dict[str, Any]) -> dict[str, Any]:
        chosen = {name: v for name, v in data.items() if bool(MOVES.search(name)) == moves}
        chosen = {name: v for name, v in chosen.items() if "ovn-ic-nbctl" not in name}
        name = max(chosen, key=lambda name: (chosen[name]["median"], chosen[name]["max"]))
        lossless = sum(found["max"] == 0 for found in chosen.values())
        return {**chosen[name], "name": f"{name}; {lossless} of {len(chosen)} lost nothing, ever"}

    return find


MOVES = re.compile(r"reordered|first gateway removed|replaced|active-|auto-route")
"""Changes that move traffic to another gateway, or take the routes away: they are no 0."""

GOALS = (
    Goal("failover, three chassis", 300, "ms", "failover", _ours(failover.CUT)),
    Goal("failover, site of two chassis", 300, "ms", "failover", _ours(failover.TWO)),
    Goal(
        "planned switch, `gateway prefer`",
        *(50, "ms", "failover", _ours(failover.PREFER)),
        peer="gateway put first: 2.05 s (0.89-3.06)",
    ),
    Goal(
        "planned switch, `gateway drain`",
        *(50, "ms", "failover", _ours(failover.DRAIN)),
        peer="first gateway removed: 32 ms (0-52)",
    ),
    Goal("return of a gateway that had failed", 0, "ms", "failover", _ours(failover.RETURN)),
    Goal("active-active, flows on the dead gateway", 300, "ms", "failover", _ours(failover.SPREAD)),
    Goal(
        "changes of configuration that move no gateway (the worst)",
        *(0, "ms", "changes", _worst(moves=False)),
        peer="transit switch added: 4.29 s (1.63-6.72); az-name: 5.19 s (3.02-6.31)",
    ),
    Goal(
        "changes that move a gateway (the worst), as a planned switch",
        *(50, "ms", "changes", _worst(moves=True)),
        peer="gateways reordered: 2.05 s (0.89-3.06)",
    ),
    Goal("path between active gateways dies", 1000, "ms", "path", _of(path.CUT)),
    Goal("IC-SB leader lost: a change propagates", 3, "s", "leader", _of(leader.SB_LEADER)),
    Goal("IC-NB leader lost: a change propagates", 3, "s", "leader", _of(leader.NB_LEADER)),
    Goal("leader, member or ic-db lost: traffic", 0, "ms", "leader", _of(leader.TRAFFIC)),
)


def main() -> int:
    """Rewrite the page; returns the exit status."""
    results = {file.stem: json.loads(file.read_text()) for file in RESULTS.glob("*.json")}

    def block(match: "re.Match[str]") -> str:
        name = match[2]
        if name != "goals" and "rows" not in results.get(name, {}):
            print(f"{name}: no result yet; its table stays", file=sys.stderr)
            return match[0]
        text = _goals(results) if name == "goals" else _result(results[name])
        return f"{match[1]}{text}\n{match[3]}"

    PAGE.write_text(_BLOCK.sub(block, PAGE.read_text()))
    return 0


def _result(result: dict[str, Any]) -> str:
    return f"{table(result['columns'], result['rows'])}\n\n{_conditions(result)}"


def _conditions(result: dict[str, Any]) -> str:
    """What the figures depend on, in a line."""
    before, after = result["load_before"], result["load_after"]
    text = f"Load before {before}, after {after}; took {result['took_s']:.0f} s"
    text += f", of which the hypervisor kept {result['steal_s']} processor seconds."
    if before > QUIET_LOAD:
        text += " **The machine was busy with other things**, so all times are too long."
    return text + (" **A quick run, not for the record.**" if result["quick"] else "")


def _goals(results: Results) -> str:
    rows = list(_goal_rows(results))
    return table(("goal", "at most", "median (min-max)", "", "Kube-OVN, measured elsewhere"), rows)


def _goal_rows(results: Results) -> Iterator[tuple[str, ...]]:
    for goal in GOALS:
        limit = f"{goal.limit:g} {goal.unit}"
        try:
            found = goal.find(results[goal.name]["data"])
        except (KeyError, ValueError):
            yield goal.text, limit, "not measured yet", "", goal.peer
            continue
        middle, digits = found["median"], 2 if goal.unit == "s" else 0
        if middle is None:
            yield goal.text, limit, "traffic did not come back", "**missed**", goal.peer
            continue
        figures = [f"{found[key]:.{digits}f}" for key in ("median", "min", "max")]
        text = f"{figures[0]} ({figures[1]}-{figures[2]}) {goal.unit}"
        if "name" in found:
            text += f": {found['name']}"
        yield goal.text, limit, text, "met" if middle <= goal.limit else "**missed**", goal.peer


if __name__ == "__main__":
    sys.exit(main())
