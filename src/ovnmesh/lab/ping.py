"""A train of pings that measures interruptions of traffic.

Called by ``lab ping``, benchmarks and tests. Runs ping(8) of iputils; decides nothing.
"""

import re
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass

from ovnmesh.errors import LabError
from ovnmesh.host.process import in_netns

_REPLY = re.compile(r"icmp_seq=(\d+) ttl=")
_SENT = re.compile(r"(\d+) packets transmitted")
_SEQUENCE_NUMBERS = 65536
"""ICMP sequence numbers have 16 bits (RFC 792), and begin again."""
_DRAIN_S = 0.3
"""How long replies are awaited after `stop`; what is sent meanwhile is not counted."""


@dataclass(frozen=True, slots=True)
class PingResult:
    """What became of a train.

    Attributes:
        sent: requests counted.
        received: requests answered.
        longest_gap_ms: longest run of requests without an answer, times the interval.
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
        # Not a pipe: ping would stand still once nobody empties it.
        self._output = tempfile.TemporaryFile()  # noqa: SIM115 - open until stop()
        self._child = subprocess.Popen(
            in_netns(["ping", "-n", "-i", f"{interval_ms / 1000:g}", address], netns),
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=subprocess.STDOUT,
        )

    def stop(self) -> PingResult:
        """End the train and count.

        Raises:
            LabError: ping did not run; its words are in the message.
        """
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
        drained = round(_DRAIN_S * 1000 / self._interval_ms)
        sent = max(1, _parse_sent(output) - drained)
        return count_replies(_parse_replies(output), sent, self._interval_ms)


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
    argv = ["ping", "-n", "-i", f"{interval_ms / 1000:g}", "-c", str(count), "-W", "1", address]
    # ping's exit status only says whether anything was lost.
    done = subprocess.run(
        in_netns(argv, netns),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    sent = _parse_sent(done.stdout)
    return count_replies(_parse_replies(done.stdout), sent, interval_ms)


def _parse_sent(text: str) -> int:
    summary = _SENT.search(text)
    if summary is None:
        raise LabError(f"ping said: {text.strip()[-500:]}")
    return int(summary[1])


def _parse_replies(text: str) -> list[int]:
    return [int(number) for number in _REPLY.findall(text)]


def count_replies(sequence: Iterable[int], sent: int, interval_ms: float) -> PingResult:
    """Count a train's replies. Pure.

    Args:
        sequence: sequence numbers answered, in order of arrival; numbers begin with 1.
        sent: requests to count; later ones are left out.
        interval_ms: time between two requests, in milliseconds.
    """
    answered: set[int] = set()
    last = 0
    for number in sequence:
        # The turn that brings it nearest to its predecessor: a late reply may be of the one before.
        last = number + _SEQUENCE_NUMBERS * round((last - number) / _SEQUENCE_NUMBERS)
        if 1 <= last <= sent:
            answered.add(last)
    longest, previous = 0, 0
    for number in (*sorted(answered), sent + 1):
        longest = max(longest, number - previous - 1)
        previous = number
    return PingResult(sent, len(answered), longest * interval_ms)
