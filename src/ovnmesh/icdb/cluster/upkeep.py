"""What a member of a cluster does for its cluster while it runs.

Called by `server`, in a thread. Once a second, for each database: is there a leader? The member
that leads does the rest: a node of the settings that says it has no database is invited, after the
server that it was before has been removed; a schema older than the one installed is upgraded while
everybody is connected. Must not remove a server that may still have its data.
"""

import logging
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from ovnmesh.errors import IcDbError
from ovnmesh.icdb.cluster.bootstrap import raft_port
from ovnmesh.icdb.cluster.discovery import (
    Invitation,
    WaitingNode,
    ask_waiting_node,
    send_invitation,
)
from ovnmesh.icdb.database.files import (
    IC_NB,
    IC_SB,
    IcDatabase,
    backup_database,
    run_tool,
    version_key,
)
from ovnmesh.icdb.database.listeners import parse_raft_address
from ovnmesh.icdb.database.ovsdb_server import OvsdbServer
from ovnmesh.icdb.database.raft_status import (
    NoCluster,
    RaftStatus,
    call,
    control_socket,
    read_status,
)
from ovnmesh.icdb.database.server_row import read_server
from ovnmesh.icdb.settings import Cluster, Settings
from ovnmesh.model.addresses import Address
from ovnmesh.model.remote import tcp_method

LOG = logging.getLogger(__name__)

_PERIOD_S = 1.0


class Upkeep:
    """Keeps the cluster whole.

    Args:
        settings: what is served and where.
        cluster: the cluster of the settings.
        servers: the servers that run; more come while files are waited for.
        on_removed: told why a server cannot go on, once.
    """

    def __init__(
        self,
        settings: Settings,
        cluster: Cluster,
        servers: Mapping[IcDatabase, OvsdbServer],
        on_removed: Callable[[str], None],
    ) -> None:
        self._settings = settings
        self._cluster = cluster
        self._servers = servers
        self._on_removed = on_removed
        self._on_change: Callable[[bool], None] | None = None
        self._well = True
        self._warned: set[str] = set()
        # Databases whose schema was looked at since this member leads.
        self._current: set[IcDatabase] = set()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="upkeep of the cluster", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def watch(self, on_change: Callable[[bool], None]) -> None:
        """From now on, tell whether all databases have a leader, when that changes."""
        self._well = True
        self._on_change = on_change

    def stop(self) -> None:
        """Begin no other round; one that is under way takes a few seconds at most."""
        self._stop.set()

    def _run(self) -> None:
        while not self._stop.wait(_PERIOD_S):
            well = True
            for server in list(self._servers.values()):
                try:
                    well &= self._look_after(server)
                except IcDbError as error:
                    well = False
                    if self._stop.is_set():
                        return
                    self._warn_once(f"{server.db.schema}: {error}")
            if self._on_change and well != self._well and not self._stop.is_set():
                self._well = well
                self._on_change(well)

    def _look_after(self, server: OvsdbServer) -> bool:
        """Do what is to be done for one database; says whether it has a leader."""
        try:
            status = read_status(self._settings.folders.run, server.db)
        except NoCluster:
            status = None
        if status is None or status.state == "left cluster":
            file = server.db.file(self._settings.folders.data)
            self._on_removed(
                f"{server.db.schema}: this server was removed from its cluster (member remove); "
                f"to let this node join anew, move {file} away"
            )
            self._stop.set()
            return False
        if status.state.startswith("disconnected"):
            self._explain(server, status)
        if status.role != "leader":
            self._current.discard(server.db)
        else:
            port = raft_port(self._cluster, server.db)
            for node in self._cluster.nodes:
                if node != self._settings.address:
                    self._welcome(server, status, node, port)
            everybody = all(member.connected for member in status.members)
            if server.db not in self._current and everybody:
                # Once, well or not: each attempt leaves a copy.
                self._current.add(server.db)
                self._upgrade(server)
        return status.serves

    def _explain(self, server: OvsdbServer, status: RaftStatus) -> None:
        """Say what it means that this server finds no leader, and another node has one."""
        ports = {IC_NB: self._settings.nb_port, IC_SB: self._settings.sb_port}
        for node in self._cluster.nodes:
            if node == self._settings.address:
                continue
            try:
                other = read_server((str(node), ports[server.db]), server.db)
            except IcDbError:
                continue
            if other["cid"] == status.cluster and other["connected"]:
                file = server.db.file(self._settings.folders.data)
                blocked = tcp_method(node, raft_port(self._cluster, server.db))
                self._warn_once(
                    f"{server.db.schema}: found no leader here, and one on {node}. Either the RAFT "
                    f"port {blocked} is blocked; or this "
                    "server was removed from the cluster (member remove) while it was away: then "
                    f"stop ic-db, and move {file} away to join anew"
                )
                return

    def _welcome(self, server: OvsdbServer, status: RaftStatus, node: Address, port: int) -> None:
        """Invite a node that waits, having removed the server that it was."""
        address = tcp_method(node, port)
        before = [
            member
            for member in status.members
            if parse_raft_address(member.address) == (node, port)
        ]
        if any(member.connected for member in before):
            return
        waiting = ask_waiting_node(node, port)
        if not isinstance(waiting, WaitingNode) or waiting.schema != server.db.schema:
            return
        # It listens itself where its server would, so that server does not run, and its data is
        # no more. A leader has a majority without it; fewer servers need a smaller one.
        for member in before:
            run_dir = self._settings.folders.run
            call(
                control_socket(run_dir, server.db), "cluster/kick", server.db.schema, member.server
            )
            LOG.warning(
                "%s: removed server %s at %s, whose node says that its database is %s",
                server.db.schema,
                member.server,
                address,
                waiting.lack,
            )
        if before:
            return  # the next round finds it gone
        alive = tuple(member.address for member in status.members if member.connected)
        if send_invitation(node, port, server.db.schema, Invitation(status.cluster, alive)):
            LOG.info("%s: invited %s to join", server.db.schema, address)

    def _upgrade(self, server: OvsdbServer) -> None:
        """Upgrade the schema if the one installed here is newer."""
        options = ("-vconsole:off", "--no-leader-only", "--timeout=60")
        where = (server.private, server.db.schema)
        stored = run_tool("ovsdb-client", *options, "get-schema-version", *where)
        installed = run_tool("ovsdb-tool", "schema-version", str(server.db.schema_file))
        if version_key(stored) >= version_key(installed):
            return
        file = server.db.file(self._settings.folders.data)
        copy = file.with_name(f"{file.name}.backup{stored}-{datetime.now(UTC):%Y%m%dT%H%M%S}")
        backup_database(server.private, server.db, copy)
        run_tool("ovsdb-client", *options, "convert", server.private, str(server.db.schema_file))
        LOG.info(
            "upgraded %s from schema version %s; as it was: %s", server.db.schema, stored, copy
        )

    def _warn_once(self, text: str) -> None:
        if text not in self._warned:
            self._warned.add(text)
            LOG.warning("%s", text)
