"""The documents' texts, parsed: what is accepted, and what every error says. No I/O."""

import ipaddress

import pytest

from ovnmesh.config import InterconnectConfig, check_gateways, parse_config
from ovnmesh.errors import ConfigError
from ovnmesh.providers.cluster import Node, Subnet, parse_node, parse_subnet

WHERE = "ConfigMap kube-system/ovn-ic-config"
GOOD = {
    "enable-ic": "true",
    "az-name": "az1",
    "ic-db-host": "192.168.65.3",
    "ic-nb-port": "6645",
    "ic-sb-port": "6646",
    "gw-nodes": "az1-gw",
    "auto-route": "true",
}


def problems_of(call, *args):
    with pytest.raises(ConfigError) as caught:
        call(*args)
    return caught.value.problems


def ip(text):
    return ipaddress.ip_address(text)


def test_documents_config():
    assert parse_config(GOOD, WHERE) == InterconnectConfig(
        True, "az1", (ip("192.168.65.3"),), 6645, 6646, ("az1-gw",), True, False
    )


def test_several_hosts_and_gateways_keep_their_order():
    data = GOOD | {"ic-db-host": "10.0.0.2, fd00::1,10.0.0.1", "gw-nodes": "b, a,c"}
    config = parse_config(data, WHERE)
    assert config.gw_nodes == ("b", "a", "c")
    assert str(config.ic_nb_remote()) == "tcp:10.0.0.2:6645,tcp:[fd00::1]:6645,tcp:10.0.0.1:6645"
    assert str(config.ic_sb_remote()) == "tcp:10.0.0.2:6646,tcp:[fd00::1]:6646,tcp:10.0.0.1:6646"


def test_ports_have_the_documents_defaults():
    data = {key: value for key, value in GOOD.items() if not key.endswith("-port")}
    config = parse_config(data, WHERE)
    assert (config.ic_nb_port, config.ic_sb_port) == (6645, 6646)


def test_advertise_nodes():
    assert parse_config(GOOD | {"advertise-nodes": "true"}, WHERE).advertise_nodes


def test_disabled_needs_nothing_else():
    assert parse_config({"enable-ic": "false"}, WHERE) == InterconnectConfig(False)


def test_disabled_still_checks_what_is_there():
    (problem,) = problems_of(parse_config, {"enable-ic": "false", "az-name": "ä"}, WHERE)
    assert problem.where == f"{WHERE}, data.az-name"


