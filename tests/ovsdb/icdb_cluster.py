"""Nodes of a cluster of ``ovnmesh ic-db`` on loopback addresses; not collected by itself."""

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from icdb_process import NB, SB, IcDb, alive

from ovnmesh.icdb.database.files import DATABASES
from ovnmesh.icdb.database.raft_status import read_status
from servers import free_port, wait_for

PORTS = ("nb-port", "sb-port", "nb-raft-port", "sb-raft-port")


def run(*words):
    """Run ``ovnmesh ic-db ...``; exit code, standard output, both outputs on one line."""
    done = subprocess.run(
        [sys.executable, "-m", "ovnmesh", "ic-db", *map(str, words)],
        capture_output=True,
        text=True,
    )
    return done.returncode, done.stdout, " ".join((done.stdout + done.stderr).split())


@dataclass
class Cluster:
    """Three nodes; the first founds."""

    base: Path
    first: int = 11
    nodes: dict = field(default_factory=dict)

    def __post_init__(self):
        self.ports = {name: free_port() for name in PORTS}
        self.addresses = [f"127.0.0.{self.first + i}" for i in range(3)]
        for i, address in enumerate(self.addresses, 1):
            self.nodes[i] = IcDb(
                self.base / f"n{i}",
                nb_port=self.ports["nb-port"],
                sb_port=self.ports["sb-port"],
                address=address,
            )

    def spawn(self, *numbers, leader=1, flags=()):
        for i in numbers or (1, 2, 3):
            words = ["--nodes", ",".join(self.addresses), "--leader", self.addresses[leader - 1]]
            for name in PORTS[2:]:
                words += [f"--{name}", str(self.ports[name])]
            self.nodes[i]._log().unlink(missing_ok=True)
            self.nodes[i].spawn(*words, *flags)

    def wait(self, *numbers, timeout_s=60):
        """Until these nodes are ready."""
        for i in numbers or (1, 2, 3):
            node = self.nodes[i]
            wait_for(lambda n=node: n.ready.exists() or n.process.poll() is not None, timeout_s)
            assert node.process.poll() is None, node.output()
            node.seen += node.servers()

    def start(self, *numbers, **kwargs):
        self.spawn(*numbers, **kwargs)
        self.wait(*numbers)

    def kill(self, *numbers):
        """With SIGKILL, servers and all."""
        for i in numbers or (1, 2, 3):
            node = self.nodes[i]
            node.process.kill()
            node.process.wait()
            wait_for(lambda n=node: not any(alive(pid) for pid in n.seen))
            node.ready.unlink(missing_ok=True)

    def end(self):
        for node in self.nodes.values():
            if node.process and node.process.poll() is None:
                node.process.kill()
                node.process.wait()
        for node in self.nodes.values():
            wait_for(lambda n=node: not any(alive(pid) for pid in n.seen))

    def wipe(self, number):
        shutil.rmtree(self.nodes[number].data)

    def says(self, number, text, timeout_s=60):
        wait_for(lambda: text in self.nodes[number].output(), timeout_s)

    def status(self, number, db=DATABASES[0]):
        return read_status(self.nodes[number].run, db)

    def members(self, number, db=DATABASES[0]):
        return {member.address for member in self.status(number, db).members}

    def wait_whole(self, number):
        """Until a node is in touch with three servers of each database."""

        def whole():
            statuses = [self.status(number, db) for db in DATABASES]
            return all(
                len(each.members) == 3 and each.serves and all(m.connected for m in each.members)
                for each in statuses
            )

        wait_for(whole, 60)

    def heal(self):
        """Make it whole again, whatever a test that failed has left."""
        down = [
            i for i, node in self.nodes.items() if node.process and node.process.poll() is not None
        ]
        if down:
            self.start(*down)
        self.wait()
        self.wait_whole(1)

    def leader(self, db=DATABASES[0]):
        found = []

        def one():
            found[:] = [i for i in self.nodes if self.is_leader(i, db)]
            return len(found) == 1

        wait_for(one)
        return found[0]

    def is_leader(self, number, db):
        node = self.nodes[number]
        return node.process.poll() is None and self.status(number, db).role == "leader"

    def write(self, number, db, *operations):
        """One transaction, sent to any member."""
        port = self.ports["nb-port" if db == NB else "sb-port"]
        remote = f"tcp:{self.addresses[number - 1]}:{port}"
        request = json.dumps([db, *operations])
        words = ["ovsdb-client", "--timeout=10", "--no-leader-only", "transact", remote, request]
        results = json.loads(subprocess.check_output(words))
        assert not any("error" in result for result in results), results
        return results

    def rows(self, number, db, table):
        """Rows by UUID."""
        (result,) = self.write(number, db, {"op": "select", "table": table, "where": []})
        return {
            row["_uuid"][1]: {k: v for k, v in row.items() if not k.startswith("_")}
            for row in result["rows"]
        }

    def content(self, number):
        tables = ("Availability_Zone", "Datapath_Binding", "Port_Binding")
        return {table: self.rows(number, SB, table) for table in tables} | {
            "Transit_Switch": self.rows(number, NB, "Transit_Switch")
        }
