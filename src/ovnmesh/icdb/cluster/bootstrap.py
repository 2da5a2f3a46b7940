"""How a node of a cluster gets its two database files: kept, founded or joined.

Called by `server` before the servers start. A database that is missing, damaged or standalone makes
the node wait: it joins when the leader of a cluster invites it, and founds a cluster only if it is
the node named to do so and every other node says that it is empty and waits for this one. So no
second cluster can come into being, whatever is down, cut off or lost (docs/adr/0014). Must not
throw away a file without a copy beside it.
"""

import logging
import os
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from ovnmesh.errors import IcDbError
from ovnmesh.icdb.cluster.discovery import (
    Invitation,
    Lack,
    WaitingNode,
    WaitingServer,
    ask_waiting_node,
)
from ovnmesh.icdb.database.files import (
    DATABASES,
    IC_NB,
    IcDatabase,
    copy_file,
    drop_torn_end,
    prepare_files,
    run_tool,
)
from ovnmesh.icdb.database.listeners import parse_raft_address
from ovnmesh.icdb.database.waiting_log import WaitingLog
from ovnmesh.icdb.settings import Cluster, Settings
from ovnmesh.model.addresses import Address
from ovnmesh.model.remote import tcp_method

LOG = logging.getLogger(__name__)

_POLL_S = 0.1
_FOUNDING = "founding"
# The note in the log of a server that was removed (ovs, raft_finished_leaving_cluster).
_LEFT = "left the cluster"


@dataclass(frozen=True, slots=True)
class _Why:
    """Why a database cannot be served yet: for programs, and in words."""

    kind: Lack
    why: str


_Missing = Mapping[IcDatabase, _Why]
_Others = Mapping[Address, Mapping[IcDatabase, WaitingNode | str]]


def raft_port(cluster: Cluster, db: IcDatabase) -> int:
    """The RAFT port of a database."""
    return cluster.nb_raft_port if db is IC_NB else cluster.sb_raft_port


def settle_files(
    settings: Settings,
    cluster: Cluster,
    start: Callable[[IcDatabase], None],
    cancelled: Callable[[], bool],
) -> None:
    """Wait until this node has a clustered file of both databases.

    Args:
        settings: what to serve and where.
        cluster: the cluster of the settings.
        start: called with each database as soon as its file can be served.
        cancelled: looked at all the time; ends the waiting.

    Raises:
        IcDbError: a file can be neither used nor replaced.
    """
    missing = _find_missing(settings, cluster)
    for db in DATABASES:
        if db not in missing:
            start(db)
    waiting_servers: dict[IcDatabase, WaitingServer] = {}
    waiting_log, other_nodes = WaitingLog(), _OtherNodes(settings, cluster)
    try:
        for db, lack in missing.items():
            LOG.info("%s: %s", db.file(settings.folders.data), lack.why)
            waiting = WaitingNode(db.schema, lack.kind, str(cluster.leader))
            waiting_servers[db] = WaitingServer(settings.address, raft_port(cluster, db), waiting)
        while missing and not cancelled():
            for db, waiting_server in list(waiting_servers.items()):
                if waiting_server.invitation is not None:
                    waiting_servers.pop(db).close()
                    _join(settings, cluster, (db, missing.pop(db)), waiting_server.invitation)
                    start(db)
            others = other_nodes.answers() if missing else None
            if others is not None and _may_found(settings, cluster, missing, others):
                while waiting_servers:
                    waiting_servers.popitem()[1].close()
                _found(settings, cluster, missing)
                for db in missing:
                    start(db)
                return
            if others is not None:
                waiting_log.write(_describe_wait(settings, cluster, missing, others))
            time.sleep(_POLL_S)
    finally:
        for waiting_server in waiting_servers.values():
            waiting_server.close()


# --- what there is -------------------------------------------------------------------------------


def _find_missing(settings: Settings, cluster: Cluster) -> dict[IcDatabase, _Why]:
    data = settings.folders.data
    try:
        data.mkdir(parents=True, exist_ok=True)
        _finish_founding(data)
        found = {db: _inspect(settings, cluster, db) for db in DATABASES}
        missing = {db: why for db, why in found.items() if why is not None}
        _check_standalone(settings, cluster, missing)
    except OSError as error:
        raise IcDbError(
            f"data directory {data}: {error}; expected to read and write there"
        ) from error
    return missing


