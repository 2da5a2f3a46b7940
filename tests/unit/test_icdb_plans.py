"""What a cluster's status says, which members may be removed, what a restore writes. No I/O."""

from ipaddress import ip_address

import pytest

from ovnmesh.errors import ConfigError, IcDbError
from ovnmesh.icdb.backup.restore import TABLES, plan_restore
from ovnmesh.icdb.cluster.members import check_removal, find_members
from ovnmesh.icdb.database.files import IC_NB, IC_SB
from ovnmesh.icdb.database.listeners import parse_raft_address
from ovnmesh.icdb.database.raft_status import parse_status

# Of ovsdb-server 3.1.0.
FOLLOWER = """bfec
Name: OVN_IC_Northbound
Cluster ID: 5554 (55540e6d-7df5-4830-91c4-2a497474a6d8)
Server ID: bfec (bfecd761-d648-4695-9246-c698d72948c5)
Address: tcp:[fd00::2]:6647
Status: cluster member
Role: follower
Term: 2
Leader: 6b13
Vote: unknown

Election timer: 500
Log: [2, 5]
Entries not yet committed: 0
Entries not yet applied: 0
Connections: ->0000 <-6b13 (->77aa)
Disconnections: 1
Servers:
    bfec (bfec at tcp:[fd00::2]:6647) (self)
    6b13 (6b13 at tcp:[fd00::1]:6647) last msg 172 ms ago
    77aa (77aa at tcp:[fd00::3]:6647) last msg 99172 ms ago
"""
LEADER = (
    FOLLOWER.replace("Role: follower", "Role: leader")
    .replace("Leader: 6b13", "Leader: self")
    .replace("<-6b13", "<-6b13 ->77aa")
)


def test_status_of_a_follower():
    status = parse_status(FOLLOWER)
    assert status.serves
    assert (status.cluster[:4], status.server[:4], status.election_timer_ms) == (
        "5554",
        "bfec",
        500,
    )
    seen = {m.server: (m.role, m.connected, m.here) for m in status.members}
    assert seen == {
        "bfec": ("follower", True, True),
        "6b13": ("leader", True, False),
        "77aa": ("follower", False, False),
    }


def test_a_leader_believes_answers_more_than_connections():
    """A host that is cut off keeps its connection for a while."""
    seen = {m.server: (m.role, m.connected) for m in parse_status(LEADER).members}
    assert seen["bfec"] == ("leader", True)
    assert seen["6b13"] == ("follower", True)
    assert seen["77aa"] == ("follower", False)


@pytest.mark.parametrize(
    ("change", "serves"),
    [
        (("Leader: 6b13", "Leader: unknown"), False),
        (("Status: cluster member", "Status: joining cluster"), False),
        (("Status: cluster member", "Status: disconnected from the cluster (x)"), False),
    ],
)
def test_status_without_a_leader(change, serves):
    assert parse_status(FOLLOWER.replace(*change)).serves is serves


@pytest.mark.parametrize("name", ["fd00::3", "fd00:0::3", "77aa", "tcp:[fd00::3]:6647"])
def test_member_by_address_or_id(name):
    found = find_members({IC_NB: parse_status(LEADER)}, name)
    assert found[IC_NB].server == "77aa"


def test_raft_addresses_as_kube_ovn_writes_them():
    assert parse_raft_address("tcp:[10.0.0.1]:6647") == parse_raft_address("tcp:10.0.0.1:6647")
    assert parse_raft_address("tcp:[fd00::1]:6647") == (ip_address("fd00::1"), 6647)
    for other in ("ssl:10.0.0.1:6647", "tcp:10.0.0.1", "tcp:host:6647", ""):
        assert parse_raft_address(other) is None


@pytest.mark.parametrize("name", ["fd00::4", "77", "6647", ""])
def test_no_such_member(name):
    with pytest.raises(ConfigError, match="member list"):
        find_members({IC_NB: parse_status(LEADER)}, name)


