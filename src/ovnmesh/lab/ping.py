"""A train of pings that measures interruptions of traffic.

Called by ``lab ping``, benchmarks and tests. Runs ping(8) of iputils; decides nothing.
"""

import math
import re
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

from ovnmesh.errors import LabError
from ovnmesh.host.process import in_netns

_REPLY = re.compile(r"^\[(\d+\.\d+)\] .*icmp_seq=(\d+) ttl=", re.MULTILINE)
_SENT = re.compile(r"(\d+) packets transmitted")
_SEQUENCE_NUMBERS = 65536
"""ICMP sequence numbers have 16 bits (RFC 792), and begin again."""
_DRAIN_S = 0.3
"""How long replies are awaited after `stop`; what is sent meanwhile is not counted."""
_LINGER_MS = 100
"""How long the last reply counted is awaited at least: a busy machine's delays, and no more."""


@dataclass(frozen=True, slots=True)
class PingResult:
    """What became of a train.

    Attributes:
        sent: requests counted.
        received: requests answered.
        longest_gap_ms: longest time without an answer in which a request was lost, less the
            interval, so that it is 0 without loss. It is measured by the clock, because ping sends
            more slowly than asked while nothing comes back.
    """

    sent: int
    received: int
    longest_gap_ms: float

    @property
    def lost(self) -> int:
        """Requests without an answer."""
        return self.sent - self.received


class PingTrain:
    """Pings in the background from a namespace until stopped."""

    def __init__(self, netns: str, address: str, interval_ms: float = 10) -> None:
        """Start pinging.

        Args:
            netns: namespace to ping from.
            address: IPv4 or IPv6 address to ping.
            interval_ms: time between two requests, in milliseconds; below 2 needs root.
        """
        self._interval_ms = interval_ms
        self._began_s = time.time()
        # Not a pipe: ping would stand still once nobody empties it.
        self._output = tempfile.TemporaryFile()  # noqa: SIM115 - open until stop()
        self._child = subprocess.Popen(
            in_netns(["ping", "-D", "-n", "-i", f"{interval_ms / 1000:g}", address], netns),
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=subprocess.STDOUT,
        )

    def stop(self) -> PingResult:
        """End the train and count.

        Raises:
            LabError: ping did not run; its words are in the message.
        """
        ended_s = time.time()
        time.sleep(_DRAIN_S)
        self._child.send_signal(signal.SIGINT)
        try:
            self._child.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()
        with self._output:
            self._output.seek(0)
            output = self._output.read().decode(errors="replace")
        # At most this many were sent since: ping may be slower than asked, never faster.
        drained = round(_DRAIN_S * 1000 / self._interval_ms)
        sent = max(1, _parse_sent(output) - drained)
        span_s = (self._began_s, ended_s)
        return count_replies(_parse_replies(output), sent, self._interval_ms, span_s)


def ping_count(netns: str, address: str, count: int, interval_ms: float) -> PingResult:
    """Ping a number of times, await every reply, and count.

    Args:
        netns: namespace to ping from.
        address: IPv4 or IPv6 address to ping.
        count: requests to send.
        interval_ms: time between two requests, in milliseconds; below 2 needs root.

    Raises:
        LabError: ping did not run; its words are in the message.
    """
    # ping gives the last reply two round trips or one interval, whichever is longer, and one that
    # is later counts as lost (iputils, schedule_exit): requests not counted keep it listening.
    extra = math.ceil(_LINGER_MS / interval_ms) if interval_ms < _LINGER_MS else 0
    argv = ["ping", "-D", "-n", "-i", f"{interval_ms / 1000:g}", "-c", str(count + extra)]
    argv += ["-W", "1"]
    began_s = time.time()
    # ping's exit status only says whether anything was lost.
    done = subprocess.run(
        in_netns([*argv, address], netns),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    sent = min(count, _parse_sent(done.stdout))
    ended_s = began_s + sent * interval_ms / 1000
    return count_replies(_parse_replies(done.stdout), sent, interval_ms, (began_s, ended_s))


def _parse_sent(text: str) -> int:
    summary = _SENT.search(text)
    if summary is None:
        raise LabError(f"ping said: {text.strip()[-500:]}")
    return int(summary[1])


def _parse_replies(text: str) -> list[tuple[float, int]]:
    return [(float(arrival_s), int(number)) for arrival_s, number in _REPLY.findall(text)]


def count_replies(
    replies: Iterable[tuple[float, int]],
    sent: int,
    interval_ms: float,
    span_s: tuple[float, float],
) -> PingResult:
    """Count a train's replies. Pure.

    Args:
        replies: UNIX time of arrival in seconds and sequence number of each reply, in order of
            arrival; numbers begin with 1.
        sent: requests to count; later ones are left out.
        interval_ms: time between two requests, in milliseconds.
        span_s: UNIX time in seconds when the first request was sent, and when the one after the
            last would have been.
    """
    arrivals_s: dict[int, float] = {}
    last = 0
    for arrival_s, number in replies:
        # The turn that brings it nearest to its predecessor: a late reply may be of the one before.
        last = number + _SEQUENCE_NUMBERS * round((last - number) / _SEQUENCE_NUMBERS)
        if 1 <= last <= sent:
            arrivals_s.setdefault(last, arrival_s)
    began_s, ended_s = span_s
    answered = [(0, began_s - interval_ms / 1000), *sorted(arrivals_s.items()), (sent + 1, ended_s)]
    gaps_ms = (
        (until_s - since_s) * 1000 - interval_ms
        for (before, since_s), (after, until_s) in pairwise(answered)
        if after - before > 1
    )
    return PingResult(sent, len(arrivals_s), round(max(0.0, max(gaps_ms, default=0.0)), 1))
