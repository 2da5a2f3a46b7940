"""Private ovsdb-servers with OVN's own schemas, free ports, and waiting on conditions."""

import itertools
import json
import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from ovnmesh.host.programs import program, schema_file
from ovnmesh.model.changes import Db

_SCHEMAS = {
    Db.NB: "ovn-nb",
    Db.SB: "ovn-sb",
    Db.IC_NB: "ovn-ic-nb",
    Db.IC_SB: "ovn-ic-sb",
    Db.VSWITCH: "vswitch",
}


def schema_of(db: Db) -> Path:
    """The schema of a database, of the OVN that is tested."""
    return schema_file(_SCHEMAS[db])


class Server:
    """One private ovsdb-server; `remote` is how to reach it."""

    def __init__(self, folder: Path, db: Db) -> None:
        self.folder = folder
        self.db = db
        self.file = folder / f"{db.name}.db"
        self.socket = folder / f"{db.name}.sock"
        self.remote = f"unix:{self.socket}"
        self._process: subprocess.Popen[bytes] | None = None
        subprocess.run([program("ovsdb-tool"), "create", self.file, schema_of(db)], check=True)

    def listen(self) -> int:
        """Also listen on a free TCP port of the loopback address; returns the port.

        ovsdb-server answers before it listens, so its log is what says that it does.
        """
        log = self.folder / f"{self.db.name}.log"
        before = log.stat().st_size
        appctl = [program("ovs-appctl"), "-t", f"{self.folder}/{self.db.name}.ctl"]
        subprocess.run([*appctl, "ovsdb-server/add-remote", "ptcp:0:127.0.0.1"], check=True)

        def said() -> list[str]:
            return re.findall(r"listening on port (\d+)\n", log.read_text()[before:])

        wait_for(said, what=lambda: log.read_text()[before:])
        return int(said()[-1])

    def start(self) -> None:
        self._process = subprocess.Popen(
            [
                program("ovsdb-server"),
                str(self.file),
                f"--remote=p{self.remote}",
                f"--unixctl={self.folder}/{self.db.name}.ctl",
                "-vconsole:off",
                f"--log-file={self.folder}/{self.db.name}.log",
            ]
        )
        wait_for(lambda: self.socket.exists() and (self.folder / f"{self.db.name}.ctl").exists())

    def stop(self, kill: bool = False) -> None:
        if self._process is not None:
            self._process.kill() if kill else self._process.terminate()
            self.signal(signal.SIGCONT)  # one that is suspended ends only when it goes on
            self._process.wait()
            self._process = None
            for left in (self.socket, self.folder / f"{self.db.name}.ctl"):
                left.unlink(missing_ok=True)

    def signal(self, number: signal.Signals) -> None:
        """Suspend it, or have it go on."""
        assert self._process is not None
        self._process.send_signal(number)

    def transact(self, *operations: object) -> str:
        request = json.dumps([self.db.value, *operations])
        command = [program("ovsdb-client"), "transact", self.remote, request]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    def dump(self, *tables: str) -> str:
        command = [
            program("ovsdb-client"),
            "dump",
            "-f",
            "csv",
            self.remote,
            self.db.value,
            *tables,
        ]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout


#: Below those that the kernel gives to clients (net.ipv4.ip_local_port_range, from 32768), which
#: would take a free port before its server has begun. Processes side by side begin far apart.
_PORTS = itertools.count(10_000 + os.getpid() * 613 % 20_000)


def free_port() -> int:
    """A TCP port that nobody uses on any address of this machine."""
    for port in _PORTS:
        with socket.socket() as probe:
            try:
                probe.bind(("", port))
            except OSError:
                continue
            return port
    raise AssertionError("no free port")


#: Waiting is limited for a machine that has its processors for itself; others get more time. What
#: must be quick is measured where a test is about it.
PATIENCE = 3


def wait_for(
    condition: Callable[[], object],
    timeout_s: float = 10.0,
    what: object = "",
    poll_s: float = 0.01,
) -> None:
    deadline = time.monotonic() + PATIENCE * timeout_s
    while not condition():
        if time.monotonic() > deadline:
            found = what() if callable(what) else what or condition
            raise AssertionError(f"not within {PATIENCE} x {timeout_s} s: {found}")
        time.sleep(poll_s)


def wait_quiet(value: Callable[[], object], quiet_s: float = 1.0, timeout_s: float = 10.0) -> None:
    """Until a value has stayed the same for a while: what others still had to do is done.

    Args:
        value: what is looked at; a count of what others do.
        quiet_s: seconds without a change, longer than anything under way may take.
        timeout_s: as for `wait_for`.
    """
    last, since = value(), time.monotonic()

    def quiet() -> bool:
        nonlocal last, since
        if (now := value()) != last:
            last, since = now, time.monotonic()
        return time.monotonic() - since >= quiet_s

    wait_for(quiet, timeout_s + quiet_s, lambda: f"no quiet: {last}", poll_s=0.05)
