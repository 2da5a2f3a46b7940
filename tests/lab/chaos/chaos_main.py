"""The long run, for `make chaos`: one lab and one seed after the other.

`MINUTES` says for how long new runs are begun, `SEED` which one is the first; with `ROUNDS` and
`SEED` and without `MINUTES` there is one run: that is how a failure is replayed.
"""

import os
import random
import signal
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

from chaos_run import ChaosFailure, ChaosRun
from evidence import Window

ROUNDS = 12
MINUTES = 10.0


def main() -> int:
    """Run, print failures as they come and a summary; exit status 1 if a run failed."""
    # However it is ended, labs are taken down.
    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, lambda *_: sys.exit(130))
    seed = int(os.environ.get("SEED") or random.randrange(1 << 30))
    rounds = int(os.environ.get("ROUNDS") or ROUNDS)
    one = bool(os.environ.get("SEED")) and not os.environ.get("MINUTES")
    ends = time.monotonic() + 60 * float(os.environ.get("MINUTES") or MINUTES)
    worst_ms: dict[str, list[float]] = defaultdict(list)
    failed: list[int] = []
    repeated: list[int] = []
    runs = 0
    while runs == 0 or (not one and time.monotonic() < ends):
        run, found = run_one(seed + runs, rounds)
        if found:
            repeated.append(run.seed)
            print(f"once more, because of: {'; '.join(found)}", flush=True)
            run, found = run_one(run.seed, rounds)
        if found is not None:
            failed.append(run.seed)
        for kind, gaps_ms in run.worst_ms.items():
            worst_ms[kind] += gaps_ms
        runs += 1
    print(f"{runs} runs of {rounds} rounds, failed seeds: {failed or 'none'}")
    print(f"repeated: {repeated or 'none'}")
    for kind, gaps_ms in sorted(worst_ms.items()):
        print(f"  {kind}: {len(gaps_ms)} times alone, worst {max(gaps_ms):.0f} ms")
    return 1 if failed else 0


def run_one(seed: int, rounds: int) -> tuple[ChaosRun, list[str] | None]:
    """A run, and if it failed what speaks for the machine (see tests/evidence.py)."""
    with tempfile.TemporaryDirectory(prefix="ovnmesh-chaos-") as folder:
        window = Window(Path(folder), os.cpu_count() or 1)
        run = ChaosRun(seed, rounds, Path(folder) / "lab")
        try:
            run.run()
        except ChaosFailure as exc:
            print(exc, flush=True)
            return run, window.evidence()
    return run, None


if __name__ == "__main__":
    sys.exit(main())
