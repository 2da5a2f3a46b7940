"""Plan operations applied in one transaction.

Called by `ovsdb.database`. Uses the IDL's raw operations, so that columns that are too large to
replicate can still be mutated. Must not decide what to write.
"""

from collections.abc import Iterable
from typing import Any

from ovs.db import idl
from ovsdbapp.backend.ovs_idl import transaction

from ovnmesh.errors import OvsdbRejected, StalePlan
from ovnmesh.model.changes import Operation
from ovnmesh.ovsdb.encoding import encode_operations


class OneShot(transaction.Transaction):  # type: ignore[misc]
    """An ovsdbapp transaction of raw operations that is tried exactly once.

    ovsdbapp's own waits for a further change when the server says "try again", and then repeats
    the same commands. A plan must instead be made anew from what is there now, at once.

    Args:
        api: the ovsdbapp backend.
        operations: what to do.
    """

    def __init__(self, api: Any, operations: Iterable[Operation]) -> None:
        super().__init__(api, api.ovsdb_connection, check_error=True, log_errors=False)
        self._operations = tuple(operations)

    def do_commit(self) -> list[object]:
        """Send everything; runs in the connection's thread.

        Raises:
            StalePlan: an expectation did not hold, or the connection was lost on the way.
            OvsdbRejected: the server refused.
        """
        txn = idl.Transaction(self.api.idl)
        for operation in encode_operations(self._operations):
            txn.add_op(operation)
        status = txn.commit_block()
        if status in (txn.SUCCESS, txn.UNCHANGED):
            return []
        if status == txn.TRY_AGAIN:
            raise StalePlan("rows changed between reading and writing; planning again")
        if status == txn.NOT_LOCKED:
            raise OvsdbRejected("another controller holds the lock of this database")
        raise OvsdbRejected(str(txn.get_error()))
