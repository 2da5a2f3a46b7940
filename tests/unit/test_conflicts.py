"""Who keeps an overlapping prefix: every case of the rule, and that it heals by itself."""

import pytest

from fake_mesh import Mesh, Site, wish
from ovnmesh import ovn_keys as keys
from ovnmesh.model.changes import Db
from ovnmesh.model.finding import Severity
from ovnmesh.model.interconnect import IcRoute, Interconnect
from ovnmesh.model.prefixes import Owned, overlapping_pairs, parse_prefix
from ovnmesh.plan.decide.conflicts import resolve_conflicts


def interconnect(*routes: tuple[str, str, bool], managed: tuple[str, ...] = ()) -> Interconnect:
    return Interconnect(
        "g",
        {keys.AZ_CLAIM + az: f"site-{az}" for az in managed},
        {},
        {},
        (),
        (),
        tuple(
            IcRoute(f"r{n}", az, "ts", parse_prefix(prefix), None, "connected", held)
            for n, (az, prefix, held) in enumerate(routes)
        ),
        {},
    )


def denied(az: str, local: str, ic: Interconnect) -> set[str]:
    return {str(p) for p in resolve_conflicts(az, [parse_prefix(local)], [], ic).denied}


BOTH = ("az1", "az2")


@pytest.mark.parametrize(
    ("local", "routes", "managed", "expected"),
    [
        # disjoint: nothing
        ("10.16.0.0/16", [("az2", "10.17.0.0/16", True)], BOTH, set()),
        # equal, the other held it first: we yield
        ("10.16.0.0/16", [("az2", "10.16.0.0/16", True)], BOTH, {"10.16.0.0/16"}),
        # equal, we held it: the other yields by itself
        (
            "10.16.0.0/16",
            [("az1", "10.16.0.0/16", True), ("az2", "10.16.0.0/16", False)],
            BOTH,
            set(),
        ),
        # equal, we held it, the other is not run by ovnmesh: it counts as established, but we were
        # there first, and it will never yield; the lower name keeps it, and az1 denies it
        (
            "10.16.0.0/16",
            [("az1", "10.16.0.0/16", True), ("byhand", "10.16.0.0/16", False)],
            ("az1",),
            {"10.16.0.0/16"},
        ),
        # longer remote prefix would win over ours in OVN: kept out although we stay
        (
            "10.16.0.0/16",
            [("az1", "10.16.0.0/16", True), ("az2", "10.16.5.0/24", False)],
            BOTH,
            {"10.16.5.0/24"},
        ),
        # wider remote prefix, we held ours: denying it would deny ours, longest match protects us
        (
            "10.16.0.0/16",
            [("az1", "10.16.0.0/16", True), ("az2", "10.0.0.0/8", False)],
            BOTH,
            set(),
        ),
        # we are the newcomer inside a wider one: both are denied
        ("10.16.0.0/16", [("az2", "10.0.0.0/8", True)], BOTH, {"10.16.0.0/16", "10.0.0.0/8"}),
        # both new: the lower name keeps it
        ("10.16.0.0/16", [("az0", "10.16.0.0/16", False)], ("az0", "az1"), {"10.16.0.0/16"}),
        ("10.16.0.0/16", [("az2", "10.16.0.0/16", False)], BOTH, set()),
        # two other sites: the loser yields by itself if it is managed ...
        (
            "10.99.0.0/16",
            [("az2", "10.17.0.0/16", True), ("az3", "10.17.0.0/16", False)],
            ("az1", "az2", "az3"),
            set(),
        ),
        # ... and is kept out if it is more specific
        (
            "10.99.0.0/16",
            [("az2", "10.17.0.0/16", True), ("az3", "10.17.1.0/24", False)],
            ("az1", "az2", "az3"),
            {"10.17.1.0/24"},
        ),
        # ... or if nobody will ever withdraw it
        (
            "10.99.0.0/16",
            [("h1", "10.17.0.0/16", False), ("h2", "10.17.0.0/16", False)],
            ("az1",),
            {"10.17.0.0/16"},
        ),
    ],
)
def test_who_keeps_what(local, routes, managed, expected) -> None:
    assert denied("az1", local, interconnect(*routes, managed=managed)) == expected


