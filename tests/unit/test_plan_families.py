"""Networks of a family that no transit switch carries, and what joining is forecast to change."""

import pytest

from fake_mesh import Mesh, Site, wish
from ovnmesh.model.changes import Db, Insert
from ovnmesh.model.desired import Desired, Router
from ovnmesh.plan.ask.forecast import forecast
from ovnmesh.plan.decide.families import uncarried
from ovnmesh.plan.site import plan_site

ROUTER = Router("neutron-1111", "router0")
DUAL = ("169.254.{n}.0/24,fd00:a9fe:{n}::/112",)


def joined(
    *networks: str, subnets: tuple[str, ...] = ("169.254.{n}.0/24",)
) -> tuple[Site, Desired]:
    site = Site(Mesh(1, subnets))
    site.add_router(ROUTER, *networks)
    desired = wish("os1", routers=(ROUTER,))
    site.settle(desired)
    return site, desired


def denied(site: Site) -> str:
    (row,) = site.db.tables[Db.NB]["NB_Global"].values()
    return str(row["options"].get("ic-route-blacklist") or row["options"]["ic-route-denylist"])


@pytest.mark.parametrize(
    ("subnets", "expected"),
    [(("169.254.{n}.0/24",), ["fd00:1::/64"]), (DUAL, [])],
)
def test_ipv6_is_denied_where_no_switch_carries_it(subnets, expected) -> None:
    site, desired = joined("192.168.1.1/24", "fd00:1::1/64", subnets=subnets)
    assert [str(prefix) for prefix in uncarried(("ts",), site.observed)] == expected
    assert ("fd00:1::/64" in denied(site)) == bool(expected)
    plan = plan_site(desired, site.observed)
    assert plan.batches == ()
    assert [finding.code for finding in plan.findings] == []


def test_nothing_is_denied_for_it_when_all_is_carried() -> None:
    site, _ = joined("192.168.1.1/24")
    assert uncarried(("ts",), site.observed) == {}
    assert uncarried((), site.observed) == {}


def test_a_forecast_has_the_ports_that_joining_will_make() -> None:
    site = Site(Mesh(1))
    site.add_router(ROUTER, "192.168.1.1/24")
    desired = wish("os1", routers=(ROUTER,))
    batches, _ = forecast(desired, site.observed)
    made = {
        (operation.table, operation.columns["name"])
        for batch in batches
        for operation in batch.operations
        if isinstance(operation, Insert) and "name" in operation.columns
    }
    assert ("Logical_Switch_Port", "lsp-ts-router0") in made
    assert ("Logical_Router_Port", "lrp-router0-ts") in made
    site.settle(desired)
    assert forecast(desired, site.observed) == ((), plan_site(desired, site.observed).findings)
