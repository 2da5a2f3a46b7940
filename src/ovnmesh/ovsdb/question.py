"""One question to an OVSDB server, and its answer (JSON-RPC 1.0, RFC 7047, section 4).

Called by `ovsdb.database` for a schema, and by ic-db about its own servers, on their control
sockets as well (the unixctl protocol has the same form). Needs no ovs package. Must not retry.
"""

import json
import os
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ovnmesh.model.remote import endpoint_of

#: Path of a socket, or host and TCP port.
Where = Path | tuple[str, int]

#: Bytes of the path of a socket (unix(7), sun_path, without the zero byte).
_LONGEST_PATH = 107


def where_is(method: str) -> Where | None:
    """Where the server of a connection method is; None if it is no socket and no TCP address."""
    kind, _, place = method.partition(":")
    if kind == "unix":
        return Path(place)
    found = endpoint_of(method) if kind == "tcp" else None
    return (str(found[0]), found[1]) if found is not None else None


def ask(where: Where, method: str, params: Sequence[object], timeout_s: float) -> dict[str, Any]:
    """Call a method of a server.

    Args:
        where: where it listens.
        method: name of the method.
        params: its parameters.
        timeout_s: seconds to wait for the connection, and for each part of the answer.

    Returns:
        The answer, with `result` and `error`.

    Raises:
        OSError: nobody answers there.
    """
    request = {"method": method, "params": list(params), "id": 0}
    with _connect(where, timeout_s) as connection:
        connection.sendall(json.dumps(request).encode())
        return _receive(connection)


def _connect(where: Where, timeout_s: float) -> socket.socket:
    if isinstance(where, tuple):
        return socket.create_connection(where, timeout_s)
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.settimeout(timeout_s)
        _connect_to_file(connection, where)
    except OSError:
        connection.close()
        raise
    return connection


def _connect_to_file(connection: socket.socket, path: Path) -> None:
    if len(os.fsencode(path)) <= _LONGEST_PATH:
        connection.connect(str(path))
        return
    # By way of its folder, as OVS does it (lib/socket-util-unix.c).
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        connection.connect(f"/proc/self/fd/{folder}/{path.name}")
    finally:
        os.close(folder)


def _receive(connection: socket.socket) -> dict[str, Any]:
    data = bytearray()
    while part := connection.recv(1 << 20):
        data += part
        # An object ends here, perhaps the answer: a large one is not tried at every part.
        if data.endswith((b"}", b"}\n")):
            for message in _messages(data.decode(errors="replace")):
                if "method" not in message:  # a server may ask whether we are still there
                    return message
    raise ConnectionResetError("the connection was closed")


def _messages(text: str) -> Iterator[dict[str, Any]]:
    """The whole messages at the beginning of a text."""
    decoder = json.JSONDecoder()
    text = text.lstrip()
    while text:
        try:
            message, end = decoder.raw_decode(text)
        except ValueError:
            return
        if isinstance(message, dict):
            yield message
        text = text[end:].lstrip()