def test_both_owners_are_named() -> None:
    ic = interconnect(("az2", "10.16.0.0/16", True), managed=BOTH)
    (finding,) = resolve_conflicts("az1", [parse_prefix("10.16.0.0/16")], [], ic).findings
    assert "az1" in finding.message
    assert "az2" in finding.message
    assert finding.severity is Severity.ERROR


def test_conflict_between_others_is_only_a_warning() -> None:
    ic = interconnect(
        ("az2", "10.17.0.0/16", True), ("az3", "10.17.0.0/16", False), managed=("az2", "az3")
    )
    (finding,) = resolve_conflicts("az1", [], [], ic).findings
    assert finding.severity is Severity.WARNING


def test_opted_out_prefixes_are_no_conflict() -> None:
    ic = interconnect(("az2", "10.16.0.0/16", True), managed=BOTH)
    local = [parse_prefix("10.16.0.0/16")]
    assert resolve_conflicts("az1", local, local, ic).findings == ()


def test_same_site_twice_is_no_conflict() -> None:
    ic = interconnect(("az2", "10.17.0.0/16", True), ("az2", "10.17.1.0/24", True), managed=BOTH)
    assert resolve_conflicts("az1", [], [], ic).findings == ()


def test_newcomer_yields_before_it_advertises_and_the_established_keeps_its_routes() -> None:
    mesh = Mesh()
    first = Site(mesh)
    first.settle(wish("az1"))
    held = {r["ip_prefix"] for r in mesh.ic.tables[Db.IC_SB]["Route"].values()}
    second = Site(mesh, "10.16.0.1/16", "100.65.0.1/16", number=2)
    plan = second.settle(wish("az2"))
    routes = mesh.ic.tables[Db.IC_SB]["Route"].values()
    zones = mesh.ic.tables[Db.IC_SB]["Availability_Zone"]
    by_zone = {(zones[r["availability_zone"]]["name"], r["ip_prefix"]) for r in routes}
    assert {prefix for az, prefix in by_zone if az == "az1"} == held
    assert ("az2", "10.16.0.0/16") not in by_zone
    assert ("az2", "100.65.0.0/16") in by_zone
    assert [f.code for f in plan.findings] == ["cidr-conflict"]


def test_conflict_heals_when_the_overlap_goes() -> None:
    mesh = Mesh()
    first = Site(mesh)
    first.settle(wish("az1"))
    second = Site(mesh, "10.16.0.1/16", "100.65.0.1/16", number=2)
    second.settle(wish("az2"))
    for row in second.db.tables[Db.NB]["Logical_Router_Port"].values():
        if row["name"] == "ovn-cluster-ovn-default":
            row["networks"] = frozenset({"10.17.0.1/16"})
    plan = second.settle(wish("az2"))
    assert plan.findings == ()
    prefixes = {r["ip_prefix"] for r in mesh.ic.tables[Db.IC_SB]["Route"].values()}
    assert "10.17.0.0/16" in prefixes


def test_pairs_are_found_in_nested_order() -> None:
    items = [
        Owned(parse_prefix(p), o)
        for p, o in [
            ("10.0.0.0/8", "a"),
            ("10.16.0.0/16", "b"),
            ("10.16.1.0/24", "a"),
            ("11.0.0.0/8", "b"),
            ("fd00::/8", "c"),
        ]
    ]
    pairs = {(str(x.prefix), str(y.prefix)) for x, y in overlapping_pairs(items)}
    assert pairs == {("10.0.0.0/8", "10.16.0.0/16"), ("10.16.0.0/16", "10.16.1.0/24")}
