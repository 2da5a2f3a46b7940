"""``ovnmesh ic-db`` as a RAFT cluster: founding, joining, losing, replacing. No root needed.

Real: three commands as processes of their own, OVS's servers and tools, files in a temporary
folder, loopback addresses as nodes. Most tests share one cluster, and leave it whole.
"""

import json
import os
import signal
import time

import pytest
from icdb_cluster import Cluster, run
from icdb_process import NB, SB, alive

from ovnmesh.icdb.database.files import DATABASES, IC_NB, IC_SB
from ovnmesh.icdb.database.raft_status import call, control_socket
from servers import wait_for

SWITCH = {"ts": "169.254.100.0/24"}


def zone(name, key):
    """Operations that register a site with a port on the transit switch."""
    return [
        {"op": "insert", "table": "Availability_Zone", "uuid-name": "az", "row": {"name": name}},
        {
            "op": "insert",
            "table": "Port_Binding",
            "row": {
                "logical_port": f"ts-{name}",
                "transit_switch": "ts",
                "tunnel_key": key,
                "availability_zone": ["named-uuid", "az"],
            },
        },
    ]


def switches(rows):
    return {row["name"]: dict(row["external_ids"][1])["subnet"] for row in rows.values()}


@pytest.fixture(scope="module")
def one_cluster(tmp_path_factory):
    """Three nodes, started in the wrong order, and a site's rows."""
    made = Cluster(tmp_path_factory.mktemp("cluster"))
    try:
        made.spawn(3, 2)
        for i in (2, 3):
            made.says(i, "waiting to join the cluster of OVN_IC_Northbound and OVN_IC_Southbound")
        assert not any(made.nodes[i].ready.exists() for i in (2, 3))
        made.spawn(1)
        made.wait()
        datapath = {"transit_switch": "ts", "tunnel_key": 16711681}
        made.write(2, SB, {"op": "insert", "table": "Datapath_Binding", "row": datapath})
        made.write(3, SB, *zone("az1", 1))
        yield made
    finally:
        made.end()


@pytest.fixture
def cluster(one_cluster):
    one_cluster.heal()
    return one_cluster


@pytest.fixture
def other(tmp_path):
    made = Cluster(tmp_path, first=21)
    yield made
    made.end()


def test_first_start_in_any_order_founds_one_cluster(cluster):
    for db in DATABASES:
        assert len({cluster.status(i, db).cluster for i in (1, 2, 3)}) == 1
    for i in (1, 2, 3):
        assert switches(cluster.rows(i, NB, "Transit_Switch")) == SWITCH
        assert len(cluster.rows(i, SB, "IC_SB_Global")) == 1
    wait_for(lambda: cluster.rows(1, SB, "Port_Binding") == cluster.rows(3, SB, "Port_Binding"))
    assert len(cluster.rows(1, SB, "Port_Binding")) == 1


def test_restart_and_all_nodes_killed_and_started_at_once(cluster):
    before = cluster.content(1)
    cluster.kill()
    cluster.start()
    for i in (1, 2, 3):
        assert cluster.content(i) == before
    node = cluster.nodes[2]
    assert node.stop() == 0
    cluster.start(2)
    assert cluster.content(2) == before


def test_new_leader_in_time_and_the_old_one_returns(cluster):
    lost = cluster.leader()
    left = [i for i in (1, 2, 3) if i != lost]
    os.kill(cluster.nodes[lost].servers()[0], signal.SIGKILL)
    started = time.monotonic()
    wait_for(lambda: any(cluster.is_leader(i, IC_NB) for i in left))
    # The election timer is 500 ms; a split vote repeats it.
    assert time.monotonic() - started < 5
    cluster.write(left[0], NB, {"op": "select", "table": "Transit_Switch", "where": []})
    assert cluster.nodes[lost].process.wait(30) == 1
    cluster.start(lost)


def test_without_a_majority_it_is_not_ready_and_then_is_again(cluster):
    cluster.kill(2, 3)
    wait_for(lambda: not cluster.nodes[1].ready.exists())
    assert "has no leader: nothing can be written" in cluster.nodes[1].output()
    cluster.spawn(2)
    wait_for(cluster.nodes[1].ready.exists)
    cluster.wait(2)
    cluster.start(3)
    cluster.wait_whole(1)


def test_lost_disk_of_the_founder_does_not_found_a_second_cluster(cluster):
    before = cluster.content(2)
    clusters = [cluster.status(2, db).cluster for db in DATABASES]
    old = [cluster.status(1, db).server for db in DATABASES]
    cluster.kill(1)
    cluster.wipe(1)
    cluster.start(1)
    cluster.wait_whole(1)
    assert [cluster.status(1, db).cluster for db in DATABASES] == clusters
    for db, server in zip(DATABASES, old, strict=True):
        assert cluster.status(1, db).server != server
        assert cluster.members(1, db) == cluster.members(2, db)
    assert cluster.content(1) == before


