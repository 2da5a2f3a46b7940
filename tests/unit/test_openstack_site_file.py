"""The site file of an OpenStack cloud: the keys, their types, every mistake with its line."""

from ipaddress import ip_address, ip_network

import pytest

from ovnmesh.config import InterconnectConfig
from ovnmesh.errors import ConfigError
from ovnmesh.model.desired import GatewayPolicy
from ovnmesh.providers.files.yaml_documents import parse_documents
from ovnmesh.providers.openstack.site_spec import (
    OpenStackSite,
    RouterChoice,
    parse_site,
    safe_label,
)

WHOLE = """\
az-name: os1
enable-ic: true
cloud: mycloud
clouds-yaml: /etc/openstack/clouds.yaml
routers:
  - router0
  - {name: router 1, transit-switches: [ts1]}
ic-db-host: [192.168.65.3, 192.168.65.4]
ic-nb-port: 6645
ic-sb-port: 6646
gw-nodes: enable-chassis-as-gw
auto-route: true
deny: [10.99.0.0/16, "fd99::/64"]
gateway-mode: active-active
gateway-mtu: off
bfd-min-rx: 200
"""
LEAST = """\
az-name: os1
cloud: mycloud
routers: router0
ic-db-host: 192.168.65.3
gw-nodes: [net1, net2]
"""


def parse(text):
    (document,) = parse_documents(text.encode(), "os1.yaml")
    return parse_site(document, "os1.yaml", getattr(document, "lines", {}))


def problems(text):
    with pytest.raises(ConfigError) as caught:
        parse(text)
    return [str(problem) for problem in caught.value.problems]


def test_every_key():
    assert parse(WHOLE) == OpenStackSite(
        InterconnectConfig(
            enable_ic=True,
            az_name="os1",
            ic_db_hosts=(ip_address("192.168.65.3"), ip_address("192.168.65.4")),
            gw_nodes=("enable-chassis-as-gw",),
            auto_route=True,
            gateways=GatewayPolicy(active_active=True, mtu_bytes=0, bfd_min_rx_ms=200),
        ),
        "mycloud",
        "/etc/openstack/clouds.yaml",
        (RouterChoice("router0"), RouterChoice("router 1", ("ts1",))),
        (ip_network("10.99.0.0/16"), ip_network("fd99::/64")),
    )


def test_defaults_join_and_advertise():
    site = parse(LEAST)
    assert (site.config.enable_ic, site.config.auto_route) == (True, True)
    assert site.config.gw_nodes == ("net1", "net2")
    assert (site.routers, site.deny, site.clouds_yaml) == ((RouterChoice("router0"),), (), "")


def test_texts_of_a_config_map_are_taken_too():
    texts = LEAST.replace("[net1, net2]", '"net1,net2"') + 'ic-nb-port: "7645"\nenable-ic: "true"\n'
    site = parse(texts)
    assert site.config.ic_nb_port == 7645
    assert site.config.gw_nodes == ("net1", "net2")


def test_leaving_needs_nothing_else():
    assert parse("enable-ic: false\n").config == InterconnectConfig(False, auto_route=True)


def test_every_mistake_at_once_in_the_files_order():
    text = LEAST.replace("az-name: os1", "az-name: prod east").replace("net1, net2", "net1, net1")
    assert problems(text + "ic-nb-prot: 6645\nauto-route: maybe\nbfd-mult: [3]\n") == [
        'os1.yaml:1, az-name: found "prod east" (a space at position 5); '
        'expected letters, digits, "-", "_", "."',
        'os1.yaml:5, gw-nodes: found "net1" twice; expected each only once',
        "os1.yaml:6, ic-nb-prot: found an unknown key; expected a known one: did you mean "
        '"ic-nb-port"?',
        'os1.yaml:7, auto-route: found "maybe"; expected "true" or "false", in small letters',
        "os1.yaml:8, bfd-mult: found a list; expected a number of packets",
    ]


def test_what_is_missing_is_named_without_a_line():
    found = problems("az-name: os1\n")
    assert [line.partition(": ")[0] for line in found] == [
        "os1.yaml, cloud",
        "os1.yaml, routers",
        "os1.yaml, ic-db-host",
        "os1.yaml, gw-nodes",
    ]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("[]", "found an empty list"),
        ("", "found nothing"),
        ("[router0, router0]", 'found entry 2: "router0" twice'),
        ("[42]", "found entry 1: the number 42 (no quotes)"),
        ("[{nam: router0}]", "found entry 1: an unknown key (nam)"),
        ("[{nam: router0}]", "found entry 1: nothing; expected a name or id"),
        ("[{name: r, transit-switches: [a b]}]", 'found entry 1: "a b" (a space at position 2)'),
        ("[{name: r, transit-switches: []}]", "found entry 1: a list (transit-switches)"),
        ("[{name: r, transit-switches: [ts, ts]}]", 'found entry 1: "ts" twice'),
        ('[" "]', 'found entry 1: " "'),
    ],
)
def test_wrong_routers(value, said):
    text = LEAST.replace("routers: router0", f"routers: {value}")
    assert any(line.startswith(f"os1.yaml:3, routers: {said}") for line in problems(text))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("deny: [10.99.0.1/16]", 'found "10.99.0.1/16" (host bits are set)'),
        ("deny: [0.0.0.0/0]", 'found "0.0.0.0/0"; expected a network, not all addresses'),
        ("deny: [7]", "found the number 7 (no quotes)"),
        ("clouds-yaml: [a]", "found a list"),
        ("advertise-nodes: true", "found an unknown key"),
    ],
)
def test_wrong_keys_of_our_own(line, said):
    (found,) = problems(f"{LEAST}{line}\n")
    assert found.startswith(f"os1.yaml:6, {line.partition(':')[0]}: {said}")


def test_no_mapping():
    assert problems("- az-name: os1\n") == [
        "os1.yaml: found a list; expected keys such as az-name: os1"
    ]


@pytest.mark.parametrize(
    ("name", "safe"),
    [("router0", True), ("a.b_c-d", True), ("a b", False), ("", False), ("r" * 64, False)],
)
def test_names_that_can_be_part_of_a_port_s_name(name, safe):
    assert safe_label(name) is safe
