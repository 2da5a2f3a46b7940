"""One thing to do to a lab, and to undo."""

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from chaos_bounds import Bound
from chaos_lab import ChaosLab
from ovnmesh.errors import LabError


def nothing() -> None:
    """Undo nothing."""


@dataclass(frozen=True, slots=True)
class Action:
    """A fault or change, chosen for the state the lab is in.

    Attributes:
        what: for the record, with names of nodes.
        bound: what it may cost.
        do: does it; what it returns, if anything, is for the record too.
        undo: heals or reverts it.
        dead: ``SITE/NODE`` whose own pods lose traffic: they are not watched.
        near: nodes that are disturbed, and so say nothing about the machine's own noise.
        gateways: gateways the site is left with, where it is fewer than before.
        last: it is undone when everything else is healed.
    """

    what: str
    bound: Bound
    do: Callable[[], object]
    undo: Callable[[], object] = nothing
    dead: frozenset[str] = field(default=frozenset())
    near: frozenset[str] = field(default=frozenset())
    gateways: int = 2
    last: bool = False


Maker = Callable[[ChaosLab, Random, Bound], Action]


def tolerant(call: Callable[[], object]) -> Callable[[], str]:
    """A blow at what does not run (the change before has ended it) is no blow."""

    def strike() -> str:
        try:
            call()
        except LabError as exc:
            return str(exc)
        return ""

    return strike