def test_damaged_member_rejoins_with_a_copy_of_its_file(cluster):
    before = cluster.content(1)
    cluster.kill(3)
    file = IC_SB.file(cluster.nodes[3].data)
    damaged = file.read_bytes().replace(b"ts-az1", b"ts-xxx")
    file.write_bytes(damaged)
    cluster.start(3)
    cluster.wait_whole(1)
    assert cluster.content(3) == before
    (copy,) = cluster.nodes[3].data.glob("ovn_ic_sb_db.db.damaged-*")
    assert copy.read_bytes() == damaged
    assert len(cluster.members(1, IC_SB)) == 3


def test_damaged_member_without_a_majority_of_others_keeps_its_file(cluster):
    cluster.kill()
    file = IC_NB.file(cluster.nodes[3].data)
    whole = file.read_bytes()
    file.write_bytes(b"OVSDB CLUSTER 3 " + b"0" * 40 + b"\n{}\n")
    cluster.spawn(3, 1)
    cluster.says(3, "waiting to join the cluster of OVN_IC_Northbound")
    cluster.says(1, "waiting for a leader: 1 of 3 servers are here")
    time.sleep(1.5)
    assert file.read_bytes() != whole
    assert not list(cluster.nodes[3].data.glob("ovn_ic_nb_db.db.damaged-*"))
    cluster.kill(3)
    file.write_bytes(whole)
    cluster.start(2, 3)
    cluster.wait()
    cluster.wait_whole(1)


def test_member_list_on_every_node(cluster):
    for i in (1, 2, 3):
        code, out, _ = run("member", "list", "--run-dir", cluster.nodes[i].run, "-o", "json")
        rows = json.loads(out)
        assert code == 0
        assert len(rows) == 6
        assert all(row["connected"] for row in rows)
        assert [row["role"] for row in rows if row["database"] == NB].count("leader") == 1
        (here, _) = [row for row in rows if row["here"]]
        assert here["address"] == f"tcp:{cluster.addresses[i - 1]}:{cluster.ports['nb-raft-port']}"
    code, _, text = run("--run-dir", cluster.nodes[1].run, "member", "list")
    assert code == 0
    assert "DATABASE SERVER ADDRESS ROLE CONNECTED" in text


def test_removal_that_would_cost_the_majority_or_the_leader_is_refused(cluster):
    leader = cluster.leader()
    run_dir = cluster.nodes[leader].run
    code, _, text = run("member", "remove", cluster.addresses[leader - 1], "--run-dir", run_dir)
    assert code == 1
    assert "found the leader; expected a follower" in text
    code, _, text = run("member", "remove", "127.0.0.99", "--run-dir", run_dir)
    assert code == 2
    cluster.kill(*[i for i in (1, 2, 3) if i != leader][:1])
    wait_for(lambda: not all(m.connected for m in cluster.status(leader).members))
    alive_one = next(
        i for i in (1, 2, 3) if i != leader and cluster.nodes[i].process.poll() is None
    )
    words = ("member", "remove", cluster.addresses[alive_one - 1], "--force", "--run-dir", run_dir)
    code, _, text = run(*words)
    assert code == 1
    assert "found 1 of the 2 other servers connected" in text
    assert len(cluster.members(leader)) == 3
    cluster.start(*[i for i in (1, 2, 3) if cluster.nodes[i].process.poll() is not None])
    cluster.wait_whole(leader)


def test_lost_member_is_removed_and_replaced(cluster):
    leader = cluster.leader()
    lost = next(i for i in (3, 2, 1) if i not in (leader, cluster.leader(IC_SB)))
    asked = next(i for i in (1, 2, 3) if i not in (leader, lost))
    cluster.kill(lost)
    wait_for(lambda: not all(m.connected for m in cluster.status(asked).members))
    words = ("member", "remove", cluster.addresses[lost - 1], "--run-dir", cluster.nodes[asked].run)
    code, _, text = run(*words)
    assert code == 0, text
    for db in DATABASES:
        wait_for(lambda db=db: len(cluster.members(leader, db)) == 2)
    # The old server comes back, and is told.
    cluster.spawn(lost)
    cluster.says(lost, "was removed from the cluster (member remove) while it was away")
    assert not cluster.nodes[lost].ready.exists()
    cluster.nodes[lost].seen += cluster.nodes[lost].servers()
    cluster.kill(lost)
    cluster.wipe(lost)
    cluster.start(lost)
    cluster.wait_whole(1)


