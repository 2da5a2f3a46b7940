"""Runs benchmarks: ``python -m benchmarks.run [--quick] [NAME...]``.

Progress goes to stderr, tables to stdout, everything measured to benchmarks/results/NAME.json.
Needs root: labs are network namespaces.
"""

import argparse
import importlib
import os
import signal
import sys
import time

from benchmarks.common import PATIENCE_S, Quiet, markdown, save, steal_s

NAMES = (
    "join",
    "subnet",
    "idle",
    "changes",
    "lab_up",
    "failover",
    "path",
    "leader",
    "throughput",
    "growth",
    "kubernetes_join",
    "kubernetes_idle",
)


def main() -> int:
    """Run what was asked for; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.run", description="Measure ovnmesh beside the manual steps."
    )
    parser.add_argument("--quick", action="store_true", help="fewer rounds; not for the record")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)}; all")
    parser.add_argument(
        "--patience",
        type=float,
        default=PATIENCE_S,
        metavar="SECONDS",
        help="how long to wait in all for a quiet machine (default: %(default)g)",
    )
    arguments = parser.parse_args()
    unknown = set(arguments.names) - set(NAMES)
    if unknown:
        parser.error(f"unknown: {', '.join(sorted(unknown))}; expected {', '.join(NAMES)}")
    if os.geteuid() != 0:
        parser.error("needs root: a lab is made of network namespaces; run it with sudo")
    # So that a terminated run ends its labs as well.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    quiet = Quiet(arguments.patience)
    for name in arguments.names or NAMES:
        load_before = quiet.wait()
        print(f"{name}: load {load_before}", file=sys.stderr, flush=True)
        began, stolen_s = time.monotonic(), steal_s()
        report = importlib.import_module(f"benchmarks.{name}").run(arguments.quick)
        if report is None:  # it has said what it lacks; an earlier result stays
            continue
        conditions: dict[str, object] = {
            "quick": arguments.quick,
            "load_before": load_before,
            "load_after": round(os.getloadavg()[0], 2),
            "took_s": round(time.monotonic() - began, 1),
            "steal_s": round(steal_s() - stolen_s, 1),
        }
        path = save(name, report, conditions)
        print(f"{name}: {conditions['took_s']} s, {path}", file=sys.stderr, flush=True)
        print(f"\n{report.question}\n\n{markdown(report)}\n", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
