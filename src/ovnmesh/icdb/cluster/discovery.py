"""How a node without a usable database and the others find each other, on the RAFT ports.

Called by `bootstrap` (the node that waits) and `upkeep` (the leader that invites). As long as a
node has no database file, nobody listens on its RAFT port; so it answers there itself. To whoever
connects it says one line of JSON-RPC, why it waits and for whom; the leader of a cluster answers
with an invitation. A RAFT server says nothing to whoever connects, so that the two cannot be taken
for each other. Must not decide who founds or joins.
"""

import json
import socket
import socketserver
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from ovnmesh.errors import IcDbError
from ovnmesh.model.addresses import Address
from ovnmesh.model.remote import endpoint

# Long enough for a busy node of another city; a leader asks several nodes, one after the other.
_TIMEOUT_S = 1.0
_MOST_BYTES = 65536
_WAITING = "ovnmesh_waiting"
_INVITATION = "ovnmesh_invitation"


class Lack(StrEnum):
    """Why a node has no database to serve."""

    EMPTY = "empty"
    DAMAGED = "damaged"
    STANDALONE = "standalone"


@dataclass(frozen=True, slots=True)
class WaitingNode:
    """What a waiting node says.

    Attributes:
        schema: name of the database's schema.
        lack: why it waits.
        leader: the node that it expects to found the cluster.
    """

    schema: str
    lack: str
    leader: str


@dataclass(frozen=True, slots=True)
class Invitation:
    """What the leader of a cluster answers.

    Attributes:
        cluster: id of the cluster to join.
        remotes: RAFT addresses of its members, as ``tcp:10.0.0.1:6647``.
    """

    cluster: str
    remotes: tuple[str, ...]


class WaitingServer:
    """Answers on a RAFT port, until closed or invited.

    Args:
        address: address of this node.
        port: the RAFT port of the database.
        waiting: what to say.

    Raises:
        IcDbError: the port cannot be had.
    """

    def __init__(self, address: Address, port: int, waiting: WaitingNode) -> None:
        self.waiting = waiting
        self.invitation: Invitation | None = None
        try:
            self._server = _TcpServer(self, (str(address), port))
        except OSError as error:
            where = endpoint(address, port)
            raise IcDbError(f"{where}: {error.strerror}; expected a free port") from error
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), name=f"{waiting.schema} waits"
        )
        self._thread.start()

    def close(self) -> None:
        """Free the port."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def answer(self, connection: socket.socket) -> None:
        """Say what there is to say, and hear whether it is answered with an invitation."""
        node = self.waiting
        try:
            connection.settimeout(_TIMEOUT_S)
            _send(connection, _WAITING, [node.schema, node.lack, node.leader])
            schema, cluster, *remotes = _receive(connection, _INVITATION)
        except (OSError, ValueError):
            return  # somebody who only looked, or a RAFT server in search of its peer
        if schema == node.schema and remotes:
            self.invitation = Invitation(cluster, tuple(remotes))


class _TcpServer(socketserver.ThreadingTCPServer):
    # Several look at once, and a RAFT server that connects by mistake stays a while.
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False

    def __init__(self, waiting_server: WaitingServer, where: tuple[str, int]) -> None:
        self.address_family = socket.AF_INET6 if ":" in where[0] else socket.AF_INET
        self._waiting_server = waiting_server
        super().__init__(where, socketserver.BaseRequestHandler)

    def finish_request(self, request: Any, client_address: Any) -> None:
        self._waiting_server.answer(request)


def ask_waiting_node(address: Address, port: int) -> WaitingNode | str:
    """Ask who is on a node's RAFT port.

    Returns:
        What a waiting node says; otherwise, in words, why there is no such node.
    """
    try:
        with _connect(address, port) as connection:
            return _receive_waiting(connection)
    except TimeoutError:
        return _SILENT
    except (OSError, ValueError) as error:
        return _describe(error)


def send_invitation(address: Address, port: int, schema: str, invitation: Invitation) -> bool:
    """Invite the node that waits on a RAFT port.

    Returns:
        Whether it was there to be told.
    """
    try:
        with _connect(address, port) as connection:
            if _receive_waiting(connection).schema != schema:
                return False
            _send(connection, _INVITATION, [schema, invitation.cluster, *invitation.remotes])
    except (OSError, ValueError):
        return False
    return True


_SILENT = "does not answer, or serves a database already"


def _describe(error: OSError | ValueError) -> str:
    if isinstance(error, ConnectionError):
        return "not started (connection refused)"
    if isinstance(error, OSError):
        return f"not reached ({error.strerror or error})"
    return "something else listens there"


def _connect(address: Address, port: int) -> socket.socket:
    return socket.create_connection((str(address), port), _TIMEOUT_S)


def _receive_waiting(connection: socket.socket) -> WaitingNode:
    schema, lack, leader = _receive(connection, _WAITING)
    return WaitingNode(schema, lack, leader)


def _send(connection: socket.socket, method: str, params: Sequence[str]) -> None:
    # A notification (JSON-RPC 1.0): a RAFT server that gets it by mistake logs it, no more.
    message = {"method": method, "params": list(params), "id": None}
    connection.sendall(json.dumps(message).encode() + b"\n")


def _receive(connection: socket.socket, method: str) -> list[str]:
    line = b""
    while not line.endswith(b"\n") and len(line) < _MOST_BYTES:
        part = connection.recv(4096)
        if not part:
            break
        line += part
    message: Any = json.loads(line)
    if not isinstance(message, dict) or message.get("method") != method:
        raise ValueError(f"expected {method}")
    params = message["params"]
    if not isinstance(params, list) or not all(isinstance(param, str) for param in params):
        raise ValueError("expected words")
    return params
