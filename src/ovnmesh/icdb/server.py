"""Serves both interconnection databases in the foreground until told to stop.

Called by the command ``ovnmesh ic-db``, from the main thread. Order: refuse what is in use, prepare
the files, start both servers in private, ensure global rows and transit switches, open them to the
world, report readiness. If a server dies, everything ends; systemd or Kubernetes starts it again.
Must not delete a transit switch or serve in a cluster.
"""

import logging
import os
import queue
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from ovnmesh import ovn_keys as keys
from ovnmesh.errors import IcDbError
from ovnmesh.host.systemd import notify
from ovnmesh.icdb.child import Child
from ovnmesh.icdb.files import (
    DATABASES,
    IC_NB,
    IC_SB,
    Database,
    find_lock_holder,
    lock_file,
    prepare_files,
)
from ovnmesh.icdb.ports import (
    describe_endpoint,
    describe_process,
    describe_processes,
    find_listeners,
    is_port_busy,
)
from ovnmesh.icdb.settings import Settings
from ovnmesh.icdb.switches import plan_switches

log = logging.getLogger(__name__)

READY_FILE = "ic-db.ready"
"""In the run directory while both databases are served and filled."""

# The servers of a command that was killed a moment ago need this long to end.
_PATIENCE_S = 1.0
_POLL_S = 0.05
# systemd signals us and our children at once; who is seen to end first is chance.
_SIGNAL_GRACE_S = 0.5
_STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT.

    Args:
        settings: what to serve and where.

    Raises:
        IcDbError: the databases cannot be served as asked, or a server died.
    """
    # None: told to stop; otherwise the database whose server ended. Filled by signal handlers and
    # threads, which SimpleQueue allows.
    events: queue.SimpleQueue[Database | None] = queue.SimpleQueue()
    ready = settings.folders.run / READY_FILE
    with _stop_signals(lambda: events.put(None)):
        refuse_what_is_in_use(settings)
        prepare_files(settings.folders.data, datetime.now(UTC))
        children: list[Child] = []
        try:
            for db in DATABASES:
                children.append(Child(db, settings.folders, partial(events.put, db)))
            _fill(children, settings, cancelled=lambda: not events.empty())
            if events.empty():
                _report_ready(children, settings, ready)
            _wait(events, children)
        finally:
            notify("STOPPING=1")
            ready.unlink(missing_ok=True)
            for child in children:
                child.stop()
    log.info("stopped")


def refuse_what_is_in_use(settings: Settings) -> None:
    """Make sure that nobody else serves from the same folders or on the same ports.

    Raises:
        IcDbError: somebody does, and still does after some patience.
    """
    folders = settings.folders
    for folder in (folders.run, *([folders.log] if folders.log else [])):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise IcDbError(f"{folder}: found {error.strerror}; expected a directory") from error
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
                f"{pidfile}: found a running server, {describe_process(holder)}; expected none; "
                "stop it, or choose another --run-dir"
            )
        file = db.file(settings.folders.data)
        holder = find_lock_holder(lock_file(file))
        if holder is not None:
            return (
                f"{file}: found it locked by {describe_process(holder)}; expected nobody to use "
                "it; stop that process (ovn-ctl stop_ic_ovsdb), or choose another --data-dir"
            )
    for name, port in (("nb", settings.nb_port), ("sb", settings.sb_port)):
        if is_port_busy(settings.address, port):
            where = describe_endpoint(settings.address, port)
            return (
                f"port {port}: found {describe_processes(find_listeners(port))} listening; "
                f"expected {where} to be free; stop that process, or choose another --{name}-port"
            )
    return None


def _fill(children: Sequence[Child], settings: Settings, cancelled: Callable[[], bool]) -> None:
    """Wait for the servers and make sure of the rows every site relies on."""
    for child in children:
        child.wait_until_serving(cancelled)
    if not cancelled():
        _ensure_switches(children[DATABASES.index(IC_NB)], settings)


def _ensure_switches(ic_nb: Child, settings: Settings) -> None:
    select = {"op": "select", "table": "Transit_Switch", "where": []}
    rows = ic_nb.transact([{**select, "columns": ["name", "external_ids"]}])[0]["rows"]
    stored = {row["name"]: dict(row["external_ids"][1]).get(keys.TS_SUBNET) for row in rows}
    plan = plan_switches(settings.switches, stored)
    for warning in plan.warnings:
        log.warning("%s", warning)
    if plan.operations:
        ic_nb.transact(plan.operations)
        log.info("ensured transit switches %s", ", ".join(plan.changes))


def _report_ready(children: Sequence[Child], settings: Settings, ready: Path) -> None:
    ports = {IC_NB: settings.nb_port, IC_SB: settings.sb_port}
    served = []
    for child in children:
        child.open_to_world(settings.address, ports[child.db])
        where = describe_endpoint(settings.address, ports[child.db])
        served.append(f"{child.db.schema} on tcp {where} and {child.public_socket}")
    ready.write_text(f"{os.getpid()}\n")
    notify("READY=1")
    log.info("ready: %s", ", ".join(served))


def _wait(events: "queue.SimpleQueue[Database | None]", children: Sequence[Child]) -> None:
    ended = events.get()
    while ended is not None:
        try:
            follow_up = events.get(timeout=_SIGNAL_GRACE_S)
        except queue.Empty:
            end = children[DATABASES.index(ended)].describe_end()
            raise IcDbError(f"{end}; stopping, to be started again") from None
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
