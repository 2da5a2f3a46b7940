"""Measures round-trip time and loss between tunnel ends with ICMP echo, from a thread of its own.

Called by `agent.paths`. Liveness is BFD's business (ADR 0017): nothing here decides that a path is
dead. Must not touch a database.
"""

import logging
import select
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ovnmesh.agent.echo import Echo
from ovnmesh.agent.window import Quality, Window

LOG = logging.getLogger(__name__)

#: Seconds between two probes of one path.
INTERVAL_S = 1.0


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
        self._links: dict[tuple[str, int], Echo] = {}
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
            link.send(target.remote, number)
        except OSError as error:
            # No right, no such address, no route: told once, tried again every second.
            if str(error) != self._error:
                self._error = str(error)
                LOG.warning(
                    "cannot probe from %s to %s: %s. Round-trip time and loss stay unknown; BFD "
                    "tells all the same whether the path lives. Expected: a route, and CAP_NET_RAW "
                    "or a group of this process in net.ipv4.ping_group_range",
                    target.local or "any address",
                    target.remote,
                    error,
                )

    def _open(self, target: Target) -> Echo:
        key = (target.local, target.version)
        if key not in self._links:
            self._links[key] = Echo(*key)
        return self._links[key]

    def _close(self, but: Iterable[tuple[str, int]]) -> None:
        for key in self._links.keys() - set(but):
            self._links.pop(key).close()

    def _collect(self, windows: Mapping[Target, Window], due_s: float) -> None:
        """Take answers until the next probes are due."""
        poll = select.poll()
        links = {link.fileno(): (local, link) for (local, _), link in self._links.items()}
        for number in links:
            poll.register(number, select.POLLIN)
        while (left_s := due_s - time.monotonic()) > 0 and not self._stopping:
            for number, _ in poll.poll(left_s * 1000):
                now_s = time.monotonic()
                local, link = links[number]
                answer = link.receive()
                window = windows.get(Target(local, answer[0])) if answer is not None else None
                if answer is not None and window is not None:
                    window.answer(answer[1], now_s)
