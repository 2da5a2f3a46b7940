"""Settings of ``ovnmesh ic-db`` from flags and environment, and the plan of switches. No I/O."""

from pathlib import Path

import pytest

from ovnmesh.errors import ConfigError, IcDbError
from ovnmesh.icdb.serve.switches import StoredSwitch, plan_switches
from ovnmesh.icdb.settings import Folders, WantedSwitch, parse_settings
from ovnmesh.ovsdb.encoding import encode_operations

NODES = {"NODE_IPS": "10.0.0.1, 10.0.0.2,10.0.0.3"}
FOLDERS = Folders(Path("/data"), Path("/run"), None)


def settings_of(env=None, **flags):
    return parse_settings(
        {name.replace("_", "-"): value for name, value in flags.items()}, env or {}, FOLDERS
    )


def subnets_of(env=None, **flags):
    return {switch.name: switch.subnet for switch in settings_of(env, **flags).switches}


def test_defaults():
    settings = settings_of()
    assert (str(settings.address), settings.nb_port, settings.sb_port) == ("::", 6645, 6646)
    assert settings.folders == FOLDERS
    assert subnets_of() == {"ts": "169.254.100.0/24"}


def test_names_and_subnets_of_further_switches():
    assert subnets_of(ts_count="2", protocol="ipv6") == {
        "ts": "fd00:a9fe:64::/112",
        "ts1": "fd00:a9fe:65::/112",
    }
    assert subnets_of(ts_count="2", protocol="dual") == {
        "ts": "169.254.100.0/24,fd00:a9fe:64::/112",
        "ts1": "169.254.101.0/24,fd00:a9fe:65::/112",
    }
    many = subnets_of(ts_count="128")
    assert many["ts127"] == "169.254.227.0/24"


def test_flags_win_over_the_environment_and_empty_is_unset():
    env = {"TS_NAME": "x", "TS_NUM": "3", "PROTOCOL": "ipv6", "LOCAL_IP": "10.0.0.1", "TS_CIDR": ""}
    settings = settings_of(env, ts_name="y", ts_count="1", protocol="ipv4", address="10.0.0.2")
    assert str(settings.address) == "10.0.0.2"
    assert settings.switches == (settings.switches[0],)
    assert (settings.switches[0].name, settings.switches[0].subnet) == ("y", "169.254.100.0/24")


def test_protocol_follows_the_subnet():
    assert subnets_of(ts_cidr="fd00::/64") == {"ts": "fd00::/64"}
    assert subnets_of(ts_cidr="10.0.0.0/24, fd00::/64") == {"ts": "10.0.0.0/24,fd00::/64"}


@pytest.mark.parametrize(
    ("flags", "env", "where", "text"),
    [
        ({"nb_port": "0"}, {}, "--nb-port", "1 to 65535"),
        ({"sb_port": "65536"}, {}, "--sb-port", "1 to 65535"),
        ({"sb_port": "6645"}, {}, "--sb-port", "another port"),
        ({"nb_port": "x"}, {}, "--nb-port", '"x"'),
        ({"address": "localhost"}, {}, "--address", "IPv4 or IPv6"),
        ({"address": "[::]"}, {}, "--address", "without brackets"),
        ({}, {"LOCAL_IP": "eth0"}, "LOCAL_IP (environment)", '"eth0"'),
        ({"ts_count": "129"}, {}, "--ts-count", "1 to 128"),
        ({}, {"TS_NUM": "ts"}, "TS_NUM (environment)", '"ts"'),
        ({"ts_name": "t s"}, {}, "--ts-name", "a space at position 2"),
        ({"ts_name": ""}, {}, "--ts-name", "an empty name"),
        ({}, {"TS_CIDR": "10.0.0.1/24"}, "TS_CIDR (environment)", '"10.0.0.0/24"'),
        ({"ts_cidr": "10.0.0.0"}, {}, "--ts-cidr", "prefix length"),
        ({"ts_cidr": "10.0.0.0/31"}, {}, "--ts-cidr", "4 or more"),
        ({"ts_cidr": "127.0.0.0/24"}, {}, "--ts-cidr", "unicast"),
        ({"ts_cidr": "224.0.0.0/24"}, {}, "--ts-cidr", "unicast"),
        ({"ts_cidr": "fe80:a9fe:64::/112"}, {}, "--ts-cidr", "learns no routes via link-local"),
        ({"ts_cidr": "10.0.0.0/24,10.1.0.0/24"}, {}, "--ts-cidr", "at most one IPv4"),
        ({"ts_cidr": "10.0.0.0/24", "protocol": "dual"}, {}, "--ts-cidr", 'protocol "dual"'),
        ({"ts_cidr": "255.255.255.0/24", "ts_count": "2"}, {}, "--ts-cidr", "do not suffice"),
        ({"protocol": "IPv4"}, {}, "--protocol", '"ipv4", "ipv6" or "dual"'),
        ({}, NODES, "--address", "which of the nodes 10.0.0.1, 10.0.0.2, 10.0.0.3"),
        ({"address": "10.0.0.4"}, NODES, "NODE_IPS (environment)", "own address, 10.0.0.4"),
        ({"address": "10.0.0.4", "nodes": "10.0.0.1"}, {}, "--nodes", "own address, 10.0.0.4"),
        ({"address": "10.0.0.1", "leader": "10.0.0.9"}, NODES, "--leader", "one of the nodes"),
        ({}, {"LEADER_IP": "10.0.0.1"}, "LEADER_IP (environment)", "name all nodes"),
        ({"leader": "gw"}, {}, "--leader", "IPv4 or IPv6"),
        ({"nodes": "10.0.0.1,gw"}, {}, "--nodes", '"gw"'),
        ({"nodes": "fd00::1,fd00:0::1"}, {}, "--nodes", "each node once"),
        ({"address": "10.0.0.1", "nb_raft_port": "6646"}, NODES, "--nb-raft-port", "different"),
        ({"address": "10.0.0.1", "election_timer": "99"}, NODES, "--election-timer", "100"),
        ({}, {"ENABLE_SSL": "true"}, "ENABLE_SSL (environment)", "TLS is not offered yet"),
    ],
)
def test_wrong_setting(flags, env, where, text):
    with pytest.raises(ConfigError) as caught:
        settings_of(env, **flags)
    (problem,) = caught.value.problems
    assert problem.where == where
    assert text in str(problem)


