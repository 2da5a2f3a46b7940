"""How long conditions have held, for plans that wait before they act.

Called by the reconciler around every plan: plans are pure and know no clock. Monotonic time, so
that setting the clock does not matter; a controller that starts anew waits again. Must not decide.
"""

import time
from collections.abc import Mapping


class Patience:
    """First sight of each condition that a plan has reported as pending."""

    def __init__(self) -> None:
        self._since: dict[str, float] = {}

    def ages(self) -> Mapping[str, float]:
        """Seconds for which each condition has held."""
        now = time.monotonic()
        return {name: now - since for name, since in self._since.items()}

    def note(self, pending: Mapping[str, float]) -> float | None:
        """Take what the plan reports now; what it no longer reports is forgotten.

        Args:
            pending: seconds for which a condition has to hold, by name.

        Returns:
            Seconds until one that is not due yet will be, or None.
        """
        now = time.monotonic()
        self._since = {name: self._since.get(name, now) for name in pending}
        left = [wait_s - (now - self._since[name]) for name, wait_s in pending.items()]
        return min((seconds for seconds in left if seconds > 0), default=None)
