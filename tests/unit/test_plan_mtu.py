"""options:gateway_mtu follows what the gateways of all sites can carry."""

import pytest

from fake_mesh import Mesh, Site, wish
from ovnmesh import ovn_keys as keys
from ovnmesh.model.changes import Db
from ovnmesh.model.desired import Desired, GatewayPolicy
from ovnmesh.plan.site import plan_site


def report(site: Site, node: str, mtu: str) -> None:
    private = site.db.tables[Db.SB].setdefault("Chassis_Private", {})
    private[node] = {"name": f"chassis-{node}", "external_ids": {keys.TUNNEL_MTU: mtu}}


def claim(site: Site, owner: str, mtu: str) -> None:
    for row in site.mesh.ic.tables[Db.IC_NB]["Transit_Switch"].values():
        row["external_ids"] = {**row["external_ids"], keys.MTU_CLAIM + owner: mtu}


def published(site: Site) -> str | None:
    ts = site.observed.ic.transit_switches["ts"]
    return ts.external_ids.get(keys.MTU_CLAIM + site.nb_global)


def options(site: Site) -> dict[str, str]:
    (row,) = (
        row
        for row in site.db.tables[Db.NB]["Logical_Router_Port"].values()
        if row["name"] == "az1-ts"
    )
    return dict(row.get("options", {}))


def with_mtu(mtu_bytes: int | None, *gateways: str) -> Desired:
    return wish("az1", *gateways, gateways=GatewayPolicy(mtu_bytes=mtu_bytes))


@pytest.fixture
def site() -> Site:
    return Site(Mesh())


def test_nobody_knows_nothing_is_set(site: Site) -> None:
    site.settle(wish())
    assert options(site) == {}
    assert published(site) is None


def test_least_of_own_gateways_is_published_and_set(site: Site) -> None:
    report(site, "gw", "1442")
    report(site, "n1", "1392")
    report(site, "n2", "1000")  # no gateway
    site.settle(wish("az1", "gw", "n1"))
    assert published(site) == "1392"
    assert options(site) == {keys.GATEWAY_MTU: "1392"}
    found = plan_site(wish("az1", "gw", "n1"), site.observed).findings
    assert [(f.code, f.subject) for f in found] == [("mtu-differs", "gateways")]
    assert "gw 1442" in found[0].message
    assert "n1 1392" in found[0].message


def test_least_of_all_sites_counts(site: Site) -> None:
    report(site, "gw", "1442")
    site.settle(wish())
    claim(site, "other", "1422")
    site.settle(wish())
    assert published(site) == "1442"
    assert options(site) == {keys.GATEWAY_MTU: "1422"}
    claim(site, "other", "8942")
    site.settle(wish())
    assert options(site) == {keys.GATEWAY_MTU: "1442"}


def test_sites_that_differ_are_told(site: Site) -> None:
    report(site, "gw", "1442")
    glob = next(iter(site.mesh.ic.tables[Db.IC_NB]["IC_NB_Global"].values()))
    glob["external_ids"] = {keys.AZ_CLAIM + "az2": "other"}
    claim(site, "other", "1422")
    plan = site.settle(wish())
    (found,) = plan.findings
    assert (found.code, found.subject, str(found.severity)) == ("mtu-differs", "sites", "warning")
    assert "az1 1442, az2 1422" in found.message
    assert plan_site(with_mtu(1400), site.observed).findings == ()


def test_other_options_stay(site: Site) -> None:
    site.settle(wish())
    for row in site.db.tables[Db.NB]["Logical_Router_Port"].values():
        if row["name"] == "az1-ts":
            row["options"] = {"foreign": "kept"}
    report(site, "gw", "1442")
    site.settle(wish())
    assert options(site) == {"foreign": "kept", keys.GATEWAY_MTU: "1442"}
    site.settle(with_mtu(0))
    assert options(site) == {"foreign": "kept"}


def test_configured_number_wins_and_auto_comes_back(site: Site) -> None:
    report(site, "gw", "1442")
    site.settle(with_mtu(1300))
    assert options(site) == {keys.GATEWAY_MTU: "1300"}
    assert published(site) == "1442"
    site.settle(with_mtu(None))
    assert options(site) == {keys.GATEWAY_MTU: "1442"}


def test_report_that_is_gone_changes_nothing(site: Site) -> None:
    """A gateway that restarts has no report for a moment."""
    report(site, "gw", "1442")
    site.settle(wish())
    site.db.tables[Db.SB]["Chassis_Private"].clear()
    assert plan_site(wish(), site.observed).batches == ()


def test_leaving_takes_the_published_value_along(site: Site) -> None:
    report(site, "gw", "1442")
    claim(site, "other", "1422")
    site.settle(wish())
    site.leave()
    ts = site.observed.ic.transit_switches["ts"]
    assert dict(ts.mtus) == {"other": 1422}
