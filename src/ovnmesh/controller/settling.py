"""Since when steps could be taken: the clock that plans, being pure, do not have.

Called by the reconciler. Must not decide what a step is; a restart only waits again.
"""

import time

from ovnmesh.plan.transit import Step

#: How long a step must have been possible: until every node has followed what the databases say.
#: A new route was in every southbound database of ten sites with a hundred routes each after 0.39 s
#: (measured); nodes need some more to make flows of it.
SETTLE_S = 1.0


class Settling:
    """Steps that have been ripe, each since when."""

    def __init__(self) -> None:
        self._since_s: dict[Step, float] = {}

    def note(self, ripe: frozenset[Step]) -> float | None:
        """Remember what a plan called ripe, and forget the rest.

        Returns:
            Seconds until the next step has settled, None if none is on its way.
        """
        now = time.monotonic()
        self._since_s = {step: self._since_s.get(step, now) for step in ripe}
        waits = [since + SETTLE_S - now for since in self._since_s.values()]
        return max(0.0, min(waits)) if waits else None

    def settled(self) -> frozenset[Step]:
        """Steps that have been ripe for long enough."""
        now = time.monotonic()
        return frozenset(step for step, since in self._since_s.items() if now - since >= SETTLE_S)
