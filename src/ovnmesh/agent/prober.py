"""Measures round-trip time and loss between tunnel ends with ICMP echo, from a thread of its own.

Called by `agent.paths`. Liveness is BFD's business (ADR 0017): nothing here decides that a path is
dead. Must not touch a database.
"""

import logging
import os
import select
import socket
import struct
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from icmplib import ICMPRequest, ICMPv4Socket, ICMPv6Socket
from icmplib.exceptions import ICMPLibError

from ovnmesh.agent.window import Quality, Window

LOG = logging.getLogger(__name__)

#: Seconds between two probes of one path.
INTERVAL_S = 1.0
#: What a raw socket lets through: echo replies only, or every ping to this host would wake us.
#: raw(7), ICMP_FILTER (linux/icmp.h), a bit for each type that is kept out;
#: RFC 3542, section 3.2, ICMP6_FILTER, on Linux likewise (linux/icmpv6.h).
_ECHO_REPLY = {4: 0, 6: 129}
_FILTER = {4: (255, 1), 6: (socket.IPPROTO_ICMPV6, 1)}


@dataclass(frozen=True, slots=True)
class Target:
    """The two ends of a tunnel; `local` "" leaves the source to the kernel."""

    local: str
    remote: str

    @property
    def version(self) -> int:
        """4 or 6."""
        return 6 if ":" in self.remote else 4


class Prober:
    """Probes its targets once a second; with none it sleeps."""

    def __init__(self) -> None:
        self._windows: Mapping[Target, Window] = {}
        self._changed = threading.Event()
        self._stopping = False
        self._thread: threading.Thread | None = None
        self._sockets: dict[tuple[str, int], ICMPv4Socket | ICMPv6Socket] = {}
        self._id = os.getpid() % 2**16
        self._error = ""

    def follow(self, targets: Iterable[Target]) -> None:
        """Probe these and no others; what is known of those that stay is kept."""
        wanted = set(targets)
        if wanted == self._windows.keys():
            return
        # Replaced, never changed: the thread reads it without a lock.
        self._windows = {target: self._windows.get(target) or Window() for target in wanted}
        self._changed.set()
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="prober", daemon=True)
            self._thread.start()

    def quality(self, target: Target) -> Quality | None:
        """What is known of a target; None if nothing yet, or if it cannot be probed."""
        window = self._windows.get(target)
        return window.quality(time.monotonic()) if window is not None else None

    def stop(self) -> None:
        """End the thread."""
        self._stopping = True
        self._changed.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while not self._stopping:
            self._changed.clear()
            windows = self._windows
            if not windows:
                self._close(())
                self._changed.wait()
                continue
            self._close((target.local, target.version) for target in windows)
            due_s = time.monotonic() + INTERVAL_S
            # All at once: one wake-up for many answers costs a third of one for each.
            for target, window in windows.items():
                self._send(target, window)
            self._collect(windows, due_s)
        self._close(())

    def _send(self, target: Target, window: Window) -> None:
        try:
            link = self._open(target)
            number = window.send(time.monotonic())
            link.send(ICMPRequest(target.remote, self._id, number, payload_size=8))
        except (ICMPLibError, OSError) as exc:
            # No capability, no such address, no route: told once, tried again every second.
            if str(exc) != self._error:
                self._error = str(exc)
                LOG.warning(
                    "probe from %s to %s: %s; round-trip time and loss stay unknown, and paths "
                    "are judged by BFD all the same. Expected CAP_NET_RAW and a route",
                    target.local or "any address",
                    target.remote,
                    exc,
                )

    def _open(self, target: Target) -> ICMPv4Socket | ICMPv6Socket:
        key = (target.local, target.version)
        if key not in self._sockets:
            kind = ICMPv6Socket if target.version == 6 else ICMPv4Socket
            link = kind(target.local or None, privileged=True)
            link.sock.setsockopt(*_FILTER[target.version], _only(target.version))
            self._sockets[key] = link
        return self._sockets[key]

    def _close(self, but: Iterable[tuple[str, int]]) -> None:
        for key in self._sockets.keys() - set(but):
            self._sockets.pop(key).close()

    def _collect(self, windows: Mapping[Target, Window], due_s: float) -> None:
        """Take answers until the next probes are due."""
        poll = select.poll()
        links = {link.sock.fileno(): key for key, link in self._sockets.items()}
        for number in links:
            poll.register(number, select.POLLIN)
        while (left_s := due_s - time.monotonic()) > 0 and not self._stopping:
            for number, _ in poll.poll(left_s * 1000):
                now_s = time.monotonic()
                local, version = links[number]
                try:
                    reply = self._sockets[local, version].receive(timeout=0.01)
                except ICMPLibError:
                    continue
                window = windows.get(Target(local, reply.source))
                wanted = (self._id, _ECHO_REPLY[version])
                if window is not None and (reply.id, reply.type) == wanted:
                    window.answer(reply.sequence, now_s)


def _only(version: int) -> bytes:
    """A filter that lets echo replies pass and nothing else."""
    kept_out = 2**256 - 1 - 2 ** _ECHO_REPLY[version]
    size = 8 if version == 6 else 1
    return struct.pack(f"={size}I", *(kept_out >> 32 * word & 0xFFFFFFFF for word in range(size)))