def test_cluster_of_the_documents():
    """They name no LEADER_IP on the leader itself."""
    for own in ("10.0.0.1", "10.0.0.2"):
        env = NODES | {"LOCAL_IP": own} | ({"LEADER_IP": "10.0.0.1"} if own != "10.0.0.1" else {})
        cluster = settings_of(env).cluster
        assert [str(node) for node in cluster.nodes] == ["10.0.0.1", "10.0.0.2", "10.0.0.3"]
        assert str(cluster.leader) == "10.0.0.1"
        assert (cluster.nb_raft_port, cluster.sb_raft_port) == (6647, 6648)


def test_flags_of_a_cluster_win_over_the_environment():
    env = NODES | {"LOCAL_IP": "10.0.0.1", "LEADER_IP": "10.0.0.3"}
    settings = settings_of(env, address="fd00::1", nodes="fd00::2,fd00::1", leader="fd00::2")
    assert str(settings.cluster.leader) == "fd00::2"


@pytest.mark.parametrize("env", [{}, {"NODE_IPS": "10.0.0.1"}, {"LEADER_IP": "10.0.0.1"}])
def test_one_node_serves_alone(env):
    assert settings_of(env | {"LOCAL_IP": "10.0.0.1"}).cluster is None


def stored_switches(subnets):
    """Rows of transit switches with these subnets by name."""
    return {name: StoredSwitch(f"uuid of {name}", subnet) for name, subnet in subnets.items()}


def test_plan_over_a_healthy_database_is_empty():
    wanted = settings_of(ts_count="2").switches
    stored = {"ts": "169.254.100.0/24", "ts1": "169.254.101.0/24", "foreign": None}
    plan = plan_switches(wanted, stored_switches(stored))
    assert (plan.operations, plan.changes, plan.warnings) == ((), (), ())


def test_order_within_a_stored_subnet_does_not_matter():
    wanted = settings_of(protocol="dual").switches
    plan = plan_switches(wanted, stored_switches({"ts": "fd00:a9fe:64::/112, 169.254.100.0/24"}))
    assert plan.warnings == ()


def test_stored_nonsense_is_kept_with_a_warning():
    (switch,) = settings_of().switches
    assert isinstance(switch, WantedSwitch)
    plan = plan_switches([switch], stored_switches({"ts": "nonsense", "other": "10.0.0.0/99"}))
    assert plan.operations == ()
    assert "keeps its subnet nonsense" in plan.warnings[0]


@pytest.mark.parametrize(
    "stored", ["169.254.100.0/24", "169.254.0.0/16", "fd00::/8,169.254.100.8/29"]
)
def test_overlap_is_refused_before_anything_is_written(stored):
    with pytest.raises(IcDbError, match="of transit switch other"):
        plan_switches(settings_of().switches, stored_switches({"other": stored}))


def test_new_switches_and_one_without_a_subnet_in_one_transaction():
    wanted = settings_of(ts_count="3").switches
    plan = plan_switches(wanted, stored_switches({"ts1": None}))
    new, complete, other = encode_operations(plan.operations)
    assert [each["row"]["name"] for each in (new, other)] == ["ts", "ts2"]
    assert new["uuid-name"] != other["uuid-name"]
    assert complete["where"] == [["_uuid", "==", ["uuid", "uuid of ts1"]]]
    added = ["external_ids", "insert", ["map", [["subnet", "169.254.101.0/24"]]]]
    assert complete["mutations"][-1] == added
