"""One question to a server of ours, and its answer; one transaction, and its results.

Called by whoever asks a server or writes to one. Without a program between: what a restore writes
is too large for the command line of ``ovsdb-client``. Must not retry.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ovnmesh.errors import IcDbError
from ovnmesh.ovsdb import question
from ovnmesh.ovsdb.question import Where


class TransactionRefused(IcDbError):
    """The server refused a transaction; nothing was changed."""


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
    try:
        answer = question.ask(where, method, params, timeout_s)
    except OSError as error:
        raise IcDbError(
            f"{_name(where)}: {error.strerror or error}; expected a running ovsdb-server. Is "
            "ovnmesh ic-db running on this node, with this --run-dir?"
        ) from error
    if answer.get("error"):
        raise IcDbError(f"{_name(where)}: {method} was refused: {str(answer['error']).strip()}")
    return answer.get("result")


def transact(
    where: Where, schema: str, operations: Sequence[object], timeout_s: float
) -> list[dict[str, Any]]:
    """Run one transaction; a member that does not lead has the leader write.

    Args:
        where: as for `ask`.
        schema: name of the database.
        operations: as in RFC 7047, 5.2.
        timeout_s: seconds to wait for each part of the answer.

    Returns:
        A result for each operation.

    Raises:
        TransactionRefused: it is refused.
        IcDbError: nobody answers there.
    """
    results = ask(where, "transact", [schema, *operations], timeout_s)
    for result in results:
        if result is not None and "error" in result:
            why = f"{result['error']}: {result.get('details', '')}".strip(": ")
            raise TransactionRefused(
                f"{schema}: the transaction was refused ({why}), and nothing was changed"
            )
    return [result for result in results if result is not None]


def _name(where: Where) -> str:
    return str(where) if isinstance(where, Path) else f"tcp {where[0]}, port {where[1]}"
