"""Interconnection databases as RAFT clusters of three on loopback addresses, made by hand."""

import signal
import subprocess
from collections.abc import Iterable
from pathlib import Path

from ovnmesh.host.programs import program
from ovnmesh.model.changes import Db
from servers import free_port, schema_of, wait_for

HOSTS = ("127.0.0.1", "127.0.0.2", "127.0.0.3")
DATABASES = (Db.IC_NB, Db.IC_SB)


class IcCluster:
    """Two clusters with one transit switch; members are named by their host."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        numbers = {db: free_port() for db in DATABASES}
        self._raft = {db: free_port() for db in DATABASES}
        self.ports = {
            "nb": numbers[Db.IC_NB],
            "sb": numbers[Db.IC_SB],
            "hosts": ",".join(HOSTS),
        }
        self._ports = numbers
        self.processes: dict[tuple[Db, str], subprocess.Popen[bytes]] = {}
        for db in DATABASES:
            self._create(db)
        for db in DATABASES:
            wait_for(lambda db=db: self.leader(db), 10, "a leader")
            wait_for(lambda db=db: self.connected(db) == set(HOSTS), 10, "three members")
        self.ctl("nb", "init", "--", "ts-add", "ts")
        self.ctl("nb", "set", "Transit_Switch", "ts", "external_ids:subnet=169.254.100.0/24")
        self.ctl("sb", "init")

    def remote(self, db: Db, hosts: Iterable[str] = HOSTS) -> str:
        return ",".join(f"tcp:{host}:{self._ports[db]}" for host in hosts)

    def ctl(self, which: str, *words: str) -> str:
        db = {"nb": Db.IC_NB, "sb": Db.IC_SB}[which]
        command = [program(f"ovn-ic-{which}ctl"), f"--db={self.remote(db)}", "--timeout=10", *words]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    def start(self, db: Db, host: str) -> None:
        name = self._name(db, host)
        self.processes[db, host] = subprocess.Popen(
            [
                program("ovsdb-server"),
                f"--remote=ptcp:{self._ports[db]}:{host}",
                f"--unixctl={name}.ctl",
                f"--log-file={name}.log",
                "-vconsole:off",
                f"{name}.db",
            ]
        )

    def kill(self, db: Db, host: str) -> None:
        process = self.processes.pop((db, host))
        process.kill()
        process.wait()

    def suspend(self, db: Db, host: str) -> None:
        """Make a member silent without closing its connections, as a cut cable would."""
        self.processes[db, host].send_signal(signal.SIGSTOP)

    def leader(self, db: Db) -> str:
        """Host of the member that says it leads, "" during an election."""
        return next((host for host in HOSTS if "Role: leader" in self._status(db, host)), "")

    def connected(self, db: Db) -> set[str]:
        return {h for h in HOSTS if "Status: cluster member" in self._status(db, h)}

    def resume(self, db: Db, host: str) -> None:
        self.processes[db, host].send_signal(signal.SIGCONT)

    def hand_over(self, db: Db, host: str) -> None:
        """Have the leader hand over and live on: at its next write, as before it compacts."""
        self._appctl(db, host, "cluster/failure-test", "transfer-leadership")

    def end(self, db: Db, host: str) -> None:
        """Stop a member in an orderly way."""
        self._appctl(db, host, "exit")
        self.processes.pop((db, host)).wait(10)

    def stop(self) -> None:
        for process in self.processes.values():
            process.kill()
            process.wait()
        self.processes.clear()

    def _status(self, db: Db, host: str) -> str:
        if (db, host) not in self.processes:
            return ""
        return self._appctl(db, host, "cluster/status", db.value)

    def _appctl(self, db: Db, host: str, *words: str) -> str:
        command = [program("ovs-appctl"), "-T", "1", "-t", f"{self._name(db, host)}.ctl", *words]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout

    def _create(self, db: Db) -> None:
        raft = {host: f"tcp:{host}:{self._raft[db]}" for host in HOSTS}
        first, *others = HOSTS
        file = f"{self._name(db, first)}.db"
        subprocess.run(
            [program("ovsdb-tool"), "create-cluster", file, schema_of(db), raft[first]], check=True
        )
        for host in others:
            subprocess.run(
                [
                    program("ovsdb-tool"),
                    "join-cluster",
                    f"{self._name(db, host)}.db",
                    db.value,
                    raft[host],
                    raft[first],
                ],
                check=True,
            )
        for host in HOSTS:
            self.start(db, host)

    def _name(self, db: Db, host: str) -> Path:
        return self.folder / f"{db.name}-{host.rsplit('.', 1)[1]}"