def _check_standalone(settings: Settings, cluster: Cluster, missing: _Missing) -> None:
    data = settings.folders.data
    standalone = [db for db, why in missing.items() if why.kind is Lack.STANDALONE]
    if not standalone:
        return
    file = standalone[0].file(data)
    if settings.address != cluster.leader:
        raise IcDbError(
            f"{file}: found a standalone database; expected none, or a member of the cluster, on "
            f"a node that joins, because its rows would be lost. {cluster.leader} founds the "
            "cluster (LEADER_IP, --leader). To join, move the files away"
        )
    if len(standalone) < len(DATABASES):
        raise IcDbError(
            f"{file}: found a standalone database, and the other one is not; expected two of the "
            "same kind. Restore the other from a backup, or move this one away"
        )
    prepare_files(data, datetime.now(UTC))


def _finish_founding(data: Path) -> None:
    """Finish what an interrupted start began: both databases of a cluster, or none."""
    founded = {db: _scratch(db.file(data), _FOUNDING) for db in DATABASES}
    left = [db for db, new in founded.items() if new.exists()]
    if 0 < len(left) < len(DATABASES):
        for db in left:
            os.replace(founded[db], db.file(data))
    for new in founded.values():
        new.unlink(missing_ok=True)


def _inspect(settings: Settings, cluster: Cluster, db: IcDatabase) -> _Why | None:
    """Why a database's file cannot be served in the cluster; None if it can."""
    file = db.file(settings.folders.data)
    if not file.exists():
        return _Why(Lack.EMPTY, "there is none yet")
    if not file.read_bytes().startswith(b"OVSDB CLUSTER "):
        if file.read_bytes().startswith(b"OVSDB JSON "):
            return _Why(Lack.STANDALONE, "found a standalone database, to become a cluster")
        return _Why(Lack.DAMAGED, "found damage at byte 0")
    problem = drop_torn_end(file, datetime.now(UTC))
    if problem:
        return _Why(Lack.DAMAGED, f"found {problem}")
    try:
        _check_log(file)
        name = run_tool("ovsdb-tool", "db-name", str(file))
        log_of_file = run_tool("ovsdb-tool", "show-log", str(file))
    except IcDbError as error:
        return _Why(Lack.DAMAGED, f"found damage ({error})")
    if name != db.schema:
        raise IcDbError(
            f"{file}: found database {name}; expected {db.schema}. Are the files swapped?"
        )
    if _LEFT in log_of_file:
        raise IcDbError(
            f"{file}: found a server that was removed from its cluster (member remove); expected "
            "a member. To let this node join anew, move the file away"
        )
    found = run_tool("ovsdb-tool", "db-local-address", str(file))
    expected = local_address(settings, cluster, db)
    if parse_raft_address(found) != parse_raft_address(expected):
        raise IcDbError(
            f"{file}: found the RAFT address {found}; expected {expected}, because a server keeps "
            "its address. Undo the change; or move the file away to join anew, and then remove the "
            "old server: ovnmesh ic-db member remove"
        )
    return None


def _check_log(file: Path) -> None:
    try:
        run_tool("ovsdb-tool", "check-cluster", str(file))
    except IcDbError as error:
        # A server that has founded or joined, and was not started yet.
        if "all logs are empty" not in str(error):
            raise


def local_address(settings: Settings, cluster: Cluster, db: IcDatabase) -> str:
    """This node's RAFT address of a database."""
    return tcp_method(settings.address, raft_port(cluster, db))


# --- founding ------------------------------------------------------------------------------------


class _OtherNodes:
    """Looks at the other nodes, again and again, while an invitation may come."""

    def __init__(self, settings: Settings, cluster: Cluster) -> None:
        nodes = [node for node in cluster.nodes if node != settings.address]
        self._places = [(node, raft_port(cluster, db), db) for node in nodes for db in DATABASES]
        self._pool = ThreadPoolExecutor(len(self._places))
        self._questions: list[Future[WaitingNode | str]] = []

    def answers(self) -> _Others | None:
        """What was seen, once everybody has answered or not; None in between."""
        seen: dict[Address, dict[IcDatabase, WaitingNode | str]] | None = None
        if self._questions and all(each.done() for each in self._questions):
            seen = {node: {} for node, _, _ in self._places}
            for (node, _, db), each in zip(self._places, self._questions, strict=True):
                seen[node][db] = each.result()
            self._questions = []
        if not self._questions:
            self._questions = [
                self._pool.submit(ask_waiting_node, node, port) for node, port, _ in self._places
            ]
        return seen


