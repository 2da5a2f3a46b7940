"""Runs the MariaDB that Neutron and Keystone of a site keep their state in.

Called by `site` and `template`. Reached by a socket only, so it needs no password. Knows nothing of
what is in the databases. (SQLite would not do: Neutron locks it up, and OVN's events are lost.)
"""

import socket
import subprocess
from collections.abc import Iterable
from functools import partial
from pathlib import Path

from ovnmesh.errors import ProcessError
from ovnmesh.host.process import spawn, wait_until_serving

_DATABASE_OPTIONS = "default-character-set=utf8mb3\ndefault-collation=utf8mb3_general_ci\n"
"""A folder with this file is a database (MariaDB, db.opt); Neutron wants utf8."""
_READY_TIMEOUT_S = 60.0
_STOP_TIMEOUT_S = 30.0


def data_directory(directory: Path) -> Path:
    """Where the database files are."""
    return directory / "mariadb"


def url(directory: Path, name: str) -> str:
    """Connection to a database, in SQLAlchemy's notation."""
    return f"mysql+pymysql://root@localhost/{name}?unix_socket={_socket(directory)}"


def make_databases(directory: Path, names: Iterable[str]) -> None:
    """Make empty databases, before the first start."""
    for name in names:
        folder = data_directory(directory) / name
        folder.mkdir(parents=True)
        (folder / "db.opt").write_text(_DATABASE_OPTIONS)


def start(directory: Path, netns: str | None) -> "subprocess.Popen[bytes]":
    """Start MariaDB, without waiting for it.

    Args:
        directory: where its files are; `data_directory` must exist.
        netns: namespace to run it in; None for the current one.
    """
    return spawn(
        [
            *("mariadbd", "--no-defaults", "--user=root", f"--datadir={data_directory(directory)}"),
            *(f"--socket={_socket(directory)}", f"--pid-file={directory / 'mariadbd.pid'}"),
            *("--skip-networking", "--skip-grant-tables", "--performance-schema=OFF"),
            *("--innodb-buffer-pool-size=32M", "--innodb-log-file-size=8M"),
            # A lab does not outlive its machine; a killed process loses nothing by it.
            "--innodb-flush-log-at-trx-commit=2",
        ],
        log=_log(directory),
        netns=netns,
    )


def wait_ready(directory: Path, child: "subprocess.Popen[bytes] | None" = None) -> None:
    """Wait until MariaDB accepts connections.

    Args:
        directory: as for `start`.
        child: its process, if it is ours: the wait ends when it does.

    Raises:
        ProcessError: it does not; the end of its log is in the message.
    """
    greets = partial(_greets, directory)
    wait_until_serving(f"MariaDB in {directory}", greets, _log(directory), child, _READY_TIMEOUT_S)


def _greets(directory: Path) -> bool:
    """Whether it says something to who connects (MariaDB, initial handshake packet)."""
    try:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(1)
            client.connect(str(_socket(directory)))
            return bool(client.recv(1))
    except OSError:
        return False


def stop(child: "subprocess.Popen[bytes]") -> None:
    """End MariaDB so that its files are whole without recovery.

    Raises:
        ProcessError: it does not end.
    """
    child.terminate()
    try:
        child.wait(_STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired as error:
        child.kill()
        child.wait()
        raise ProcessError(f"MariaDB: still running {_STOP_TIMEOUT_S:g} s after SIGTERM") from error


def _socket(directory: Path) -> Path:
    return directory / "mariadb.sock"


def _log(directory: Path) -> Path:
    return directory / "mariadbd.log"