def test_server_removed_while_it_runs_ends_and_stays_away(cluster):
    gone = next(i for i in (3, 2, 1) if i not in (cluster.leader(), cluster.leader(IC_SB)))
    node = cluster.nodes[gone]
    code, _, text = run("member", "remove", cluster.addresses[gone - 1], "--run-dir", node.run)
    assert code == 0, text
    assert node.process.wait(30) == 1
    assert "this server was removed from its cluster" in node.output()
    cluster.spawn(gone)
    assert node.process.wait(30) == 1
    assert "found a server that was removed from its cluster" in node.output()
    cluster.wipe(gone)
    cluster.start(gone)
    cluster.wait_whole(1)


def test_backup_and_restore(cluster, tmp_path):
    before = cluster.content(1)
    archive, folder = tmp_path / "b.tar.gz", tmp_path / "b"
    for i, target in ((1, archive), (2, folder)):
        code, out, _ = run("backup", target, "--run-dir", cluster.nodes[i].run, "-o", "json")
        assert code == 0
        assert json.loads(out)["databases"][NB]["cluster"] == cluster.status(1).cluster
    code, _, text = run("backup", archive, "--run-dir", cluster.nodes[1].run)
    assert code == 1
    assert "found it there already" in text
    run_dir = cluster.nodes[3].run
    everything = [["_uuid", "!=", ["uuid", "00000000-0000-0000-0000-000000000000"]]]
    cluster.write(1, NB, {"op": "delete", "table": "Transit_Switch", "where": everything})
    row = {"name": "later", "external_ids": ["map", [["subnet", "10.9.0.0/24"]]]}
    (kept,) = cluster.write(1, NB, {"op": "insert", "table": "Transit_Switch", "row": row})
    code, _, text = run("restore", archive, "--dry-run", "--run-dir", run_dir)
    assert (code, "transit switch ts added" in text) == (0, True)
    assert "later" in switches(cluster.rows(1, NB, "Transit_Switch"))
    code, _, text = run("restore", archive, "--run-dir", run_dir)
    assert code == 0, text
    now = cluster.rows(1, NB, "Transit_Switch")
    assert now.pop(kept["uuid"][1])["name"] == "later"
    assert now == before["Transit_Switch"]
    assert "az1 keep the other rows up to date themselves" in text
    # Sites with other tunnel keys: refused, unless forced.
    where = [["logical_port", "==", "ts-az1"]]
    update = {"op": "update", "table": "Port_Binding", "where": where, "row": {"tunnel_key": 7}}
    cluster.write(1, SB, update)
    code, _, text = run("restore", folder, "--run-dir", run_dir)
    assert code == 1
    assert "port ts-az1 has 7, and 1 in the backup" in text
    assert len(cluster.rows(1, NB, "Transit_Switch")) == 2
    code, _, text = run("restore", folder, "--force", "--run-dir", run_dir)
    assert code == 0, text
    assert cluster.content(3) == before
    # No site: all rows come back, UUIDs and all.
    for table in ("Port_Binding", "Datapath_Binding", "Availability_Zone"):
        cluster.write(1, SB, {"op": "delete", "table": table, "where": everything})
    code, _, text = run("restore", archive, "--run-dir", run_dir)
    assert code == 0, text
    assert cluster.content(3) == before
    (folder / "ovn_ic_nb_db.db").write_bytes(b"x")
    code, _, text = run("restore", folder, "--run-dir", run_dir)
    assert (code, "found another ovn_ic_nb_db.db" in text) == (1, True)


def test_sigterm_of_a_leader_hands_over_and_ends_well(cluster):
    leader = cluster.leader()
    assert cluster.nodes[leader].stop() == 0
    now = cluster.leader()
    socket = control_socket(cluster.nodes[now].run, IC_NB)
    # Not "timeout": nobody had to miss it first.
    assert "reason: leadership_transfer" in call(socket, "cluster/status", NB)
    assert not any(alive(pid) for pid in cluster.nodes[leader].seen)


@pytest.mark.parametrize("number", [1, 2])
def test_node_that_reaches_nobody_waits_and_says_so(other, number):
    other.spawn(number)
    other.says(number, "not started (connection refused)")
    time.sleep(1.0)
    assert other.nodes[number].process.poll() is None
    assert not list(other.nodes[number].data.iterdir())
    assert other.nodes[number].stop() == 0


def test_founder_that_lost_its_disk_waits_if_one_member_is_down(other):
    """One node empty, one silent: the silent one may have the data."""
    other.spawn(1, 2)
    other.says(1, f"{other.addresses[1]} waits (empty)")
    time.sleep(1.0)
    assert not list(other.nodes[1].data.iterdir())


def test_two_nodes_that_both_want_to_found_wait(other):
    """LEADER_IP forgotten on a follower, where it means the node itself (the documents)."""
    other.spawn(1, 3)
    other.spawn(2, leader=2)
    other.says(1, f"waits for {other.addresses[1]} to found (LEADER_IP differs there)")
    time.sleep(1.0)
    assert not any(list(other.nodes[i].data.iterdir()) for i in (1, 2, 3))
