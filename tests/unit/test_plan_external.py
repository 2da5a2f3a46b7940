"""External networks are kept to the site; NAT that the second gateway port breaks is told of."""

import pytest

from fake_mesh import Mesh, Site, wish
from ovnmesh import ovn_keys as keys
from ovnmesh.model.changes import Db
from ovnmesh.model.desired import Desired, Router
from ovnmesh.model.finding import Severity
from ovnmesh.plan.site import plan_site
from ovnmesh.views.site_overview import site_overview

OUTER = "ovn-cluster-ovn-external"


@pytest.fixture
def site() -> Site:
    return dual_stack()


def dual_stack(**more: str) -> Site:
    return Site(Mesh(subnets=("169.254.{n}.0/24,fd00:a9fe:{n}::/112",)), **more)  # type: ignore[arg-type]


def external_port(site: Site, *networks: str, group: str = "") -> str:
    return site.db.add_child(
        Db.NB,
        ("Logical_Router", site.router, "ports"),
        "Logical_Router_Port",
        name=OUTER,
        mac="00:00:00:00:00:09",
        networks=frozenset(networks),
        gateway_chassis=frozenset() if group else frozenset({"some-row"}),
        ha_chassis_group=frozenset({group} if group else ()),
        external_ids={},
    )


def nat(site: Site, address: str, port: str = "") -> str:
    return site.db.add_child(
        Db.NB,
        ("Logical_Router", site.router, "nat"),
        "NAT",
        external_ip=address,
        gateway_port=frozenset({port} if port else ()),
    )


def denied(site: Site) -> list[str]:
    (row,) = site.db.tables[Db.NB]["NB_Global"].values()
    return row["options"][keys.ROUTE_BLACKLIST].split(",")


def codes(site: Site, desired: Desired | None = None) -> list[str]:
    return [finding.code for finding in plan_site(desired or wish(), site.observed).findings]


@pytest.mark.parametrize("group", ["", "of-neutron"])
def test_networks_of_gateway_ports_are_denied(site: Site, group: str) -> None:
    external_port(site, "172.31.1.2/24", group=group)
    site.settle(wish())
    assert "172.31.1.0/24" in denied(site)
    assert not any(network.startswith(("10.16.", "100.64.")) for network in denied(site))
    assert codes(site) == []


def test_our_own_gateway_ports_are_not_external(site: Site) -> None:
    site.settle(wish())
    assert denied(site) == ["169.254.0.0/16"]
    wide = Site(Mesh(subnets=("192.0.2.0/24",)))
    wide.settle(wish())
    external_port(wide, "192.0.2.77/24")  # made by hand on the transit switch
    assert codes(wide) == []
    wide.settle(wish())
    assert denied(wide) == ["169.254.0.0/16"]


def test_entries_go_with_the_port(site: Site) -> None:
    port = external_port(site, "172.31.1.2/24")
    site.settle(wish())
    router = site.db.tables[Db.NB]["Logical_Router"][site.router]
    router["ports"] = router["ports"] - {port}
    site.settle(wish())
    assert denied(site) == ["169.254.0.0/16"]


def test_two_sites_on_one_external_network_are_no_conflict(site: Site) -> None:
    other = Site(site.mesh, "10.17.0.1/16", "100.65.0.1/16", number=2)
    for number, each in enumerate((site, other), start=1):
        external_port(each, f"172.31.1.{number}/24")
        each.settle(wish(f"az{number}"))
    for number, each in enumerate((site, other), start=1):
        assert codes(each, wish(f"az{number}")) == []


def test_a_network_that_holds_others_is_advertised_and_told_of(site: Site) -> None:
    external_port(site, "10.0.0.1/8")
    site.settle(wish())
    assert denied(site) == ["169.254.0.0/16"]
    (finding,) = plan_site(wish(), site.observed).findings
    assert (finding.code, finding.subject) == ("external-network-advertised", "10.0.0.0/8")
    assert codes(site, wish(auto_route=False)) == []


def test_an_ipv6_network_is_denied_where_that_does_not_deny_all_ipv6(site: Site) -> None:
    external_port(site, "172.31.1.2/24", "fd00:172::2/112")
    site.settle(wish())
    assert "172.31.1.0/24" in denied(site)
    assert "fd00:172::/112" not in denied(site)
    assert codes(site) == ["external-network-advertised"]
    new = dual_stack(version="23.03.3-1")
    external_port(new, "172.31.1.2/24", "fd00:172::2/112")
    new.settle(wish())
    assert {"172.31.1.0/24", "fd00:172::/112"} <= set(denied(new))


