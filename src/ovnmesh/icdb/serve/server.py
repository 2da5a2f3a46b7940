"""Serves both interconnection databases in the foreground until told to stop.

Called by the command ``ovnmesh ic-db``, from the main thread. Order: refuse what is in use, prepare
the files (`files` alone, `bootstrap` in a cluster), start both servers in private, wait for a
leader, ensure global rows and transit switches, open them to the world, report readiness. If a
server dies, everything ends; systemd or Kubernetes starts it again. Must not delete a transit
switch.
"""

import logging
import os
import queue
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from ovnmesh import ovn_keys as keys
from ovnmesh.errors import IcDbError
from ovnmesh.host.connections import listeners
from ovnmesh.host.systemd import notify
from ovnmesh.icdb.cluster.bootstrap import settle_files
from ovnmesh.icdb.cluster.upkeep import Upkeep
from ovnmesh.icdb.database.files import (
    DATABASES,
    IC_NB,
    IC_SB,
    IcDatabase,
    find_lock_holder,
    lock_file,
    prepare_files,
)
from ovnmesh.icdb.database.listeners import (
    describe_process,
    describe_processes,
    is_port_busy,
)
from ovnmesh.icdb.database.ovsdb_server import OvsdbServer
from ovnmesh.icdb.database.raft_status import read_status
from ovnmesh.icdb.serve.switches import StoredSwitch, plan_switches
from ovnmesh.icdb.settings import Settings
from ovnmesh.model.remote import endpoint
from ovnmesh.ovsdb.encoding import encode_operations

LOG = logging.getLogger(__name__)

_Events = queue.SimpleQueue[IcDatabase | str | None]

READY_FILE = "ic-db.ready"
"""In the run directory while both databases are served and filled."""