# key, value, what "found" holds, what "expected" holds
BAD_VALUES = [
    ("enable-ic", "True", '"True"', 'did you mean "true"?'),
    ("enable-ic", "TRUE", '"TRUE"', 'did you mean "true"?'),
    ("enable-ic", "false ", '"false "', 'did you mean "false"?'),
    ("enable-ic", "treu", '"treu"', '"true" or "false"'),
    ("enable-ic", "yes", '"yes"', '"true" or "false"'),
    ("enable-ic", "1", '"1"', '"true" or "false"'),
    ("enable-ic", "", '""', '"true" or "false"'),
    ("enable-ic", True, "the boolean true (no quotes)", "in quotes"),
    ("enable-ic", None, "nothing", "in quotes"),
    ("auto-route", False, "the boolean false (no quotes)", "in quotes"),
    ("auto-route", "off", '"off"', '"true" or "false"'),
    ("advertise-nodes", "t", '"t"', '"true" or "false"'),
    ("az-name", "", "an empty name", "letters, digits"),
    ("az-name", "prod east", '"prod east" (a space at position 5)', 'letters, digits, "-"'),
    ("az-name", " az1", "a space at position 1", "letters"),
    ("az-name", "zürich", '"zürich" ("ü", U+00FC, at position 2)', "letters"),
    ("az-name", "az\u200b1", '"az\\u200b1" (U+200B at position 3)', "letters"),
    ("az-name", "az1\n", '"az1\\n" (U+000A at position 4)', "letters"),
    ("az-name", "az/1", '("/" at position 3)', "letters"),
    ("az-name", "az１", "U+FF11", "letters"),
    ("az-name", "a" * 64, "(64 characters)", "at most 63 characters"),
    ("az-name", 1, "the number 1 (no quotes)", "in quotes"),
    ("az-name", ["az1"], "a list", "in quotes"),
    ("ic-db-host", "", '""', "addresses, comma-separated"),
    ("ic-db-host", "ic.example.com", '"ic.example.com" (a host name)', "IPv4 or IPv6"),
    ("ic-db-host", "localhost", "(a host name)", "IPv4 or IPv6"),
    ("ic-db-host", "192.168.65.300", '"192.168.65.300"', "IPv4 or IPv6"),
    ("ic-db-host", "192.168.065.3", '"192.168.065.3"', "IPv4 or IPv6"),
    ("ic-db-host", "192.168.65.3:6645", '"192.168.65.3:6645"', "without port"),
    ("ic-db-host", "[fd00::1]", '"[fd00::1]"', "without brackets"),
    ("ic-db-host", "[fd00::1]:6645", "[fd00::1]:6645", "without brackets"),
    ("ic-db-host", "tcp:192.168.65.3:6645", "tcp:", "IPv4 or IPv6"),
    ("ic-db-host", "192.168.65.0/24", '"192.168.65.0/24"', "IPv4 or IPv6"),
    ("ic-db-host", "10.0.0.1,", "an empty entry in", "comma-separated"),
    ("ic-db-host", "10.0.0.1;10.0.0.2", '"10.0.0.1;10.0.0.2"', "comma-separated"),
    ("ic-db-host", "10.0.0.1,10.0.0.1", '"10.0.0.1" twice', "only once"),
    ("ic-db-host", "fd00::1,fd00:0::1", '"fd00::1" twice', "only once"),
    ("ic-db-host", "0.0.0.0", '"0.0.0.0"', "every site can reach"),
    ("ic-db-host", "::", '"::"', "every site can reach"),
    ("ic-db-host", "224.0.0.1", '"224.0.0.1"', "every site can reach"),
    ("ic-db-host", "fe80::1%eth0", "fe80::1%eth0", "every site can reach"),
    ("ic-db-host", {"a": "b"}, "a mapping", "in quotes"),
    ("ic-nb-port", "0", '"0"', "1 to 65535"),
    ("ic-nb-port", "65536", '"65536"', "1 to 65535"),
    ("ic-nb-port", "-1", '"-1"', "1 to 65535"),
    ("ic-nb-port", "06645", '"06645"', "digits only"),
    ("ic-nb-port", "6645 ", '"6645 "', "digits only"),
    ("ic-nb-port", "0x19f5", '"0x19f5"', "digits only"),
    ("ic-nb-port", "6_645", '"6_645"', "digits only"),
    ("ic-nb-port", "٦٦٤٥", '"٦٦٤٥"', "digits only"),
    ("ic-nb-port", "", '""', "a TCP port"),
    ("ic-nb-port", "http", '"http"', "a TCP port"),
    ("ic-nb-port", 6645, "the number 6645 (no quotes)", "in quotes"),
    pytest.param("ic-nb-port", 10**5000, "a huge number", "in quotes", id="huge"),
    ("ic-sb-port", 6646.5, "the number 6646.5 (no quotes)", "in quotes"),
    ("ic-sb-port", "6645", '"6645"', "another port than that of ic-nb-port"),
    ("gw-nodes", "", '""', "node names, comma-separated"),
    ("gw-nodes", ",", "an empty entry in", "comma-separated"),
    ("gw-nodes", "a,,b", 'an empty entry in "a,,b"', "comma-separated"),
    ("gw-nodes", "a, b ,a", '"a" twice', "only once"),
    ("gw-nodes", "node 1", "a space at position 5", "letters"),
    ("gw-nodes", "node1;node2", '(";" at position 6)', "letters"),
    ("gw-nodes", "n" * 254, "(254 characters)", "at most 253"),
    ("gw-nodes", ["a", "b"], "a list", "in quotes"),
]


@pytest.mark.parametrize(("key", "value", "found", "expected"), BAD_VALUES)
def test_bad_value(key, value, found, expected):
    problems = problems_of(parse_config, GOOD | {key: value}, WHERE)
    assert {problem.where for problem in problems} == {f"{WHERE}, data.{key}"}
    assert found in problems[0].found
    assert expected in problems[0].expected


