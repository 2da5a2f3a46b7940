"""How long to wait before the next attempt at something that fails.

One rule for everything that tries again: connections, passes, processes, requests. Pure: knows no
clock and waits for nothing.
"""

from dataclasses import dataclass


@dataclass(slots=True)
class Backoff:
    """A wait that doubles with each failure.

    Attributes:
        first_s: seconds to wait after the first failure.
        last_s: seconds never exceeded.
    """

    first_s: float
    last_s: float
    _failures: int = 0

    @property
    def begun(self) -> bool:
        """Whether there was a failure since the last success."""
        return self._failures > 0

    def failed(self) -> float:
        """Take note of a failure.

        Returns:
            Seconds to wait before the next attempt.
        """
        wait_s = min(self.first_s * 2.0 ** min(self._failures, _MOST_DOUBLINGS), self.last_s)
        self._failures += 1
        return wait_s

    def succeeded(self) -> None:
        """Take note of a success: the next failure is a first one again."""
        self._failures = 0


#: Keeps the power finite, however long something fails; 2**64 seconds are more than any limit.
_MOST_DOUBLINGS = 64
