"""What kinds of routers a site may have: each trait by its own, whatever cloud the site is of."""

from dataclasses import replace

import pytest

from fake_mesh import Mesh, Site, wish
from ovnmesh import ovn_keys as keys
from ovnmesh.model.changes import Db
from ovnmesh.model.desired import Desired, Router
from ovnmesh.model.prefixes import parse_prefix
from ovnmesh.plan.site import plan_site

#: Two VPCs of Kube-OVN: gateways with policies, in a database of their own.
VPCS = (Router("vpc1", "vpc1", bypass_policy=True), Router("vpc2", "vpc2", bypass_policy=True))
#: Two that are named after the zone: each transit switch has one of them, so no name is twice.
PLAIN_VPCS = tuple(replace(vpc, ports_named_after="") for vpc in VPCS)
#: A router of OVN without a cloud: a name of its own, and nothing to let traffic past.
EDGE = Router("edge", "edge")


def site_with(*routers: Router) -> Site:
    site = Site(Mesh(len(routers)))
    for index, router in enumerate(routers):
        site.add_router(replace(router, ports_named_after=router.name), f"10.{index + 1}.0.1/16")
    return site


def uuid_of(site: Site, router: Router) -> str:
    rows = site.db.tables[Db.NB]["Logical_Router"].items()
    return next(uuid for uuid, row in rows if row["name"] == router.name)


def names(site: Site, table: str) -> set[str]:
    rows = site.db.tables[Db.NB].get(table, {}).values()
    return {str(row["name"]) for row in rows if keys.OWNER in row.get("external_ids", {})}  # type: ignore[operator]


def policies(site: Site) -> dict[str, str]:
    """Match of each policy of ours, by the name of its router."""
    table = site.db.tables[Db.NB]["Logical_Router_Policy"]
    return {
        str(router["name"]): str(table[uuid]["match"])
        for router in site.db.tables[Db.NB]["Logical_Router"].values()
        for uuid in router.get("policies", ())  # type: ignore[union-attr]
        if keys.OWNER in table[uuid]["external_ids"]  # type: ignore[operator]
    }


def settled(site: Site, desired: Desired) -> Site:
    site.routers = ()
    site.settle(desired)
    assert plan_site(desired, site.observed).batches == ()
    assert site.observed.nb.record == desired
    return site


def test_two_vpcs_of_kube_ovn() -> None:
    site = settled(site_with(*VPCS), wish("az1", routers=VPCS))
    assert names(site, "Logical_Router_Port") == {"lrp-vpc1-ts", "lrp-vpc2-ts1"}
    assert set(policies(site)) == {"vpc1", "vpc2"}
    assert "lrp-vpc2-ts1" in policies(site)["vpc2"]


def test_two_vpcs_whose_ports_are_named_after_the_zone() -> None:
    site = settled(site_with(*PLAIN_VPCS), wish("az1", routers=PLAIN_VPCS))
    assert names(site, "Logical_Router_Port") == {"az1-ts", "az1-ts1"}
    assert set(policies(site)) == {"vpc1", "vpc2"}


@pytest.mark.parametrize("routers", [VPCS, PLAIN_VPCS], ids=["named", "plain"])
def test_guards_of_two_vpcs_have_different_names(routers: tuple[Router, ...]) -> None:
    site = site_with(*routers)
    for router in routers:
        site.db.add_child(
            Db.NB,
            ("Logical_Router", uuid_of(site, router), "nat"),
            "NAT",
            external_ip="172.31.1.10",
            gateway_port=frozenset(),
        )
    settled(site, wish("az1", routers=routers))
    guards = {name for name in names(site, "Logical_Router_Port") if keys.NAT_GUARD in name}
    assert guards == {f"{keys.NAT_GUARD}-vpc1", f"{keys.NAT_GUARD}-vpc2"}


def test_a_named_router_of_ovn_without_a_cloud() -> None:
    site = settled(site_with(EDGE), wish("plain", routers=(EDGE,)))
    assert names(site, "Logical_Router_Port") == {"lrp-edge-ts"}
    assert policies(site) == {}


def test_a_router_that_loses_its_policies_needs_no_way_past_them() -> None:
    site = settled(site_with(EDGE), wish("plain", routers=(replace(EDGE, bypass_policy=True),)))
    assert set(policies(site)) == {"edge"}
    assert policies(settled(site, wish("plain", routers=(EDGE,)))) == {}


@pytest.mark.parametrize("shared", [True, False])
def test_written_routes_are_the_sites_own_where_nobody_else_writes_any(shared: bool) -> None:
    """A network behind a route of the site conflicts with another site's, however named."""
    site = site_with(EDGE)
    site.db.add_child(
        Db.NB,
        ("Logical_Router", uuid_of(site, EDGE), "static_routes"),
        "Logical_Router_Static_Route",
        ip_prefix="10.40.0.0/16",
        nexthop="10.1.0.9",
        options={},
        external_ids={},
    )
    zone = site.mesh.foreign_zone("other")
    site.mesh.foreign_port(zone, "ts-other", "00:00:00:50:ac:8c 169.254.100.45/24")
    site.mesh.route(zone, "10.40.0.0/16", held=True)
    desired = wish("plain", routers=(EDGE,), shared_database=shared)
    settled(site, desired)
    codes = [finding.code for finding in plan_site(desired, site.observed).findings]
    assert codes == ([] if shared else ["cidr-conflict"])
    reasons = site.observed.nb.denied_reasons
    assert (parse_prefix("10.40.0.0/16") in reasons) is not shared
