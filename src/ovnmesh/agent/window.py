"""What the last probes of one path say.

Called by `agent.prober`. Pure: time is an argument. Must not send anything.
"""

from collections import deque
from dataclasses import dataclass
from statistics import median

#: Probes that are looked back on. At one a second a change shows within half a minute.
WINDOW = 30
#: Probes before anything is said.
ENOUGH = 10
#: Seconds after which a probe without an answer is lost; an answer still counts when it comes.
PATIENCE_S = 1.0


@dataclass(frozen=True, slots=True)
class Quality:
    """Quality of a path.

    Attributes:
        rtt_ms: median round-trip time in milliseconds; None if nothing was answered.
        loss: share of probes that were not answered, 0 to 1.
        answered: whether the other end has ever answered.
    """

    rtt_ms: float | None
    loss: float
    answered: bool


class Window:
    """The last probes of one path."""

    def __init__(self) -> None:
        self._sent: deque[tuple[int, float]] = deque(maxlen=WINDOW)
        self._rtt_s: dict[int, float] = {}
        self._answered = False
        self._next = 0

    def send(self, now_s: float) -> int:
        """Note a probe that is sent now; gives its sequence number (16 bits, RFC 792)."""
        number = self._next
        self._next = (number + 1) % 2**16
        if len(self._sent) == WINDOW:
            self._rtt_s.pop(self._sent[0][0], None)
        self._sent.append((number, now_s))
        return number

    def answer(self, number: int, now_s: float) -> None:
        """Note an answer that came now; one to no probe of the window is ignored."""
        sent_s = next((at for known, at in self._sent if known == number), None)
        if sent_s is not None:
            self._rtt_s.setdefault(number, now_s - sent_s)
            self._answered = True

    def quality(self, now_s: float) -> Quality | None:
        """What the probes say; None while there are too few."""
        settled = [
            number
            for number, sent_s in self._sent
            if number in self._rtt_s or now_s - sent_s > PATIENCE_S
        ]
        if len(settled) < ENOUGH:
            return None
        rtts = [self._rtt_s[number] for number in settled if number in self._rtt_s]
        return Quality(
            round(median(rtts) * 1000, 2) if rtts else None,
            round(1 - len(rtts) / len(settled), 2),
            self._answered,
        )
