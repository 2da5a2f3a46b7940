"""``ovnmesh ic-db``: from standalone to a cluster and back, and a newer schema. No root needed.

Real: the commands as processes of their own, OVS's servers and tools, loopback addresses as nodes.
"""

import subprocess

import pytest
from icdb_cluster import Cluster, run
from icdb_files import older_schema
from icdb_process import NB, SB

from ovnmesh.icdb.database.files import DATABASES, IC_NB, IC_SB
from servers import wait_for


@pytest.fixture
def cluster(tmp_path):
    made = Cluster(tmp_path, first=31)
    yield made
    made.end()


def tool(*words):
    return subprocess.check_output(["ovsdb-tool", *map(str, words)], text=True).strip()


def register(cluster, number):
    """A switch's and a port's tunnel keys, and a claim."""
    cluster.write(
        number,
        SB,
        {"op": "insert", "table": "Availability_Zone", "uuid-name": "az", "row": {"name": "az1"}},
        {
            "op": "insert",
            "table": "Datapath_Binding",
            "row": {"transit_switch": "ts", "tunnel_key": 16711683},
        },
        {
            "op": "insert",
            "table": "Port_Binding",
            "row": {
                "logical_port": "ts-az1",
                "transit_switch": "ts",
                "tunnel_key": 3,
                "availability_zone": ["named-uuid", "az"],
            },
        },
    )
    claim = ["map", [["ovnmesh-claim-x", "0a:00:00:00:00:01 169.254.100.9/24"]]]
    cluster.write(
        number,
        NB,
        {
            "op": "mutate",
            "table": "Transit_Switch",
            "where": [["name", "==", "ts"]],
            "mutations": [["external_ids", "insert", claim]],
        },
    )


def test_standalone_becomes_a_cluster_and_keeps_every_row_and_back(cluster):
    one = cluster.nodes[1]
    one.start()
    register(cluster, 1)
    before = cluster.content(1)
    one.stop()
    standalone = {db: db.file(one.data).read_bytes() for db in DATABASES}
    # Not before every other node is empty and waits: one of them may have a cluster already.
    cluster.spawn(1)
    cluster.says(1, "not started (connection refused)")
    assert {db: db.file(one.data).read_bytes() for db in DATABASES} == standalone
    cluster.spawn(2, 3)
    cluster.wait()
    cluster.wait_whole(1)
    for i in (1, 2, 3):
        assert cluster.content(i) == before
    for db in DATABASES:
        (copy,) = one.data.glob(f"{db.base}.db.standalone-*")
        assert copy.read_bytes() == standalone[db]
    # And back, as the page on ic-db says.
    for node in cluster.nodes.values():
        assert node.stop() == 0
    code, output = one.fail()
    assert code == 1
    assert "found a member of a RAFT cluster" in output
    for db in DATABASES:
        file = db.file(one.data)
        file.rename(f"{file}.cluster")
        tool("cluster-to-standalone", file, f"{file}.cluster")
    one.start()
    assert cluster.content(1) == before


def test_standalone_files_on_a_node_that_joins_are_refused(cluster):
    node = cluster.nodes[2]
    node.start()
    node.stop()
    cluster.spawn(2)
    assert node.process.wait(30) == 1
    assert "found a standalone database; expected none, or a member of the cluster" in node.output()


def test_backup_and_restore_of_a_standalone_database(cluster, tmp_path):
    node = cluster.nodes[1]
    node.start()
    register(cluster, 1)
    before = cluster.content(1)
    code, _, text = run("backup", tmp_path / "b", "--run-dir", node.run)
    assert code == 0, text
    delete = {"op": "delete", "table": "Transit_Switch", "where": [["name", "==", "ts"]]}
    cluster.write(1, NB, delete)
    code, _, text = run("restore", tmp_path / "b", "--run-dir", node.run)
    assert code == 0, text
    assert cluster.content(1) == before
    code, _, text = run("member", "list", "--run-dir", node.run)
    assert (code, "This node serves alone" in text) == (1, True)
    # The folder is a data directory: all is lost, and comes back.
    node.stop()
    cluster.wipe(1)
    node.data = tmp_path / "b"
    node.start()
    assert cluster.content(1) == before


def test_founding_that_was_interrupted_is_finished(cluster):
    node = cluster.nodes[1]
    node.data.mkdir(parents=True)
    for db, place in ((IC_NB, ""), (IC_SB, ".founding")):
        port = cluster.ports["nb-raft-port" if db is IC_NB else "sb-raft-port"]
        address = f"tcp:{node.address}:{port}"
        tool("create-cluster", f"{db.file(node.data)}{place}", db.schema_file, address)
    cluster.spawn()
    cluster.wait()
    cluster.wait_whole(1)


def test_newer_schema_is_taken_while_the_cluster_serves(cluster, tmp_path):
    node = cluster.nodes[1]
    node.data.mkdir(parents=True)
    for db in DATABASES:
        port = cluster.ports["nb-raft-port" if db is IC_NB else "sb-raft-port"]
        schema = older_schema(db, tmp_path)
        tool("create-cluster", db.file(node.data), schema, f"tcp:{node.address}:{port}")
    cluster.start(1)
    row = {"name": "x", "external_ids": ["map", [["subnet", "10.5.0.0/24"]]]}
    cluster.write(1, NB, {"op": "insert", "table": "Transit_Switch", "row": row})
    before = cluster.rows(1, NB, "Transit_Switch")
    cluster.start(2, 3)
    installed = {db: tool("schema-version", db.schema_file) for db in DATABASES}

    def stored(number, db):
        socket = f"unix:{cluster.nodes[number].run}/{db.base}.sock"
        words = ["ovsdb-client", "--no-leader-only", "get-schema-version", socket, db.schema]
        return subprocess.check_output(words, text=True).strip()

    def upgraded(number):
        return all(stored(number, db) == installed[db] for db in DATABASES)

    for i in (1, 2, 3):
        wait_for(lambda i=i: upgraded(i))
        assert cluster.rows(i, NB, "Transit_Switch") == before
    copies = [copy for i in (1, 2, 3) for copy in cluster.nodes[i].data.glob("*.backup0.9.0-*")]
    assert sorted(copy.name[:12] for copy in copies) == ["ovn_ic_nb_db", "ovn_ic_sb_db"]
    for copy in copies:
        assert tool("db-is-standalone", copy) == ""
