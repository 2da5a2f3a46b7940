"""One ovsdb-server in the foreground of its own: started, asked, opened to the world, ended.

Called by `server`. The server first listens on its private socket only; `open_to_world` adds the
rest, so that no site ever sees a database that is not filled. Must not restart a server that died:
that is for systemd or Kubernetes.
"""

import logging
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ovnmesh.errors import IcDbError
from ovnmesh.host.connections import listeners
from ovnmesh.host.programs import program
from ovnmesh.icdb.database.files import IcDatabase, run_tool
from ovnmesh.icdb.database.raft_status import call, control_socket
from ovnmesh.icdb.database.rpc import transact
from ovnmesh.icdb.database.server_row import private_socket
from ovnmesh.icdb.database.waiting_log import WaitingLog
from ovnmesh.icdb.settings import Folders
from ovnmesh.model.addresses import Address
from ovnmesh.model.remote import endpoint, ptcp_method

LOG = logging.getLogger(__name__)

# A database of 100,000 routes loads in well under a minute.
_START_TIMEOUT_S = 120.0
_OPEN_TIMEOUT_S = 5.0
_STOP_TIMEOUT_S = 5.0
_TRANSACT_TIMEOUT_S = 10.0
_POLL_S = 0.02
_TAIL_LINES = 5


