"""One replicated database: connect, read a snapshot, apply a batch, hear of changes.

Called by the controller, the agent and the command line. Wraps ovsdbapp and the ovs IDL, and is
the one place where their exceptions become ours. Must not know what the rows mean.
"""

import logging
import queue
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from ovsdbapp import exceptions as ovsdbapp_exceptions
from ovsdbapp.backend.ovs_idl import Backend, connection, idlutils

from ovnmesh.errors import OvsdbRejected, OvsdbUnavailable
from ovnmesh.model.changes import Batch, Db
from ovnmesh.model.remote import Remote
from ovnmesh.model.rows import Snapshot, Table
from ovnmesh.ovsdb.applier import OneShot
from ovnmesh.ovsdb.encoding import decode_rows
from ovnmesh.ovsdb.host_names import resolve
from ovnmesh.ovsdb.question import ask, where_is
from ovnmesh.ovsdb.reader import read_snapshot
from ovnmesh.ovsdb.schema import Condition, Selection, View

LOG = logging.getLogger(__name__)

#: Seconds to wait for a connection, a transaction, or the connection's lock.
TIMEOUT_S = 5
#: Milliseconds between probes of an idle connection: half-open ones are noticed within two.
PROBE_INTERVAL_MS = 10_000
#: Milliseconds between attempts to connect again. The ovs package would wait up to 8 s, for which
#: there is no reason here: a site has a handful of connections. It allows no less.
RETRY_MS = 1000


class _Idl(connection.OvsdbIdl):  # type: ignore[misc]
    """An IDL that says when its content, its lock or its connection changed."""

    def __init__(
        self, remote: str, helper: Any, leader_only: bool, on_change: Callable[[], None]
    ) -> None:
        super().__init__(remote, helper, probe_interval=PROBE_INTERVAL_MS, leader_only=leader_only)
        self._session.reconnect.set_backoff(RETRY_MS, RETRY_MS)
        self._on_change = on_change
        #: Connected, and how many changes of conditions the server has acknowledged.
        self._last = (False, 0)

    def run(self) -> bool:
        before = self.change_seqno
        changed: bool = super().run()
        connected = self._session.is_connected()
        now = (connected, self.cond_seqno)
        if changed or self.change_seqno != before or now != self._last:
            self._last = now
            self._on_change()
        return changed

    def wait(self, waiting: Any) -> None:
        """Register what the next `run` waits for.

        The library's own registers "now" for as long as conditions are unsent. They cannot be sent
        without a connection, nor while an answer is outstanding: its thread would spin until then.
        """
        if self.cond_changed and self._session.is_connected() and self._request_id is None:
            waiting.immediate_wake()
        self._session.wait(waiting)
        self._session.recv_wait(waiting)

    @property
    def live(self) -> bool:
        """Whether the content is that of the server right now, as far as can be known."""
        return bool(self._session.is_connected() and self.state == self.IDL_S_MONITORING)

    @property
    def member(self) -> str:
        """Connection method of the server that is, or will next be, connected to."""
        name: str = self._session.get_name()
        return name

    def go_to(self, member: str) -> bool:
        """Connect to this member now, whatever is being waited for; the rows here stay.

        Returns:
            False if that is being done already.
        """
        session = self._session
        if self.member == member and (session.rpc is not None or session.stream is not None):
            return False
        session.next_remote = session.remotes.index(member)
        if session.rpc is None and session.stream is None:
            session.pick_remote()
            session.reconnect.backoff = 0
        else:
            session.reconnect.set_backoff_free_tries(2)  # the first is the disconnection
            session.force_reconnect()
        return True


class _Api(Backend):  # type: ignore[misc]
    """ovsdbapp's backend with a connection of its own.

    `Backend` keeps its connection in a class attribute: a second site would silently get the
    first one's.
    """

    def __init__(self, link: Any, schema: str) -> None:
        self._link = link
        self.schema = schema
        super().__init__(link, start=False, auto_index=False)

    @property
    def ovsdb_connection(self) -> Any:
        return self._link

    @ovsdb_connection.setter
    def ovsdb_connection(self, link: Any) -> None:
        self._link = link


