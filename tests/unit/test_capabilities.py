"""Versions of OVN and what they get wrong: every quirk has two sides."""

from pathlib import Path

import pytest

from fake_mesh import Mesh, Site, bind, wish
from ovnmesh import ovn_keys as keys
from ovnmesh.controller.ovn_ic import installed_version
from ovnmesh.model.capabilities import (
    UNKNOWN,
    Capabilities,
    Quirk,
    parse_capabilities,
    parse_version,
)
from ovnmesh.model.changes import Db, Plan
from ovnmesh.model.observed import Observed
from ovnmesh.model.prefixes import parse_prefix
from ovnmesh.plan.decide.families import uncarried
from ovnmesh.plan.decide.learned import storming
from ovnmesh.plan.site import plan_site

OLD, NEW = "23.03.1-20.27.0-70.6", "26.03.1-21.1.0-90.0"
OLD_IC, NEW_IC = "ovn-ic 23.03.1", "ovn-ic 26.03.1"
#: Quirks of ovn-ic that no known version is rid of, so that nothing can differ.
EVERYWHERE = {quirk for quirk in Quirk if not quirk.value.fixed}


@pytest.mark.parametrize(
    ("text", "version"),
    [
        (OLD, (23, 3, 1)),
        (NEW_IC, (26, 3, 1)),
        ("ovn-ic (Open vSwitch) 24.09.3\nOpen vSwitch Library 3.4.1", (24, 9, 3)),
        ("", UNKNOWN),
        ("unknown", UNKNOWN),
    ],
)
def test_versions_are_read(text: str, version: tuple[int, int, int]) -> None:
    assert parse_version(text) == version


@pytest.mark.parametrize(
    ("ovn_ic", "storms"),
    [
        ("23.03.1", True),
        ("24.03.6", True),
        ("24.03.7", False),
        ("24.09.9", True),
        ("25.03.0", True),
        ("25.03.2", False),
        ("25.09.0", True),
        ("25.09.1", False),
        ("26.03.0", False),
        ("27.09.0", False),
        ("", True),
    ],
)
def test_a_fix_counts_on_its_branch_and_on_younger_ones(ovn_ic: str, storms: bool) -> None:
    assert parse_capabilities(NEW, ovn_ic).has(Quirk.ROUTE_STORM) == storms


@pytest.mark.parametrize(
    ("northd", "ovn_ic", "breaks"),
    [
        (OLD, "", True),
        ("23.03.3", "", False),
        (NEW, OLD_IC, True),
        (OLD, NEW_IC, False),
        ("", "", False),
        ("", OLD_IC, True),
    ],
)
def test_the_program_that_does_it_decides_and_northd_where_that_is_unknown(
    northd: str, ovn_ic: str, breaks: bool
) -> None:
    assert parse_capabilities(northd, ovn_ic).has(Quirk.DENY_LIST_BREAKS_IPV6) == breaks


@pytest.mark.parametrize("northd", ["", OLD, NEW])
@pytest.mark.parametrize("ovn_ic", ["", OLD_IC, NEW_IC])
def test_what_no_version_is_rid_of_is_reckoned_with_always(northd: str, ovn_ic: str) -> None:
    capabilities = parse_capabilities(northd, ovn_ic)
    assert all(capabilities.has(quirk) for quirk in EVERYWHERE)


def site_of(northd: str, ovn_ic: str, switches: int = 1) -> Site:
    site = Site(Mesh(switches), version=northd, ovn_ic_version=ovn_ic)
    site.settle(wish())
    return site


def nb_options(site: Site) -> dict[str, str]:
    (row,) = site.db.tables[Db.NB]["NB_Global"].values()
    return row["options"]


@pytest.mark.parametrize(
    ("northd", "ovn_ic", "link_local", "names"),
    [
        (OLD, OLD_IC, False, {keys.ROUTE_BLACKLIST}),
        (NEW, OLD_IC, False, {keys.ROUTE_BLACKLIST, keys.ROUTE_DENYLIST}),
        (NEW, NEW_IC, True, {keys.ROUTE_BLACKLIST, keys.ROUTE_DENYLIST}),
        ("", "", True, {keys.ROUTE_BLACKLIST, keys.ROUTE_DENYLIST}),
    ],
)
def test_the_deny_list_is_as_both_versions_need_it(
    northd: str, ovn_ic: str, link_local: bool, names: set[str]
) -> None:
    options = nb_options(site_of(northd, ovn_ic))
    assert {key for key in options if key in (keys.ROUTE_BLACKLIST, keys.ROUTE_DENYLIST)} == names
    assert ("fe80::/10" in options[keys.ROUTE_BLACKLIST].split(",")) == link_local


