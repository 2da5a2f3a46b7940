"""Everything that can break, breaks, in an order drawn from a seed; see docs/chaos.md.

Short, with fixed seeds, or the one in `SEED`; `make chaos` runs for long.
"""

import os
from pathlib import Path

import pytest

from chaos_run import ChaosRun

pytestmark = [pytest.mark.root, pytest.mark.datapath]

#: Together they have a cluster of databases and one alone, one transit switch and two.
FIXED_SEEDS = ("9", "27")
ROUNDS = 4


@pytest.mark.parametrize("seed", [os.environ["SEED"]] if os.environ.get("SEED") else FIXED_SEEDS)
def test_random_faults_and_changes_end_in_the_rows_of_a_fresh_mesh(
    tmp_path: Path, seed: str
) -> None:
    ChaosRun(int(seed), int(os.environ.get("ROUNDS") or ROUNDS), tmp_path / "lab").run()