def fetch_schema(remote: Remote, db: Db) -> dict[str, Any]:
    """Ask a server for a schema, with a time limit (ovsdbapp's own version has none).

    Args:
        remote: its servers; the first that answers is asked.
        db: the database.

    Raises:
        OvsdbUnavailable: nobody answers, or the server does not have this database.
    """
    tried: list[str] = []
    methods = remote.methods_in_clear()
    for method in methods:
        where = where_is(method)
        if where is None:
            tried.append(f"{method}: expected unix: or tcp:, and an address")
            continue
        try:
            # A member that is dead must not use up the time of the others.
            answer = ask(where, "get_schema", [db.value], TIMEOUT_S / len(methods))
        except OSError as error:
            tried.append(f"{method}: {error.strerror or error}")
            continue
        if not answer.get("error"):
            schema: dict[str, Any] = answer["result"]
            return schema
        tried.append(f"{method}: {answer['error']}")
    why = "; ".join(tried) or "no server is named"
    raise OvsdbUnavailable(f"{db.value} cannot be reached ({why})")


class Database:
    """A connection to one database, replicated in memory.

    Args:
        remote: where it is.
        view: what to replicate.
        on_change: called from the connection's thread after any change; must return at once.
        lock: name of the OVSDB lock to compete for (RFC 7047, section 4.1.8), or None.
    """

    def __init__(
        self,
        remote: Remote,
        view: View,
        on_change: Callable[[], None] = lambda: None,
        lock: str | None = None,
    ) -> None:
        self.remote = remote
        #: `remote` with addresses for names, as of the last attempt to connect.
        self.address = remote
        self.view = view
        self._on_change = on_change
        self._lock = lock
        self._link: Any = None
        self._api: Any = None

    @property
    def db(self) -> Db:
        """Which database this is."""
        return self.view.db

    def connect(self) -> None:
        """Connect and load the rows; a no-op when that has been done.

        Afterwards the connection mends itself, following a cluster's leader.

        Raises:
            OvsdbUnavailable: nobody answers, or the server does not have this database.
        """
        if self._link is not None:
            return
        self.address = resolve(self.remote)
        helper = idlutils.create_schema_helper(fetch_schema(self.address, self.db))
        for table, columns in self.view.columns.items():
            if table in helper.schema_json["tables"]:
                present = helper.schema_json["tables"][table]["columns"]
                helper.register_columns(table, [name for name in columns if name in present])
        # Southbound readers may follow any member; writers need the leader.
        idl = _Idl(str(self.address), helper, True, self._on_change)
        self._set_conditions(idl, self.view.conditions)
        if self._lock is not None:
            idl.set_lock(self._lock)
        link = connection.Connection(idl, TIMEOUT_S)
        try:
            link.start()
        except (ovsdbapp_exceptions.TimeoutException, OSError) as error:
            idl.close()
            raise OvsdbUnavailable(
                f"{self.db.value} at {self.remote}: no content within {TIMEOUT_S} s"
            ) from error
        self._link = link
        self._api = _Api(link, self.db.value)

    @property
    def connected(self) -> bool:
        """Whether the server answers right now."""
        return self._link is not None and self._link.idl.live

    def follow(self, leader: str) -> bool:
        """Go to the leader of a cluster at once, unless connected to it.

        Args:
            leader: one of the connection methods of `address`.

        Returns:
            Whether that is done; not while an attempt to connect to it is on its way, which may
            have begun before it led, and will then be in vain.
        """
        link = self._link
        if link is None or leader not in self.address.methods:
            return True
        if self.connected and link.idl.member == leader:
            return True
        with self._locked():
            if not link.idl.go_to(leader):
                return False
        LOG.info("%s: following the leader to %s", self.db.value, leader)
        _wake(link)
        return True

    @property
    def has_lock(self) -> bool:
        """Whether we hold the lock we compete for; True if there is none."""
        return self._lock is None or (self._link is not None and bool(self._link.idl.has_lock))

    def lock_is_free(self, timeout_s: float) -> bool:
        """Ask for the lock and say whether it was granted; `close` gives it back.

        Args:
            timeout_s: seconds to wait for the server's answer; none counts as "not free".
        """
        deadline = time.monotonic() + timeout_s
        idl = self._link.idl
        while not idl.has_lock and not idl.is_lock_contended and time.monotonic() < deadline:
            time.sleep(0.01)
        return bool(idl.has_lock)

    def set_conditions(self, conditions: Mapping[str, Condition]) -> bool:
        """Change which rows are replicated.

        Returns:
            Whether anything changed: the rows then arrive a moment later.
        """
        with self._locked():
            changed = self._set_conditions(self._link.idl, conditions)
        if changed:
            _wake(self._link)  # its thread sends them
        return changed

    @staticmethod
    def _set_conditions(idl: Any, conditions: Mapping[str, Condition]) -> bool:
        changed = False
        for table, condition in conditions.items():
            if table in idl.tables:
                wanted = [c if isinstance(c, bool) else _as_lists(c) for c in condition]
                if idl.tables[table].condition_state.latest != wanted:
                    idl.cond_change(table, wanted)
                    changed = True
        return changed

    def settled(self) -> bool:
        """Whether all conditions asked for are in force and their rows are here."""
        idl = self._link.idl
        return not any(
            table.condition_state.new or table.condition_state.requested
            for table in idl.tables.values()
        )

    def snapshot(self) -> Snapshot:
        """All replicated rows, from one moment.

        Raises:
            OvsdbUnavailable: not connected yet, or the connection is stuck.
        """
        with self._locked():
            return read_snapshot(self._link.idl.tables)

    def select(self, *selections: Selection) -> Snapshot:
        """Ask once for rows that are not replicated: many that change all the time, say.

        Args:
            selections: which rows; all are from one moment.

        Raises:
            OvsdbUnavailable: not connected, or no answer.
            OvsdbRejected: the server refused.
        """
        where = where_is(self._link.idl.member) if self._link is not None else None
        if where is None:
            raise OvsdbUnavailable(f"{self.db.value} at {self.remote}: not connected")
        operations = [
            (each.table, {"op": "select", "table": each.table, "where": [_as_lists(clause)],
                          "columns": ["_uuid", *each.columns]})
            for each in selections
            for clause in each.condition
        ]  # fmt: skip
        try:
            asked = [self.db.value, *(operation for _, operation in operations)]
            answer = ask(where, "transact", asked, TIMEOUT_S)
        except OSError as error:
            raise OvsdbUnavailable(
                f"{self.db.value} at {self.remote}: {error.strerror or error}"
            ) from error
        found: dict[str, Table] = {}
        for (table, _), result in zip(operations, answer["result"] or [answer], strict=False):
            if result.get("error"):
                why = result.get("details", result["error"])
                raise OvsdbRejected(f"{self.db.value}, {table}: {why}")
            found[table] = {**found.get(table, {}), **decode_rows(result["rows"])}
        return found

    def apply(self, batch: Batch) -> None:
        """Apply a batch in one transaction.

        Raises:
            StalePlan: rows changed since they were read; read and plan again.
            OvsdbRejected: the server refused.
            OvsdbUnavailable: no answer; the transaction may or may not have been applied.
        """
        if self._api is None or not self.connected:
            raise OvsdbUnavailable(f"{self.db.value} at {self.remote}: not connected")
        try:
            OneShot(self._api, batch.operations).commit()
        except OvsdbRejected as error:
            raise OvsdbRejected(f"{self.db.value}, {batch.why}: {error}") from error
        except ovsdbapp_exceptions.TimeoutException as error:
            raise OvsdbUnavailable(
                f"{self.db.value} at {self.remote}: no answer within {TIMEOUT_S} s"
            ) from error

    def close(self) -> None:
        """Disconnect. The database may be connected again afterwards."""
        link = self._link
        self._link = self._api = None
        if link is not None:
            # Not `link.stop`: it waits for a place in the queue, without end if a transaction that
            # was given up is there, because a thread told to stop takes no more of them.
            link.is_running = False
            _wake(link)
            link.thread.join(TIMEOUT_S)

    def _locked(self) -> "_Guard":
        if self._link is None:
            raise OvsdbUnavailable(f"{self.db.value} at {self.remote}: not connected")
        return _Guard(self._link.lock, f"{self.db.value} at {self.remote}")


def _wake(link: Any) -> None:
    """Have a connection's thread look again, by an empty transaction.

    The thread takes one byte from its pipe for each transaction that it takes from its queue. A
    byte alone, as of `alert_notify`, stays in the pipe, and the thread never waits again.
    """
    with suppress(queue.Full):  # then it wakes for what is in the queue
        link.txns.put(None, block=False)


class _Guard:
    """The connection's lock with a time limit: its thread holds it while a server is stuck."""

    def __init__(self, lock: threading.Lock, name: str) -> None:
        self._lock = lock
        self._name = name

    def __enter__(self) -> None:
        if not self._lock.acquire(timeout=TIMEOUT_S):
            raise OvsdbUnavailable(f"{self._name}: no progress for {TIMEOUT_S} s")

    def __exit__(self, *exc: object) -> None:
        self._lock.release()


def _as_lists(value: object) -> object:
    return [_as_lists(item) for item in value] if isinstance(value, tuple) else value
