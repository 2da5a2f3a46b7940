"""One question to an ovsdb-server, and its answer.

Called by `raft_status` (control sockets) and `restore` (whole databases, too large for the command
line of ``ovsdb-client``). JSON-RPC 1.0, as RFC 7047 and the unixctl protocol have it. Must not
retry.
"""

import json
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ovnmesh.errors import IcDbError

Where = Path | tuple[str, int]


def ask(where: Where, method: str, params: Sequence[object], timeout_s: float) -> Any:
    """Call a method of the server that listens on a socket.

    Args:
        where: path of its socket, or host and TCP port.
        method: name of the method.
        params: its parameters.
        timeout_s: seconds to wait for each part of the answer.

    Returns:
        The result.

    Raises:
        IcDbError: nobody answers there, or the server refuses.
    """
    request = {"method": method, "params": list(params), "id": 0}
    try:
        with _connect(where, timeout_s) as connection:
            connection.sendall(json.dumps(request).encode())
            answer = _receive(connection)
    except OSError as error:
        raise IcDbError(
            f"{_name(where)}: {error.strerror or error}; expected a running ovsdb-server. Is "
            "ovnmesh ic-db running on this node, with this --run-dir?"
        ) from error
    if answer.get("error"):
        raise IcDbError(f"{_name(where)}: {method} was refused: {str(answer['error']).strip()}")
    return answer.get("result")


def _connect(where: Where, timeout_s: float) -> socket.socket:
    if isinstance(where, tuple):
        return socket.create_connection(where, timeout_s)
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.settimeout(timeout_s)
        connection.connect(str(where))
    except OSError:
        connection.close()
        raise
    return connection


def _name(where: Where) -> str:
    return str(where) if isinstance(where, Path) else f"tcp {where[0]}, port {where[1]}"


def _receive(connection: socket.socket) -> dict[str, Any]:
    data = bytearray()
    while part := connection.recv(1 << 20):
        data += part
        # An object ends here, perhaps the answer: a large one is not tried at every part.
        if data.endswith((b"}", b"}\n")):
            try:
                answer = json.loads(data)
            except ValueError:
                continue
            if isinstance(answer, dict):
                return answer
    raise ConnectionResetError("the connection was closed")