def _may_found(settings: Settings, cluster: Cluster, missing: _Missing, others: _Others) -> bool:
    if settings.address != cluster.leader or len(missing) < len(DATABASES):
        return False
    if any(why.kind is Lack.DAMAGED for why in missing.values()):
        return False
    return all(
        answer == WaitingNode(db.schema, Lack.EMPTY, str(cluster.leader))
        for answers in others.values()
        for db, answer in answers.items()
    )


def _found(settings: Settings, cluster: Cluster, missing: _Missing) -> None:
    """Make both files, then put them in place: a crash leaves both or what finishes them."""
    timer = f"--election-timer={cluster.election_timer_ms}"
    for db, why in missing.items():
        file = db.file(settings.folders.data)
        content = file if why.kind is Lack.STANDALONE else db.schema_file
        new = _scratch(file, _FOUNDING)
        address = local_address(settings, cluster, db)
        run_tool("ovsdb-tool", timer, "create-cluster", str(new), str(content), address)
        if why.kind is Lack.STANDALONE:
            copy = copy_file(file, why.kind, datetime.now(UTC))
            LOG.info("%s: becomes a cluster; a copy of the file as it was: %s", file, copy)
    for db in missing:
        file = db.file(settings.folders.data)
        os.replace(_scratch(file, _FOUNDING), file)
        LOG.info("%s: founded a cluster, because every other node waits to join it", file)


def _join(
    settings: Settings, cluster: Cluster, missing: tuple[IcDatabase, _Why], invited: Invitation
) -> None:
    db, why = missing
    file = db.file(settings.folders.data)
    new = _scratch(file, "joining")
    new.unlink(missing_ok=True)  # of a start that was interrupted
    own = local_address(settings, cluster, db)
    this = parse_raft_address(own)
    remotes = [remote for remote in invited.remotes if parse_raft_address(remote) != this]
    cid = f"--cid={invited.cluster}"
    run_tool("ovsdb-tool", cid, "join-cluster", str(new), db.schema, own, *remotes)
    if file.exists():
        copy = copy_file(file, why.kind, datetime.now(UTC))
        LOG.warning("%s: is replaced; a copy of the file as it was: %s", file, copy)
    os.replace(new, file)
    LOG.info("%s: joins cluster %s of %s", file, invited.cluster, ", ".join(remotes))


def _scratch(file: Path, what: str) -> Path:
    return file.with_name(f"{file.name}.{what}")


# --- words ---------------------------------------------------------------------------------------


def _describe_wait(settings: Settings, cluster: Cluster, missing: _Missing, others: _Others) -> str:
    names = " and ".join(db.schema for db in missing)
    seen = "; ".join(
        f"{node} {_describe_node(answers, cluster)}" for node, answers in others.items()
    )
    if settings.address != cluster.leader:
        return (
            f"waiting to join the cluster of {names}, until its leader invites this node, or "
            f"{cluster.leader} founds it. The other nodes: {seen}"
        )
    if any(why.kind is Lack.DAMAGED for why in missing.values()):
        return (
            f"waiting to be invited by the leader of the cluster of {names}: a damaged file never "
            f"begins a new one. The other nodes: {seen}"
        )
    return (
        f"waiting, with no cluster founded for {names}, until every other node is empty and waits "
        "for this one (a first start), or the leader of their cluster invites this node. The "
        f"other nodes: {seen}"
    )


def _describe_node(answers: Mapping[IcDatabase, WaitingNode | str], cluster: Cluster) -> str:
    said = []
    for answer in answers.values():
        if isinstance(answer, str):
            said.append(answer)
        elif answer.leader != str(cluster.leader):
            said.append(f"waits for {answer.leader} to found (LEADER_IP differs there)")
        else:
            said.append(f"waits ({answer.lack})")
    return said[0] if len(set(said)) == 1 else " / ".join(said)