def test_nat_whose_gateway_port_ovn_cannot_find_is_told_of_with_the_command(site: Site) -> None:
    port = external_port(site, "172.31.1.2/24")
    nat(site, "172.31.1.10")
    nat(site, "198.51.100.8", port)
    nat(site, "not an address")  # northd passes over it, and so do we
    site.settle(wish())
    assert codes(site) == []
    row = nat(site, "198.51.100.7")
    (finding,) = plan_site(wish(), site.observed).findings
    assert finding.code == "nat-without-gateway-port"
    assert finding.subject == "198.51.100.7"
    assert f"ovn-nbctl set NAT {row} gateway_port={port}" in finding.message


def guards(site: Site) -> list[dict]:
    found = site.db.tables[Db.NB]["Logical_Router_Port"].values()
    return [port for port in found if port["name"].startswith(keys.NAT_GUARD)]


def test_nat_is_kept_off_the_transit_port_while_there_is_no_external_one(site: Site) -> None:
    for host in range(10, 15):
        nat(site, f"172.31.1.{host}")
    site.settle(wish())
    (finding,) = plan_site(wish(), site.observed).findings
    assert (finding.code, finding.severity) == ("nat-without-external-port", Severity.WARNING)
    assert "172.31.1.12 and 2 more" in finding.message
    (guard,) = guards(site)
    assert len(guard["gateway_chassis"]) == 1
    assert denied(site) == ["169.254.0.0/16"]
    external_port(site, "172.31.1.2/24")
    site.settle(wish())
    assert guards(site) == []
    assert codes(site) == []


def test_leaving_takes_the_guard_away(site: Site) -> None:
    before = dict(site.db.tables[Db.NB]["Logical_Router_Port"])
    row = nat(site, "172.31.1.10")
    site.settle(wish())
    assert guards(site)
    site.leave()
    assert site.db.tables[Db.NB]["Logical_Router_Port"] == before
    assert row in site.db.tables[Db.NB]["NAT"]


def test_two_transit_ports_need_no_guard() -> None:
    site = Site(Mesh(2))
    nat(site, "172.31.1.10")
    site.settle(wish())
    assert (guards(site), codes(site)) == ([], [])


def test_each_router_is_judged_by_itself() -> None:
    """One has its external port; the other has rules and none: only that one gets a guard."""
    one, two = Router("neutron-1111", "router0"), Router("neutron-2222", "router1")
    site = Site(Mesh(2))
    site.router = site.add_router(one, "192.168.1.1/24")
    external_port(site, "172.31.1.2/24")
    nat(site, "172.31.1.10")
    site.router = site.add_router(two, "192.168.2.1/24")
    nat(site, "172.31.1.11")
    both = wish("os1", routers=(one, two))
    site.settle(both)
    assert [port["name"] for port in guards(site)] == [f"{keys.NAT_GUARD}-router1"]
    (finding,) = plan_site(both, site.observed).findings
    assert finding.code == "nat-without-external-port"
    assert "neutron-2222" in finding.message


def test_nat_of_other_routers_is_theirs(site: Site) -> None:
    site.db.add(Db.NB, "NAT", external_ip="198.51.100.7", gateway_port=frozenset())
    site.settle(wish())
    assert codes(site) == []


@pytest.mark.parametrize(
    ("outer", "told"), [("chassis-gw", []), ("chassis-n1", ["load-balancer-gateway"])]
)
def test_load_balancers_need_the_gateway_ports_on_one_chassis(
    site: Site, outer: str, told: list[str]
) -> None:
    external_port(site, "172.31.1.2/24")
    site.settle(wish())
    site.db.tables[Db.NB]["Logical_Router"][site.router]["load_balancer"] = frozenset({"lb"})
    names = {row["name"]: uuid for uuid, row in site.db.tables[Db.SB]["Chassis"].items()}
    for lrp, chassis in ((OUTER, outer), ("az1-ts", "chassis-gw")):
        site.db.add(
            Db.SB,
            "Port_Binding",
            logical_port=f"cr-{lrp}",
            chassis=frozenset({names[chassis]}),
        )
    assert codes(site) == told


def test_what_is_withheld_is_told_by_its_reason(site: Site) -> None:
    external_port(site, "172.31.1.2/24")
    site.settle(wish())
    found = {line.prefix: line for line in site_overview(site.observed).routes}["172.31.1.0/24"]
    assert (found.state, found.why) == ("withheld", f"external network of router port {OUTER}")
