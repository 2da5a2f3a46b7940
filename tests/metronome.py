"""Tells whether the machine withheld its processors: then a failure proves nothing.

Called by tests/conftest.py around every test. The hosts of virtual machines give processors to
others now and then, for tenths of a second; BFD takes a gateway for dead after 0.3 s.
"""

import threading
import time

_BEAT_S = 0.01
#: A third of what BFD waits for by default (config.gateways).
WITHHELD_S = 0.1


class Metronome:
    """Beats a hundred times a second while a block runs, and keeps the longest delay of a beat."""

    def __init__(self) -> None:
        self.longest_s = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)

    @property
    def missed(self) -> bool:
        """Whether a beat came so late that BFD packets may have been late, too."""
        return self.longest_s > WITHHELD_S

    def _beat(self) -> None:
        last = time.monotonic()
        while not self._stop.wait(_BEAT_S):
            now = time.monotonic()
            self.longest_s = max(self.longest_s, now - last - _BEAT_S)
            last = now

    def __enter__(self) -> "Metronome":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
