"""When the learned routes of a site are looked through for those that ovn-ic has left behind.

Called by `site_databases`. Looked for, not followed: they grow with the mesh, and while ovn-ic adds
them without end nobody can keep up. Must not know which routes are surplus.
"""

from collections.abc import Callable

#: Seconds after a reason to look at which it is done. ovn-ic may add routes a last time, acting on
#: rows that it has not yet heard are gone.
AFTER_S = (0.0, 1.0, 10.0)


class Audit:
    """Looks that are due.

    Args:
        clock: seconds that only grow.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._due_s: list[float] = []
        self._left: int | None = None

    def begin(self) -> None:
        """There is a new reason to look, from the next pass on."""
        now = self._clock()
        self._due_s = [now + after_s for after_s in AFTER_S]

    def end(self) -> None:
        """There is no reason any more."""
        self._due_s = []

    @property
    def due(self) -> bool:
        """Whether it is time to look."""
        return self.again_s == 0

    @property
    def again_s(self) -> float | None:
        """Seconds until the next look, None if there is no reason for one."""
        return max(0.0, self._due_s[0] - self._clock()) if self._due_s else None

    def looked(self, found: int) -> None:
        """A look is over. It goes on at once while there are fewer each time, rarely if not.

        Args:
            found: how many surplus routes there were.
        """
        now = self._clock()
        before, self._left = self._left, found or None
        if found:
            fewer = before is None or found < before
            self._due_s = [now + after_s for after_s in (AFTER_S if fewer else AFTER_S[-1:])]
        else:
            self._due_s = [due_s for due_s in self._due_s if due_s > now]