@pytest.mark.parametrize(
    ("server", "text", "found"),
    [
        ("6b13", LEADER, "found 1 of the 2 other servers connected"),
        ("bfec", LEADER, "found 1 of the 2 other servers connected"),
        ("77aa", FOLLOWER.replace("Leader: 6b13", "Leader: unknown"), "without a leader"),
        ("bfec", LEADER.replace("last msg 99172", "last msg 99"), "found the leader"),
    ],
)
def test_removal_that_would_do_harm(server, text, found):
    status = parse_status(text)
    member = find_members({IC_NB: status}, server)[IC_NB]
    with pytest.raises(IcDbError, match=found):
        check_removal(IC_NB, status, member, force=False)


def test_removal_of_a_dead_member_and_of_a_leader_by_force():
    status = parse_status(LEADER)
    check_removal(IC_NB, status, find_members({IC_NB: status}, "77aa")[IC_NB], force=False)
    whole = parse_status(LEADER.replace("last msg 99172", "last msg 99"))
    check_removal(IC_NB, whole, find_members({IC_NB: whole}, "bfec")[IC_NB], force=True)


def row(uuid, **columns):
    maps = {k: ["map", list(v.items())] if isinstance(v, dict) else v for k, v in columns.items()}
    return {"_uuid": ["uuid", uuid], "_version": ["uuid", f"v{uuid}"], **maps}


def north(switches=(), **claims):
    return {"IC_NB_Global": [row("g", external_ids=claims)], "Transit_Switch": list(switches)}


def south(**tables):
    return dict.fromkeys(TABLES["OVN_IC_Southbound"], ()) | tables


def registered(key, uuid="p"):
    return south(
        Availability_Zone=[row("z", name="az1")],
        Port_Binding=[row(uuid, logical_port="ts-az1", tunnel_key=key)],
    )


def test_restore_of_the_same_is_nothing():
    for force in (True, False):
        for db, rows in ((IC_NB, north([row("s", name="ts")], a="1")), (IC_SB, registered(3))):
            assert plan_restore(db, rows, rows, force).operations == ()


def test_ic_nb_gets_what_is_missing_and_loses_nothing():
    live = north(
        [row("s", name="ts", external_ids={"subnet": "x", "new": "1"}), row("n", name="n")]
    )
    then = north(
        [row("s", name="ts", external_ids={"subnet": "y", "old": "1"}), row("t", name="ts1")], a="1"
    )
    plan = plan_restore(IC_NB, live, then, force=False)
    insert, mutate, claim = plan.operations
    assert (insert["op"], insert["uuid"], insert["row"]) == ("insert", "t", {"name": "ts1"})
    assert mutate["mutations"] == [["external_ids", "insert", ["map", [["old", "1"]]]]]
    assert claim["table"] == "IC_NB_Global"
    assert plan.kept == (
        'transit switch ts: subnet is "x", and "y" in the backup',
        "transit switch n is not in the backup",
    )


def test_claim_of_an_address_that_another_site_has_now_is_left_out():
    live = north([row("s", name="ts", external_ids={"ovnmesh-claim-b": "m 10.0.0.1/24"})])
    then = north([row("s", name="ts", external_ids={"ovnmesh-claim-a": "m 10.0.0.1/24"})])
    plan = plan_restore(IC_NB, live, then, force=False)
    assert plan.operations == ()
    assert "another site has that address now" in plan.kept[0]


def test_ic_sb_with_other_keys_is_refused_unless_forced():
    plan = plan_restore(IC_SB, registered(7), registered(3), force=False)
    assert plan.operations == ()
    assert "port ts-az1 has 7, and 3 in the backup" in plan.refusal
    (update,) = plan_restore(IC_SB, registered(7), registered(3), force=True).operations
    assert (update["op"], update["row"]) == ("update", {"tunnel_key": 3})


def test_ic_sb_whose_sites_have_the_keys_is_left_alone():
    plan = plan_restore(IC_SB, registered(3, "other"), registered(3), force=False)
    assert (plan.operations, plan.refusal) == ((), "")
    assert "az1 keep the other rows up to date" in plan.kept[0]


def test_ic_sb_without_a_site_gets_everything():
    plan = plan_restore(IC_SB, south(), registered(3), force=False)
    assert [(o["op"], o["table"]) for o in plan.operations] == [
        ("insert", "Availability_Zone"),
        ("insert", "Port_Binding"),
    ]
