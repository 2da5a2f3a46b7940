"""Watches who answers and who leads among the servers of a database.

Called by the controller. Monitors the table `Database` of the built-in database `_Server` at every
address, side by side: a member says that it leads the moment it does, so nobody has to search for
the leader with a back-off that grows. Must not read or write anything else there.
"""

import logging
import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ovs import jsonrpc, poller

from ovnmesh.model.changes import Db
from ovnmesh.model.remote import Remote

LOG = logging.getLogger(__name__)

#: Milliseconds between attempts to reach a member that does not answer; the least the ovs package
#: allows. Each attempt is given up after as long.
RETRY_MS = 1000
#: Milliseconds between probes of an idle connection: half-open ones are noticed within two.
PROBE_INTERVAL_MS = 10_000


@dataclass(frozen=True, slots=True)
class Member:
    """One server of a database, as it describes itself.

    Attributes:
        method: its OVSDB connection method.
        answers: whether it answers and, if it is part of a cluster, is in touch with a majority.
        leads_since: monotonic time at which it said that it leads, in seconds; None if it does not.
            A server that is no part of a cluster always leads (ovsdb-server(7), "Database").
    """

    method: str
    answers: bool = False
    leads_since: float | None = None


class Members:
    """The servers of some databases, watched by one thread until `close`.

    Args:
        remotes: the servers of each database, by their addresses.
        on_change: called from the thread when any member says something new, or falls silent.
    """

    def __init__(self, remotes: Mapping[Db, Remote], on_change: Callable[[], None]) -> None:
        self._watches = [
            _Watch(method, db)
            for db, remote in remotes.items()
            for method in remote.methods_in_clear()
        ]
        self._on_change = on_change
        self._stop = threading.Event()
        self._alarm = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def of(self, db: Db) -> tuple[Member, ...]:
        """What is known of a database's servers now."""
        return tuple(watch.member for watch in self._watches if watch.db is db)

    def close(self) -> None:
        """Disconnect from all."""
        self._stop.set()
        os.eventfd_write(self._alarm, 1)
        self._thread.join()
        os.close(self._alarm)

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                self._turn()
        finally:
            for watch in self._watches:
                watch.close()

    def _turn(self) -> None:
        waiting = poller.Poller()
        changed = False
        for watch in self._watches:
            try:
                changed |= watch.run()
            except Exception:
                # The thread's top: what one server sends must not end the watch over the others.
                LOG.exception("%s: unexpected answer of _Server", watch.member.method)
                watch.restart()
            watch.wait(waiting)
        if changed:
            self._on_change()
        waiting.fd_wait(self._alarm, poller.POLLIN)
        waiting.block()


class _Watch:
    """The monitor of one member."""

    def __init__(self, method: str, db: Db) -> None:
        self.db = db
        self.member = Member(method)
        self._session = jsonrpc.Session.open(method, PROBE_INTERVAL_MS)
        self._session.reconnect.set_backoff(RETRY_MS, RETRY_MS)
        self._seqno = self._session.get_seqno()
        self._request: Any = None

    def run(self) -> bool:
        """Do what can be done without waiting; says whether the member changed."""
        before = self.member
        self._session.run()
        if self._session.get_seqno() != self._seqno:
            self._seqno = self._session.get_seqno()
            self.member = Member(before.method)
            self._request = None
        if self._session.is_connected() and self._request is None:
            columns = {"columns": ["name", "connected", "leader"]}
            request = jsonrpc.Message.create_request(
                "monitor", ["_Server", "members", {"Database": columns}]
            )
            self._request = request.id
            self._session.send(request)
        while (message := self._session.recv()) is not None:
            if message.type == jsonrpc.Message.T_REPLY and message.id == self._request:
                self._take(message.result)
            elif message.type == jsonrpc.Message.T_NOTIFY and message.method == "update":
                self._take(message.params[1])
        return self.member != before

    def wait(self, waiting: Any) -> None:
        """Register what the next `run` waits for."""
        self._session.wait(waiting)
        self._session.recv_wait(waiting)

    def restart(self) -> None:
        """Drop the connection and make another."""
        self._session.force_reconnect()

    def close(self) -> None:
        """Disconnect."""
        self._session.close()

    def _take(self, tables: Mapping[str, Any]) -> None:
        """Take over a monitor's update (RFC 7047, section 4.1.6)."""
        for update in tables.get("Database", {}).values():
            row = update.get("new")
            if row is None or row["name"] != self.db.value:
                continue
            # The monotonic clock: compared with nothing but itself.
            since = (self.member.leads_since or time.monotonic()) if row["leader"] else None
            self.member = Member(self.member.method, bool(row["connected"]), since)
