"""Prints what `make test` has found, done and taken: its stages, their files, skips, repeats.

Called by scripts/test.sh with the names of its stages, in order; one that is no run of pytest with
the seconds it took, as in `lint=20`. Reads what `stage_report` and coverage.py have written to
build/tests.
"""

import json
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from stage_report import folder

#: Files that are shown, of all stages together.
SHOWN = 12


def lines(stages: Iterable[Mapping[str, Any]], coverage: Mapping[str, Any]) -> list[str]:
    """The summary.

    Args:
        stages: what each stage has reported.
        coverage: the report of coverage.py; empty if nothing was measured.
    """
    stages = list(stages)
    found = ["", "make test, stage by stage:"]
    seconds: Counter[str] = Counter()
    for each in stages:
        found.append(f"{each['took_s']:7.1f} s  {each['stage']}{_outcome(each)}")
        seconds.update(each.get("files", {}))
    found.append("files that took longest, all their tests added up:")
    found += [f"{taken:7.1f} s  {file}" for file, taken in seconds.most_common(SHOWN)]
    for each in stages:
        for reason, count in each.get("skipped", {}).items():
            found.append(f"skipped in {each['stage']}: {count}, {reason}")
        for repeat in each.get("repeated", ()):
            found.append(f"repeated in {each['stage']}: {repeat['test']}")
            found += [f"    {line}" for line in repeat["evidence"]]
    return found + covered(coverage)


def _outcome(stage: Mapping[str, Any]) -> str:
    if "outcomes" not in stage:
        return ""
    counts = ", ".join(f"{count} {outcome}" for outcome, count in stage["outcomes"].items())
    busy, withheld = stage["busy_percent"], stage["withheld_percent"]
    return f": {counts}; processors {busy} % busy, {withheld} % withheld"


def covered(coverage: Mapping[str, Any]) -> list[str]:
    """Lines and branches that were reached, by package, in percent."""
    if not coverage:
        return []
    reached: dict[str, Counter[str]] = defaultdict(Counter)
    for file, told in coverage["files"].items():
        parts = Path(file).parts
        package = parts[parts.index("ovnmesh") + 1].removesuffix(".py")
        reached[package].update({k: v for k, v in told["summary"].items() if isinstance(v, int)})
    shown = [f"{name} {percent(counts):.0f}" for name, counts in sorted(reached.items())]
    whole = percent(coverage["totals"])
    return [
        f"lines and branches reached without a data path: {whole:.1f} %; by package:",
        f"    {', '.join(shown)}",
    ]


def percent(counts: Mapping[str, int]) -> float:
    """As coverage.py reckons it."""
    total = counts["num_statements"] + counts["num_branches"]
    return 100 * (counts["covered_lines"] + counts["covered_branches"]) / total if total else 100.0


def read(path: Path) -> dict[str, Any]:
    """A report, empty if there is none."""
    found: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    return found


def main() -> None:
    """Print."""
    reports = folder(Path.cwd())
    stages = []
    for name, _, took_s in (word.partition("=") for word in sys.argv[1:]):
        known = {"stage": name, "took_s": float(took_s)} if took_s else {}
        stages.append(known or read(reports / f"{name}.json"))
    print("\n".join(lines(filter(None, stages), read(reports / "coverage.json"))))


if __name__ == "__main__":
    main()
