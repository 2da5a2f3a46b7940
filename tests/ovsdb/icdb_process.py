"""Runs ``ovnmesh ic-db`` as a process of its own; not collected by itself."""

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from ovnmesh.host.programs import program
from ovnmesh.icdb.database.files import DATABASES
from servers import free_port, wait_for

NB = "OVN_IC_Northbound"
SB = "OVN_IC_Southbound"
KUBE_OVN_NAMES = [
    *("TS_NAME", "TS_NUM", "TS_CIDR", "PROTOCOL", "LOCAL_IP"),
    *("NODE_IPS", "LEADER_IP", "ENABLE_SSL", "NOTIFY_SOCKET"),
]


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@dataclass
class IcDb:
    """The command, its folders, address and ports."""

    base: Path
    data: Path = None
    nb_port: int = field(default_factory=free_port)
    sb_port: int = field(default_factory=free_port)
    address: str = "127.0.0.1"
    process: subprocess.Popen = None
    seen: list = field(default_factory=list)

    def __post_init__(self):
        self.base.mkdir(exist_ok=True)
        self.data = self.data or self.base / "data"
        self.run = self.base / "run"
        self.ready = self.run / "ic-db.ready"

    def spawn(self, *flags, **env):
        clean = {k: v for k, v in os.environ.items() if k not in KUBE_OVN_NAMES}
        address = [] if "LOCAL_IP" in env or "--address" in flags else ["--address", self.address]
        words = [sys.executable, "-m", "ovnmesh", "ic-db", *address]
        words += ["--data-dir", str(self.data), "--run-dir", str(self.run)]
        words += ["--nb-port", str(self.nb_port), "--sb-port", str(self.sb_port), *flags]
        with self._log().open("ab") as log:
            self.process = subprocess.Popen(
                words, stdout=log, stderr=log, env=clean | {"COLUMNS": "1000"} | env
            )
        return self

    def start(self, *flags, **env):
        self.spawn(*flags, **env)
        wait_for(lambda: self.ready.exists() or self.process.poll() is not None)
        assert self.process.poll() is None, self.output()
        self.seen += self.servers()
        return self

    def stop(self):
        self.process.terminate()
        return self.process.wait(30)

    def fail(self, *flags, **env):
        """Start in vain; the exit code and the message."""
        self._log().unlink(missing_ok=True)
        code = self.spawn(*flags, **env).process.wait(30)
        assert not self.ready.exists()
        return code, self.output()

    def output(self):
        return re.sub(r"\s+", " ", self._log().read_text())

    def servers(self):
        return [int((self.run / f"{db.base}.pid").read_text()) for db in DATABASES]

    def transact(self, port, db, *operations):
        request = json.dumps([db, *operations])
        done = subprocess.run(
            [
                program("ovsdb-client"),
                "--timeout=5",
                "transact",
                f"tcp:{self.address}:{port}",
                request,
            ],
            capture_output=True,
            text=True,
            check=True,
        )
        return json.loads(done.stdout)

    def switches(self):
        select = {"op": "select", "table": "Transit_Switch", "where": []}
        rows = self.transact(self.nb_port, NB, select)[0]["rows"]
        return {row["name"]: dict(row["external_ids"][1]).get("subnet") for row in rows}

    def add_switch(self, name, **external_ids):
        row = {"name": name, "external_ids": ["map", list(external_ids.items())]}
        insert = {"op": "insert", "table": "Transit_Switch", "row": row}
        assert "uuid" in self.transact(self.nb_port, NB, insert)[0]

    def _log(self):
        return self.base / "out.log"
