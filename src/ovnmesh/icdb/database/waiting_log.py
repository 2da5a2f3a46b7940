"""Logs what a process waits for: when it changes, and again every 30 s.

Called by whatever waits. Must not decide anything.
"""

import logging
import time

LOG = logging.getLogger(__name__)

_REPEAT_S = 30.0


class WaitingLog:
    """Remembers what was logged last, and when."""

    def __init__(self) -> None:
        self._text = ""
        self._at_s = 0.0

    def write(self, text: str) -> None:
        """Log a text at INFO, unless it was the last one, logged less than 30 s ago."""
        now_s = time.monotonic()
        if text != self._text or now_s > self._at_s + _REPEAT_S:
            LOG.info("%s", text)
            self._text, self._at_s = text, now_s