@pytest.mark.parametrize("key", ["enable-ic", "az-name", "ic-db-host", "gw-nodes", "auto-route"])
def test_missing_key(key):
    data = {k: v for k, v in GOOD.items() if k != key}
    (problem,) = problems_of(parse_config, data, WHERE)
    assert (problem.where, problem.found) == (f"{WHERE}, data.{key}", "nothing")


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("gw-node", 'did you mean "gw-nodes"?'),
        ("gw_nodes", 'did you mean "gw-nodes"?'),
        ("gwNodes", 'did you mean "gw-nodes"?'),
        ("enable_ic", 'did you mean "enable-ic"?'),
        ("ic-db-hosts", 'did you mean "ic-db-host"?'),
        ("ENABLE-IC", 'did you mean "enable-ic"?'),
        ("xyzzy", "one of enable-ic, az-name"),
        pytest.param("x" * 100000, "one of enable-ic", id="long"),
        (7, "one of enable-ic"),
        (None, "one of enable-ic"),
    ],
)
def test_unknown_key(key, expected):
    (problem,) = problems_of(parse_config, GOOD | {key: "1"}, WHERE)
    assert problem.found == "an unknown key"
    assert expected in problem.expected
    assert len(str(problem)) < 500


@pytest.mark.parametrize("data", [None, [], "enable-ic: true", 1, True, [GOOD]])
def test_data_that_is_no_mapping(data):
    (problem,) = problems_of(parse_config, data, WHERE)
    assert problem.where == f"{WHERE}, data"
    assert "keys with strings" in problem.expected


def test_all_errors_at_once_in_the_documents_order():
    data = {"gw-nodes": "a,a", "az-name": "prod east", "enable-ic": "yes", "auto_route": "true"}
    problems = problems_of(parse_config, data, WHERE)
    assert [problem.where.rpartition(".")[2] for problem in problems] == [
        "gw-nodes",
        "az-name",
        "enable-ic",
        "auto_route",
        "ic-db-host",
        "auto-route",
    ]


def test_error_text():
    (problem,) = problems_of(parse_config, GOOD | {"az-name": "prod east"}, WHERE)
    assert str(problem) == (
        'ConfigMap kube-system/ovn-ic-config, data.az-name: found "prod east" (a space at '
        'position 5); expected letters, digits, "-", "_", "."'
    )


def subnet(**spec):
    return {
        "apiVersion": "kubeovn.io/v1",
        "kind": "Subnet",
        "metadata": {"name": "s"},
        "spec": spec,
    }


def test_subnet():
    assert parse_subnet(subnet(cidrBlock="10.199.0.0/16"), "S") == Subnet(
        "s", (ipaddress.ip_network("10.199.0.0/16"),)
    )
    dual = subnet(cidrBlock="10.1.0.0/16,fd00:1::/64", disableInterConnection=True, vpc="blue")
    networks = (ipaddress.ip_network("10.1.0.0/16"), ipaddress.ip_network("fd00:1::/64"))
    assert parse_subnet(dual, "S") == Subnet(
        "s", networks, "Subnet s: disableInterConnection", "blue"
    )
    assert parse_subnet(subnet(cidrBlock="10.1.0.0/16", vpc=""), "S").vpc == "ovn-cluster"