@pytest.mark.parametrize(("northd", "ovn_ic", "said"), [(OLD, NEW_IC, False), (NEW, OLD_IC, True)])
def test_the_finding_about_ipv6_names_the_version_that_does_it(
    northd: str, ovn_ic: str, said: bool
) -> None:
    denied = {parse_prefix("fd00:99::/64"): ("opt-out",)}
    site = Site(Mesh(), version=northd, ovn_ic_version=ovn_ic)
    findings = plan_site(wish(denied=denied), site.observed).findings
    found = [finding.message for finding in findings if finding.code == "ipv6-deny-list"]
    assert bool(found) == said
    assert all("OVN 23.3.1 blocks" in message for message in found)


@pytest.mark.parametrize(("ovn_ic", "storm"), [(OLD_IC, True), (NEW_IC, False), ("", True)])
def test_ovn_ic_is_paused_for_a_disabled_router_where_it_would_storm(
    ovn_ic: str, storm: bool
) -> None:
    site = site_of(OLD, ovn_ic)
    site.db.tables[Db.NB]["Logical_Router"][site.router]["enabled"] = frozenset({False})
    assert storming(site.observed) == storm
    plan = plan_site(wish(), site.observed)
    assert plan.pause_ovn_ic == storm
    (finding,) = [each for each in plan.findings if each.code == "router-disabled"]
    assert ("without end" in finding.message) == storm
    site.apply(plan)
    assert not site.observed.nb.tagged_ports, "it carries nothing, in every version"


@pytest.mark.parametrize(("northd", "ovn_ic"), [(OLD, OLD_IC), (NEW, NEW_IC), ("", "")])
def test_what_is_the_same_in_every_version(northd: str, ovn_ic: str) -> None:
    """Families, tunnel keys, renaming, stale advertisements, load balancers."""
    site = Site(Mesh(), version=northd, ovn_ic_version=ovn_ic, subnet="fd00:10::1/64")
    site.apply(plan_site(wish(), site.observed))
    site.ovn_ic()
    assert plan_site(wish(), site.observed).waiting == ("ts",)
    site.settle(wish())
    assert "fd00:10::/64" in nb_options(site)[keys.ROUTE_BLACKLIST].split(",")
    bind(site)
    (zone,) = site.mesh.ic.tables[Db.IC_SB]["Availability_Zone"]
    stale = site.mesh.route(zone, "10.50.0.0/16", ts="gone")
    plan = plan_site(wish("prod"), site.observed)
    assert plan.pause_ovn_ic
    site.settle(wish())
    assert stale not in site.mesh.ic.tables[Db.IC_SB]["Route"]


def test_the_version_is_that_of_the_ovn_ic_that_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OVN_PREFIX", str(tmp_path))
    assert installed_version() == ""
    program = tmp_path / "bin" / "ovn-ic"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho ovn-ic 26.03.1\necho Open vSwitch Library 4.0.0\n")
    program.chmod(0o755)
    assert installed_version() == NEW_IC


class Flawless(Capabilities):
    """An OVN that gets everything right, which no version does yet."""

    def has(self, quirk: Quirk) -> bool:
        return False


def flawless(site: Site, az: str = "az1") -> Observed:
    observed = site.observed.under(az)
    observed.__dict__["capabilities"] = Flawless()
    return observed


def tables(plan: Plan) -> list[str]:
    return [operation.table for batch in plan.batches for operation in batch.operations]


def test_without_quirks_a_switch_is_connected_in_one_transaction() -> None:
    site = Site(Mesh())
    site.apply(plan_site(wish(), site.observed))
    site.ovn_ic()
    slow, quick = plan_site(wish(), site.observed), plan_site(wish(), flawless(site))
    assert ("Logical_Router_Port" in tables(slow), slow.waiting) == (False, ("ts",))
    assert ("Logical_Router_Port" in tables(quick), quick.waiting) == (True, ())
    assert "Logical_Switch_Port" in tables(quick)


def test_without_quirks_families_are_left_to_ovn_ic() -> None:
    site = Site(Mesh(), subnet="fd00:10::1/64")
    site.settle(wish())
    assert parse_prefix("fd00:10::/64") in uncarried(["ts"], site.observed)
    assert uncarried(["ts"], flawless(site)) == {}


def test_without_quirks_ovn_ic_renames_and_withdraws_by_itself() -> None:
    site = site_of(OLD, OLD_IC)
    (zone,) = site.mesh.ic.tables[Db.IC_SB]["Availability_Zone"]
    site.mesh.route(zone, "10.50.0.0/16", ts="gone")
    renamed = plan_site(wish("prod"), flawless(site, "prod"))
    assert not renamed.pause_ovn_ic
    assert not {"Availability_Zone", "Port_Binding"} & set(tables(renamed))
    marks = plan_site(wish(), site.observed), plan_site(wish(), flawless(site))
    assert [tables(plan).count("Route") for plan in marks] == [2, 1], "one is marked, one withdrawn"
