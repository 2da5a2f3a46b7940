"""When does a pod first reach another one? ICMP echoes every few milliseconds, timed by the clock.

Called by the benchmarks that time a connection. ping(8) buffers what it writes to a pipe, so its
replies cannot be seen as they come. Must not decide what counts as connected.
"""

import os
import select
import socket
import struct
import threading
import time

from ovnmesh.lab.network import netns

_ECHO_REQUEST, _ECHO_REPLY = 8, 0
"""ICMP types (RFC 792)."""


class Probe:
    """Sends echoes from a namespace until the first reply.

    Args:
        where: namespace to send from.
        address: IPv4 address to reach.
        interval_s: seconds between two echoes.
    """

    def __init__(self, where: str, address: str, interval_s: float = 0.004) -> None:
        self._address = address
        self._interval_s = interval_s
        self._socket = netns.inside(where, lambda _: _open())
        self._stopping = threading.Event()
        self._answered = threading.Event()
        self._first = 0.0
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def first_reply(self, timeout_s: float) -> float:
        """Wait for the first reply; returns when it came, on the clock of `time.time`.

        Raises:
            TimeoutError: none came.
        """
        answered = self._answered.wait(timeout_s)
        self._stopping.set()
        self._thread.join()
        self._socket.close()
        if not answered:
            raise TimeoutError(f"{self._address}: no echo reply within {timeout_s:g} s")
        return self._first

    def _run(self) -> None:
        identifier, sequence = os.getpid() & 0xFFFF, 0
        due = time.monotonic()
        while not self._stopping.is_set():
            sequence = (sequence + 1) & 0xFFFF
            self._socket.sendto(_echo(identifier, sequence), (self._address, 0))
            due += self._interval_s
            while (left := due - time.monotonic()) > 0:
                if not select.select([self._socket], [], [], left)[0]:
                    break
                packet, (sender, _) = self._socket.recvfrom(2048)
                now = time.time()
                header = (packet[0] & 0xF) * 4
                kind = packet[header]
                (found,) = struct.unpack_from("!H", packet, header + 4)
                if (kind, found, sender) == (_ECHO_REPLY, identifier, self._address):
                    self._first = now
                    self._answered.set()
                    return


def _open() -> socket.socket:
    return socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)


def _echo(identifier: int, sequence: int) -> bytes:
    head = struct.pack("!BBHHH", _ECHO_REQUEST, 0, 0, identifier, sequence)
    total = sum(struct.unpack("!4H", head))
    total = (total & 0xFFFF) + (total >> 16)
    return struct.pack("!BBHHH", _ECHO_REQUEST, 0, ~total & 0xFFFF, identifier, sequence)
