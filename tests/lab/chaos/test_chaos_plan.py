"""A seed is a run: the same steps every time, each kind known, bounded and documented."""

import re
from collections import Counter
from math import isinf
from pathlib import Path

from chaos_bounds import CHANGES, FAULTS, RECOVERY_MS, UNTIL_HEALED, Bound, allowed_ms
from chaos_changes import CHANGES as CHANGE_MAKERS
from chaos_faults import FAULTS as FAULT_MAKERS
from chaos_plan import CLUSTER, DATA_PATH, plan_shape, plan_steps

PAGE = Path(__file__).parents[3] / "docs" / "chaos.md"


def test_the_same_seed_is_the_same_run_and_more_rounds_begin_alike() -> None:
    assert plan_steps(7, 40) == plan_steps(7, 40)
    assert plan_steps(7, 40)[:5] == plan_steps(7, 5)
    assert plan_steps(7, 5) != plan_steps(8, 5)


def test_every_kind_comes_in_the_long_run_and_none_before_its_turn() -> None:
    seen: Counter[str] = Counter()
    for seed in range(20):
        shape = plan_shape(seed)
        for step in plan_steps(seed, 60):
            seen.update(step.kinds)
            assert shape.ic_nodes > 1 or not CLUSTER.intersection(step.kinds)
            assert sum(kind in DATA_PATH for kind in step.kinds) <= 1
            assert len(set(step.kinds)) == len(step.kinds) <= 2
    assert set(seen) == {*FAULTS, *CHANGES}
    assert set(FAULTS) == set(FAULT_MAKERS)
    assert set(CHANGES) == set(CHANGE_MAKERS)


def test_fixed_seeds_have_both_shapes() -> None:
    from test_chaos import FIXED_SEEDS

    shapes = [plan_shape(int(seed)) for seed in FIXED_SEEDS]
    assert {shape.ic_nodes for shape in shapes} == {1, 3}
    assert {shape.ts_count for shape in shapes} == {1, 2}


def test_what_is_allowed() -> None:
    still = Bound(0, "t")
    move = Bound(500, "t", moves=True)
    deaf = Bound(0, "t", halts_ms=UNTIL_HEALED)
    election = Bound(0, "t", halts_ms=3000)
    assert allowed_ms([still, deaf], 2000, 300) == 0
    assert allowed_ms([move], 2000, 300) == 800
    assert allowed_ms([move, election], 2000, 0) == 3500
    assert allowed_ms([move, deaf], 2000, 0) == 2500 + RECOVERY_MS
    assert allowed_ms([Bound(0, "t", lasts=True)], 2000, 0) == 2000 + RECOVERY_MS


def test_bounds_are_documented() -> None:
    rows = re.findall(r"^\| `?([^|`]+)`? \| ([^|]+) \| ([^|]+) \|", PAGE.read_text(), re.M)
    documented = {kind.strip(): (bound.strip(), why.strip()) for kind, bound, why in rows}
    for kind, bound in {**FAULTS, **CHANGES}.items():
        assert documented.get(kind) == (in_words(bound), bound.why), kind


def in_words(bound: Bound) -> str:
    words = "until healed" if bound.lasts else f"{bound.ms:.0f} ms"
    words += ", moves" if bound.moves else ""
    if bound.halts_ms:
        held = "until healed" if isinf(bound.halts_ms) else f"{bound.halts_ms:.0f} ms"
        words += f"; news waits {held}" if isinf(bound.halts_ms) else f"; news waits up to {held}"
    return words
