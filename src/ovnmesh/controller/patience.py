"""How long conditions have held, for plans that wait before they act.

Called by the reconciler around every plan: plans are pure and know no clock. Monotonic time, so
that setting the clock does not matter; a controller that starts anew waits again. Must not decide.
"""

from collections.abc import Callable

from ovnmesh.model.pending import Ages, Condition, Waits

#: Seconds between two plans at least.
LEAST_S = 0.01


class Patience:
    """First sight of each condition that a plan has reported as pending.

    Args:
        clock: seconds that only grow.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._since: dict[Condition, float] = {}

    def ages(self) -> Ages:
        """Seconds for which each condition has held."""
        now = self._clock()
        return {each: now - since for each, since in self._since.items()}

    def note(self, pending: Waits) -> float | None:
        """Take what the plan reports now; what it no longer reports is forgotten.

        Args:
            pending: seconds for which a condition has to hold, by condition.

        Returns:
            Seconds until the first is due, or None if there is none.
        """
        now = self._clock()
        self._since = {each: self._since.get(each, now) for each in pending}
        left = [wait_s - (now - self._since[each]) for each, wait_s in pending.items()]
        # One that has become due since the plan was made is for the next plan, at once.
        return max(LEAST_S, min(left)) if left else None
