"""What a clustered ovsdb-server says of itself and its peers.

Called by `ovsdb_server`, `upkeep` and the commands ``ovnmesh ic-db member``. Asks on the control
socket, without starting a program. Source of the format: ovs, ovsdb/raft.c (raft_unixctl_status).
"""

import re
from dataclasses import dataclass
from pathlib import Path

from ovnmesh.errors import IcDbError
from ovnmesh.icdb.database.files import IcDatabase
from ovnmesh.icdb.database.rpc import ask

_TIMEOUT_S = 5.0
# Of a server that was removed, and of one whose databases are all standalone.
_NO_CLUSTER = ("unknown cluster", "is not a valid command")
_FIELD = re.compile(r"^([A-Z][A-Za-z ]+): (.*)$", re.MULTILINE)
_SERVER = re.compile(r"^ {4}\S+ \((\S+) at (\S+)\)(.*)$", re.MULTILINE)
_LAST_MESSAGE = re.compile(r"last msg (\d+) ms ago")
_FULL_ID = re.compile(r"\(([0-9a-f-]{36})\)")
# A leader writes to every follower three times in an election timer, and gets an answer.
_SILENT_TIMERS = 2


class NoCluster(IcDbError):
    """The server is a member of no cluster."""


@dataclass(frozen=True, slots=True)
class RaftMember:
    """A server of a cluster.

    Attributes:
        server: first digits of its server id.
        address: its RAFT address, as ``tcp:10.0.0.1:6647``.
        role: ``leader`` or ``follower``.
        connected: whether the asked server is in touch with it.
        here: whether it is the asked server itself.
    """

    server: str
    address: str
    role: str
    connected: bool
    here: bool


@dataclass(frozen=True, slots=True)
class RaftStatus:
    """One database's cluster, as one of its servers sees it.

    Attributes:
        cluster: id of the cluster; empty while it is not known.
        server: id of the asked server.
        state: ``cluster member``, ``joining cluster``, ``left cluster``, ...
        role: ``leader``, ``follower`` or ``candidate``.
        leader: whether a leader is known.
        election_timer_ms: milliseconds until a silent leader is replaced.
        members: all servers, itself among them.
    """

    cluster: str
    server: str
    state: str
    role: str
    leader: bool
    election_timer_ms: int
    members: tuple[RaftMember, ...]

    @property
    def serves(self) -> bool:
        """Whether it belongs to a cluster that has a leader."""
        return self.state == "cluster member" and self.leader


def control_socket(run_dir: Path, db: IcDatabase) -> Path:
    """The control socket of a database's server."""
    return run_dir / f"{db.base}.ctl"


def call(path: Path, command: str, *args: str) -> str:
    """Run a command of a server, as ``ovs-appctl`` does (ovs-appctl(8), unixctl protocol).

    Args:
        path: its control socket.
        command: name of the command.
        args: its arguments.

    Raises:
        IcDbError: nobody answers there, or the server refuses.
    """
    return str(ask(path, command, args, _TIMEOUT_S) or "").strip()


def read_status(run_dir: Path, db: IcDatabase) -> RaftStatus:
    """Ask a database's server about its cluster.

    Raises:
        NoCluster: it serves alone, or was removed from its cluster.
        IcDbError: it does not answer.
    """
    path = control_socket(run_dir, db)
    try:
        return parse_status(call(path, "cluster/status", db.schema))
    except IcDbError as error:
        if not any(text in str(error) for text in _NO_CLUSTER):
            raise
        raise NoCluster(
            f"{path}: found no cluster of {db.schema}; expected a member. This node serves alone, "
            "or was removed"
        ) from error


def parse_status(text: str) -> RaftStatus:
    """Read the output of ``cluster/status``."""
    fields = {name: value.strip() for name, value in _FIELD.findall(text)}
    own = _full_id(fields.get("Server ID", ""))
    role = fields.get("Role", "")
    leader = own[:4] if fields.get("Leader") == "self" else fields.get("Leader", "unknown")
    timer_ms = int(fields.get("Election timer", "0"))
    # "->0a1b <-0a1b (->2c3d)": out, in, and one that is down; "0000" where the peer is not known.
    connections = set(re.findall(r"(?<!\()[<>-]{2}(\w+)", fields.get("Connections", "")))
    members = []
    for server, address, rest in _SERVER.findall(text):
        here = "(self)" in rest
        heard = _LAST_MESSAGE.search(rest)
        if role == "leader":
            connected = heard is not None and int(heard[1]) <= _SILENT_TIMERS * timer_ms
        else:
            connected = server in connections
        is_leader = server == leader or (here and role == "leader")
        members.append(
            RaftMember(
                server, address, "leader" if is_leader else "follower", here or connected, here
            )
        )
    return RaftStatus(
        cluster=_full_id(fields.get("Cluster ID", "")),
        server=own,
        state=fields.get("Status", ""),
        role=role,
        leader=leader != "unknown",
        election_timer_ms=timer_ms,
        members=tuple(members),
    )


def _full_id(text: str) -> str:
    found = _FULL_ID.search(text)
    return found[1] if found else ""