@pytest.mark.parametrize(
    ("manifest", "where", "found", "expected"),
    [
        (subnet(cidrBlock="10.1.0.1/16"), "S, spec.cidrBlock", "host bits", '"10.1.0.0/16"'),
        (subnet(cidrBlock="10.1.0.0"), "S, spec.cidrBlock", '"10.1.0.0"', "prefix length"),
        (subnet(cidrBlock="10.1.0.0/33"), "S, spec.cidrBlock", "/33", "prefix length"),
        (subnet(cidrBlock="10.1.0.0/255.255.0.0"), "S, spec.cidrBlock", "255", "prefix length"),
        (subnet(cidrBlock="0.0.0.0/0"), "S, spec.cidrBlock", "0/0", "not all addresses"),
        (subnet(cidrBlock=""), "S, spec.cidrBlock", '""', "networks"),
        (subnet(cidrBlock="10.1.0.0/16,10.2.0.0/16"), "S, spec.cidrBlock", "10.2", "at most one"),
        (subnet(cidrBlock=["10.1.0.0/16"]), "S, spec.cidrBlock", "a list", "text"),
        (subnet(), "S, spec.cidrBlock", "nothing", "a network"),
        (
            subnet(cidrBlock="10.1.0.0/16", disableInterConnection="true"),
            "S, spec.disableInterConnection",
            '"true"',
            "without quotes",
        ),
        (
            subnet(cidrBlock="10.1.0.0/16", disableInterconnection=True),
            "S, spec.disableInterconnection",
            "an unknown key",
            '"disableInterConnection", which differs in letter case',
        ),
        (subnet(cidrBlock="10.1.0.0/16", vpc="a b"), "S, spec.vpc", "a space", "letters"),
        ({"metadata": {"name": "s"}}, "S, spec", "nothing", "keys of a Subnet"),
        ({"metadata": {}, "spec": {"cidrBlock": "10.1.0.0/16"}}, "S, metadata.name", "nothing", ""),
        ({"spec": {"cidrBlock": "10.1.0.0/16"}}, "S, metadata", "nothing", "a mapping"),
        ([], "S", "a list", "a Subnet manifest"),
    ],
)
def test_bad_subnet(manifest, where, found, expected):
    (problem,) = problems_of(parse_subnet, manifest, "S")
    assert problem.where == where
    assert found in problem.found
    assert expected in problem.expected


def node(*addresses):
    return {"metadata": {"name": "az1-gw"}, "status": {"addresses": list(addresses)}}


def test_node():
    manifest = node(
        {"type": "InternalIP", "address": "192.168.42.145"},
        {"type": "Hostname", "address": "az1-gw"},
        {"type": "ExternalIP", "address": "203.0.113.7"},
        {"type": "InternalIP", "address": "fd00::5"},
    )
    assert parse_node(manifest, "N") == Node("az1-gw", (ip("192.168.42.145"), ip("fd00::5")))


@pytest.mark.parametrize("status", [None, {}, {"addresses": None}, {"addresses": []}])
def test_node_without_address_yet(status):
    assert parse_node({"metadata": {"name": "n"}, "status": status}, "N") == Node("n", ())


@pytest.mark.parametrize(
    ("manifest", "where"),
    [
        (node({"type": "InternalIP", "address": "10.0.0.256"}), "N, status.addresses[0].address"),
        (node({}, {"type": "InternalIP"}), "N, status.addresses[1].address"),
        (node({"type": "InternalIP", "address": 10}), "N, status.addresses[0].address"),
        ({"metadata": {"name": "n"}, "status": {"addresses": "10.0.0.1"}}, "N, status.addresses"),
        ({"metadata": {"name": "n"}, "status": "Ready"}, "N, status.addresses"),
        ({"metadata": {"name": ""}}, "N, metadata.name"),
        ({"metadata": {"name": 5}}, "N, metadata.name"),
        (None, "N"),
    ],
)
def test_bad_node(manifest, where):
    (problem,) = problems_of(parse_node, manifest, "N")
    assert problem.where == where


def test_gateways_that_are_no_nodes():
    nodes = ["az1-gw", "az1-worker"]
    config = parse_config(GOOD | {"gw-nodes": "az1-gw,az1-gv,other"}, WHERE)
    typo, stranger = check_gateways(config, nodes, WHERE)
    assert typo.where == f"{WHERE}, data.gw-nodes"
    assert typo.found == '"az1-gv", which is no node of this site'
    assert typo.expected == 'a node of the cluster: did you mean "az1-gw"?'
    assert stranger.expected == "a node of the cluster: az1-gw, az1-worker"


def test_gateways_are_checked_though_another_key_is_wrong():
    data = GOOD | {"gw-nodes": "az1-gv", "enable-ic": "yes"}
    with pytest.raises(ConfigError) as caught:
        parse_config(data, WHERE, ["az1-gw"])
    assert [p.where.split(".")[-1] for p in caught.value.problems] == ["enable-ic", "gw-nodes"]


def test_gateways_are_not_checked_without_nodes_or_when_leaving():
    config = parse_config(GOOD | {"gw-nodes": "gone"}, WHERE)
    assert check_gateways(config, [], WHERE) == ()
    leaving = parse_config(GOOD | {"gw-nodes": "gone", "enable-ic": "false"}, WHERE)
    assert check_gateways(leaving, ["n"], WHERE) == ()