class OvsdbServer:
    """A running ovsdb-server.

    Args:
        db: the database it serves.
        folders: where file, sockets and logs are.
        on_exit: called from another thread when the process has ended.

    Raises:
        IcDbError: a program is not installed.
    """

    def __init__(self, db: IcDatabase, folders: Folders, on_exit: Callable[[], None]) -> None:
        self.db = db
        self._run_dir = folders.run
        self._tail: deque[str] = deque(maxlen=_TAIL_LINES)
        try:
            # A process group of its own: Ctrl-C is for us, we end the servers in order.
            # Started by the main thread, whose end is what the parent-death signal stands for.
            self._process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "TERM", "--", *server_command(db, folders)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
                errors="replace",
                start_new_session=True,
            )
        except FileNotFoundError as error:
            raise IcDbError("setpriv: no such program; install the package util-linux") from error
        self._reader = threading.Thread(target=self._forward, args=(on_exit,), daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        """Process id of the server."""
        return self._process.pid

    @property
    def private(self) -> str:
        """Remote of the socket that exists as long as the server runs."""
        return f"unix:{private_socket(self._run_dir, self.db)}"

    @property
    def public_socket(self) -> Path:
        """Path of the socket that exists only once the database is filled."""
        return self._run_dir / f"ovn_{self.db.short}.sock"

    def wait_until_serving(
        self, cancelled: Callable[[], bool], pending: Callable[[], str] = lambda: ""
    ) -> None:
        """Wait until the database answers, and make sure of its global row.

        Args:
            cancelled: looked at all the time; ends the waiting.
            pending: what the server cannot help, in words, e.g. that its cluster has no leader;
                empty if nothing. That is waited for without end.

        Raises:
            IcDbError: it died or does not answer.
        """
        deadline = time.monotonic() + _START_TIMEOUT_S
        waiting_log = WaitingLog()
        while not cancelled():
            try:
                if reason := pending():
                    deadline = time.monotonic() + _START_TIMEOUT_S
                    waiting_log.write(f"{self.db.schema}: {reason}")
                else:
                    self._ensure_global_row()
                    return
            except IcDbError as error:
                if self._process.poll() is not None:
                    raise IcDbError(self.describe_end()) from error
                if time.monotonic() > deadline:
                    raise
            time.sleep(_POLL_S)

    def _ensure_global_row(self) -> None:
        table = self.db.global_table
        if not self.transact([{"op": "select", "table": table, "where": []}])[0]["rows"]:
            # Of several members one succeeds: the schema has it that there is one row at most.
            self.transact([{"op": "insert", "table": table, "row": {}}])

    def transact(self, operations: Sequence[object]) -> list[dict[str, Any]]:
        """Run one transaction.

        Args:
            operations: as in RFC 7047, 5.2.

        Returns:
            A result for each operation.

        Raises:
            IcDbError: the server cannot be reached or refused.
        """
        return transact(
            private_socket(self._run_dir, self.db), self.db.schema, operations, _TRANSACT_TIMEOUT_S
        )

    def open_to_world(self, address: Address, port: int) -> None:
        """Listen on TCP and on the public socket.

        Args:
            address: address to listen on.
            port: TCP port.

        Raises:
            IcDbError: the server did not get the port or the socket.
        """
        for remote in (ptcp_method(port, address), f"punix:{self.public_socket}"):
            control = str(self._run_dir / f"{self.db.base}.ctl")
            run_tool("ovs-appctl", "-t", control, "ovsdb-server/add-remote", remote)
        # The server answers before it listens (ovsdb-server.c: its main loop opens what is new the
        # next time around), and only logs that it cannot.
        self._await(lambda: self.pid in listeners(port), endpoint(address, port))
        self._await(self._answers_in_public, str(self.public_socket))

    def _answers_in_public(self) -> bool:
        try:
            transact(self.public_socket, self.db.schema, [], _OPEN_TIMEOUT_S)
        except IcDbError:
            return False
        return True

    def _await(self, open_: Callable[[], bool], where: str) -> None:
        deadline = time.monotonic() + _OPEN_TIMEOUT_S
        while not open_():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise IcDbError(f"{self.db.schema} does not listen on {where}: {self._messages()}")
            time.sleep(_POLL_S)

    def describe_end(self) -> str:
        """Why the server is no more, in words."""
        status = self._process.wait()
        self._reader.join()
        how = f"ended with exit code {status}" if status >= 0 else f"was killed by signal {-status}"
        return f"ovsdb-server of {self.db.schema} {how}: {self._messages()}"

    def stop(self) -> None:
        """End the server; it has written everything it acknowledged already."""
        try:
            # In order, so that a leader hands over; on a signal it would just be gone.
            call(control_socket(self._run_dir, self.db), "exit")
        except IcDbError:
            self._process.terminate()
        try:
            self._process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            LOG.warning("ovsdb-server of %s does not end; killing it", self.db.schema)
            self._process.kill()
            self._process.wait()

    def _messages(self) -> str:
        return " | ".join(self._tail) or "it said nothing"

    def _forward(self, on_exit: Callable[[], None]) -> None:
        for line in self._process.stderr or ():
            # 2026-11-21T22:00:04Z|00001|ovsdb_server|ERR|text (ovs-vswitchd(8), Logging)
            text = line.rstrip().split("|", 2)[-1]
            self._tail.append(text)
            LOG.warning("%s: %s", self.db.schema, text)
        self._process.wait()
        on_exit()


def server_command(db: IcDatabase, folders: Folders) -> list[str]:
    """The command line of an ovsdb-server.

    Options are as ovn-ctl(8) gives them, so that connections and certificates that an existing
    installation keeps in its database stay in force.

    Args:
        db: the database.
        folders: where file, sockets and logs are.
    """
    base = folders.run / db.base
    command = [
        program("ovsdb-server"),
        # Warnings come to us; that it ends on our SIGTERM is none.
        *("-vconsole:warn", "-vsyslog:off", "-vfatal_signal:console:err"),
        *(f"--unixctl={base}.ctl", f"--pidfile={base}.pid", f"--remote=punix:{base}.sock"),
        f"--remote=db:{db.schema},{db.global_table},connections",
        f"--private-key=db:{db.schema},SSL,private_key",
        f"--certificate=db:{db.schema},SSL,certificate",
        f"--ca-cert=db:{db.schema},SSL,ca_cert",
        f"--ssl-protocols=db:{db.schema},SSL,ssl_protocols",
        f"--ssl-ciphers=db:{db.schema},SSL,ssl_ciphers",
    ]
    if folders.log:
        log_file = folders.log / f"ovsdb-server-{db.short.replace('_', '-')}.log"
        command += [f"--log-file={log_file}", "-vfile:info"]
    return [*command, str(db.file(folders.data))]