# The servers of a command that was killed a moment ago need this long to end.
_PATIENCE_S = 1.0
_POLL_S = 0.05
# systemd signals us and our servers at once; who is seen to end first is chance.
_SIGNAL_GRACE_S = 0.5
_STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT.

    Args:
        settings: what to serve and where.

    Raises:
        IcDbError: the databases cannot be served as asked, or a server died.
    """
    # None: told to stop; otherwise the database whose server ended, or in words what else ended.
    # Filled by signal handlers and threads, which SimpleQueue allows.
    events: _Events = queue.SimpleQueue()
    ready = settings.folders.run / READY_FILE
    with _stop_signals(lambda: events.put(None)):
        refuse_what_is_in_use(settings)
        servers: dict[IcDatabase, OvsdbServer] = {}
        upkeep = None
        try:

            def start(db: IcDatabase) -> None:
                servers[db] = OvsdbServer(db, settings.folders, partial(events.put, db))

            def cancelled() -> bool:
                return not events.empty()

            if settings.cluster is None:
                prepare_files(settings.folders.data, datetime.now(UTC))
                for db in DATABASES:
                    start(db)
            else:
                upkeep = Upkeep(settings, settings.cluster, servers, events.put)
                upkeep.start()
                settle_files(settings, settings.cluster, start, cancelled)
            _fill(servers, settings, cancelled)
            if not cancelled():
                _open(servers, settings)
                _report_ready(ready)
                if upkeep is not None:
                    upkeep.watch(partial(_follow, ready))
            _wait(events, servers)
        finally:
            notify("STOPPING=1")
            if upkeep is not None:
                upkeep.stop()
            ready.unlink(missing_ok=True)
            for server in servers.values():
                server.stop()
    LOG.info("stopped")


def refuse_what_is_in_use(settings: Settings) -> None:
    """Make sure that nobody else serves from the same folders or on the same ports.

    Raises:
        IcDbError: somebody does, and still does after `_PATIENCE_S`.
    """
    folders = settings.folders
    for folder in (folders.run, *([folders.log] if folders.log else [])):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise IcDbError(f"{folder}: cannot be made: {error.strerror}") from error
    deadline = time.monotonic() + _PATIENCE_S
    while (problem := _find_conflict(settings)) is not None:
        if time.monotonic() > deadline:
            raise IcDbError(problem)
        time.sleep(_POLL_S)
    (folders.run / READY_FILE).unlink(missing_ok=True)


def _find_conflict(settings: Settings) -> str | None:
    for db in DATABASES:
        pidfile = settings.folders.run / f"{db.base}.pid"
        holder = find_lock_holder(pidfile)
        if holder is not None:
            return (
                f"{pidfile}: found a running server, {describe_process(holder)}; expected none. "
                "Stop it, or choose another --run-dir"
            )
        file = db.file(settings.folders.data)
        holder = find_lock_holder(lock_file(file))
        if holder is not None:
            return (
                f"{file}: found it locked by {describe_process(holder)}; expected nobody to use "
                "it. Stop that process (ovn-ctl stop_ic_ovsdb), or choose another --data-dir"
            )
    ports = {"nb": settings.nb_port, "sb": settings.sb_port}
    if (cluster := settings.cluster) is not None:
        ports |= {"nb-raft": cluster.nb_raft_port, "sb-raft": cluster.sb_raft_port}
    for name, port in ports.items():
        if is_port_busy(settings.address, port):
            where = endpoint(settings.address, port)
            return (
                f"port {port}: found {describe_processes(listeners(port))} listening; "
                f"expected {where} to be free. Stop that process, or choose another --{name}-port"
            )
    return None


def _fill(
    servers: Mapping[IcDatabase, OvsdbServer], settings: Settings, cancelled: Callable[[], bool]
) -> None:
    """Wait for the servers and make sure of the rows every site relies on."""
    for db, server in servers.items():
        if settings.cluster is None:
            server.wait_until_serving(cancelled)
        else:
            server.wait_until_serving(cancelled, partial(_describe_lack, settings, db))
    while not cancelled() and not _ensure_switches(servers[IC_NB], settings):
        time.sleep(_POLL_S)


def _describe_lack(settings: Settings, db: IcDatabase) -> str:
    """What a cluster lacks, in words; empty if nothing."""
    status = read_status(settings.folders.run, db)
    if status.serves:
        return ""
    if status.state == "joining cluster":
        return "joining the cluster; waiting for its leader"
    alive = sum(member.connected for member in status.members)
    return (
        f"waiting for a leader: {alive} of {len(status.members)} servers are here, a majority is "
        "needed"
    )


def _ensure_switches(ic_nb: OvsdbServer, settings: Settings) -> bool:
    """Make sure of the transit switches; says whether nobody else came between."""
    columns = ["_uuid", "name", "external_ids"]
    select = {"op": "select", "table": "Transit_Switch", "where": [], "columns": columns}
    rows = ic_nb.transact([select])[0]["rows"]
    stored = {
        row["name"]: StoredSwitch(row["_uuid"][1], dict(row["external_ids"][1]).get(keys.TS_SUBNET))
        for row in rows
    }
    plan = plan_switches(settings.switches, stored)
    if plan.operations:
        # Other members do the same at the same moment, perhaps with other settings.
        unchanged = {**select, "op": "wait", "until": "==", "rows": rows, "timeout": 0}
        try:
            ic_nb.transact([unchanged, *encode_operations(plan.operations)])
        except IcDbError as error:
            if settings.cluster is None:
                raise
            LOG.debug("transit switches: %s", error)
            return False
        LOG.info("ensured transit switches %s", ", ".join(plan.changes))
    for warning in plan.warnings:
        LOG.warning("%s", warning)
    return True


def _open(servers: Mapping[IcDatabase, OvsdbServer], settings: Settings) -> None:
    ports = {IC_NB: settings.nb_port, IC_SB: settings.sb_port}
    served = []
    for db, server in servers.items():
        server.open_to_world(settings.address, ports[db])
        where = endpoint(settings.address, ports[db])
        served.append(f"{db.schema} on tcp {where} and {server.public_socket}")
    LOG.info("ready: %s", ", ".join(served))


def _report_ready(ready: Path) -> None:
    ready.write_text(f"{os.getpid()}\n")
    notify("READY=1")


def _follow(ready: Path, has_leader: bool) -> None:
    """Keep the readiness file true while the cluster loses and finds its leaders."""
    if has_leader:
        LOG.info("both databases have a leader again")
        ready.write_text(f"{os.getpid()}\n")
    else:
        LOG.warning("a database has no leader: nothing can be written; traffic is not affected")
        ready.unlink(missing_ok=True)


def _wait(events: _Events, servers: Mapping[IcDatabase, OvsdbServer]) -> None:
    ended = events.get()
    while ended is not None:
        try:
            follow_up = events.get(timeout=_SIGNAL_GRACE_S)
        except queue.Empty:
            end = ended if isinstance(ended, str) else servers[ended].describe_end()
            raise IcDbError(f"{end}; ic-db ends, so that it is started again") from None
        ended = None if follow_up is None else ended


@contextmanager
def _stop_signals(stop: Callable[[], None]) -> Iterator[None]:
    """Have `stop` called on SIGTERM and SIGINT instead of being ended or interrupted."""
    before = {number: signal.signal(number, lambda *_: stop()) for number in _STOP_SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
