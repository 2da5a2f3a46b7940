"""What a run does, as a function of its seed: the same seed, the same steps.

Pure. Which node is hit is drawn when the step runs, from the step's own seed, because it depends on
who is gateway then.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from chaos_bounds import CHANGES, FAULTS

#: Faults of the data path: at most one at a time, or no gateway would be left.
DATA_PATH = {
    *("kill ovs-vswitchd", "cut gateway link", "cut node link", "cut gateway path"),
    "part the sites",
}
#: Faults of a cluster's nodes.
CLUSTER = {"kill ic-db member", "kill ic-db leader", "cut ic-db member"}


@dataclass(frozen=True, slots=True)
class Shape:
    """A lab: nodes of the interconnection databases, and transit switches."""

    ic_nodes: int
    ts_count: int


@dataclass(frozen=True, slots=True)
class Step:
    """Blows that follow each other, held, and undone.

    Attributes:
        number: position in the run, from 1.
        kinds: names of faults and changes, in the order they are done.
        seed: from which everything else about them is drawn.
        pause_s: between two blows.
        hold_s: from the last blow to the first healing.
    """

    number: int
    kinds: tuple[str, ...]
    seed: int
    pause_s: float
    hold_s: float


def plan_shape(seed: int) -> Shape:
    dice = random.Random(f"{seed} shape")
    return Shape(dice.choice([1, 3]), dice.choice([1, 2]))


def plan_steps(seed: int, count: int) -> list[Step]:
    """The first steps of a run; more of them begin with the same."""
    return list(islice(_steps(random.Random(seed), plan_shape(seed)), count))


def _steps(dice: random.Random, shape: Shape) -> Iterator[Step]:
    possible = [name for name in FAULTS if shape.ic_nodes > 1 or name not in CLUSTER]
    faults, changes = _deck(dice, possible), _deck(dice, list(CHANGES))
    number = 0
    while True:
        number += 1
        style = dice.choice(["fault", "fault", "both", "both", "change", "two faults"])
        kinds = [] if style == "change" else [next(faults)]
        if style == "two faults":
            second = next(faults)
            if not {kinds[0], second} <= DATA_PATH and kinds[0] != second:
                kinds.append(second)
        if style in ("change", "both"):
            kinds.append(next(changes))
        dice.shuffle(kinds)
        hold_s = dice.choice([0.3, 1.0, 2.0, 4.0])
        pause_s = dice.choice([0.0, 0.05, 0.3, 1.0])
        yield Step(number, tuple(kinds), dice.randrange(1 << 30), pause_s, hold_s)


def _deck(dice: random.Random, names: Sequence[str]) -> Iterator[str]:
    """Every name comes once before any comes again."""
    while True:
        yield from dice.sample(names, len(names))
