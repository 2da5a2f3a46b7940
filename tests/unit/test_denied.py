"""Every denied prefix keeps its reason, from the decision to the screen."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fake_mesh import Mesh, Site, wish
from ovnmesh import ovn_keys as keys
from ovnmesh.model.changes import Db
from ovnmesh.model.denied import (
    collect_reasons,
    decode_denied,
    deny_list,
    encode_denied,
    pairs_of,
)
from ovnmesh.model.desired import Desired, Router
from ovnmesh.model.prefixes import LINK_LOCAL, Prefix, parse_prefix
from ovnmesh.plan.deny import LINK_LOCAL_REASON, ORIGINAL_REASON, decide_denied
from ovnmesh.plan.site import plan_site
from ovnmesh.views.site_overview import site_overview, to_json

NOT_YET = "not there yet; is ovn-ic running?"
OPT_OUT = "Subnet private: disableInterConnection"
HOP = "169.254.100.45"


@pytest.fixture
def site() -> Site:
    return Site(Mesh())


@pytest.fixture
def far(site: Site) -> str:
    """A site that ovnmesh does not run; its zone."""
    zone = site.mesh.foreign_zone("far")
    site.mesh.foreign_port(zone, "ts-far", f"00:00:00:50:ac:8c {HOP}/24")
    return zone


def port(site: Site, network: str, gateway: bool = False) -> None:
    site.db.add_child(
        Db.NB,
        ("Logical_Router", site.router, "ports"),
        "Logical_Router_Port",
        name=f"ovn-cluster-{network}",
        mac="00:00:00:00:00:09",
        networks=frozenset({network}),
        gateway_chassis=frozenset({"some-row"} if gateway else ()),
        external_ids={},
    )


def static_route(site: Site, prefix: str, nexthop: str = HOP) -> None:
    site.db.add_child(
        Db.NB,
        ("Logical_Router", site.router, "static_routes"),
        "Logical_Router_Static_Route",
        ip_prefix=prefix,
        nexthop=nexthop,
        options={},
        external_ids={},
    )


def denied(**reasons: str) -> dict[Prefix, tuple[str, ...]]:
    return {parse_prefix(prefix): (why,) for prefix, why in reasons.items()}


def nb_global(site: Site) -> dict[str, dict[str, str]]:
    return site.db.tables[Db.NB]["NB_Global"][site.nb_global]  # type: ignore[return-value]


def shown(site: Site, az: str = "az1") -> dict[str, tuple[str, str]]:
    """State and reason of each prefix of an AZ, as `ovnmesh routes` shows them."""
    return {r.prefix: (r.state, r.why) for r in site_overview(site.observed).routes if r.az == az}


def test_an_opted_out_subnet(site: Site) -> None:
    port(site, "10.199.0.1/16")
    site.settle(wish(denied=denied(**{"10.199.0.0/16": OPT_OUT})))
    assert shown(site)["10.199.0.0/16"] == ("withheld", OPT_OUT)
    assert shown(site)["10.16.0.0/16"] == ("advertised", "")


def test_a_node_address_refused_from_another_site(site: Site, far: str) -> None:
    site.mesh.route(far, "192.0.2.7/32")
    site.settle(wish(denied=denied(**{"192.0.2.7/32": "address of Node n1"})))
    assert shown(site, "far")["192.0.2.7/32"] == ("refused", "address of Node n1")


def test_an_external_network(site: Site) -> None:
    port(site, "172.31.1.2/24", gateway=True)
    site.settle(wish())
    why = "external network of router port ovn-cluster-172.31.1.2/24"
    assert shown(site)["172.31.1.0/24"] == ("withheld", why)


def test_a_manual_route_that_replaces_what_a_site_advertises(site: Site, far: str) -> None:
    site.mesh.route(far, "10.17.0.0/24", nexthop=HOP)
    site.mesh.route(far, "10.17.0.0/24", nexthop="169.254.100.46")
    static_route(site, "10.17.0.0/24")
    site.settle(wish())
    lines = [
        (r.prefix, r.state, r.why) for r in site_overview(site.observed).routes if r.az == "far"
    ]
    why = f"manual route by way of {HOP}"
    assert lines == [
        ("10.17.0.0/24", "manual", ""),
        ("10.17.0.0/24", "refused", why),
    ]


def test_a_manual_route_over_two_next_hops_names_both_in_one_order(site: Site, far: str) -> None:
    for hop in ("169.254.100.46", HOP):
        static_route(site, "10.17.0.0/24", hop)
    site.mesh.route(far, "10.17.0.0/24")
    site.settle(wish())
    why = f"manual route by way of {HOP}, 169.254.100.46"
    assert shown(site, "far")["10.17.0.0/24"] == ("refused", why)


def test_a_manual_route_too_wide_to_deny_is_no_reason(site: Site, far: str) -> None:
    site.mesh.route(far, "10.17.0.0/24")
    static_route(site, "10.0.0.0/8")
    site.settle(wish())
    assert shown(site, "far")["10.17.0.0/24"] == ("refused", NOT_YET)


def test_networks_of_a_family_that_no_switch_carries(site: Site, far: str) -> None:
    port(site, "fd00:1::1/64")
    site.mesh.route(far, "fd00:1::/64")
    site.settle(wish())
    why = "no transit switch of the site carries IPv6"
    assert shown(site)["fd00:1::/64"] == ("withheld", why)
    assert shown(site, "far")["fd00:1::/64"] == ("refused", why)


def test_a_lost_conflict_names_who_keeps_the_prefix(site: Site, far: str) -> None:
    site.mesh.route(far, "10.16.0.0/17", held=True)
    site.settle(wish())
    why = "overlap: far keeps 10.16.0.0/17, az1 has 10.16.0.0/16"
    assert shown(site)["10.16.0.0/16"] == ("withheld", why)
    assert shown(site, "far")["10.16.0.0/17"] == ("refused", f"{why}; within 10.16.0.0/16: {why}")


def test_the_deny_list_that_stood_there_before(site: Site) -> None:
    nb_global(site)["options"][keys.ROUTE_BLACKLIST] = "10.16.0.0/12, nonsense"
    site.settle(wish())
    assert shown(site)["10.16.0.0/16"] == ("withheld", f"within 10.16.0.0/12: {ORIGINAL_REASON}")


@pytest.mark.parametrize(
    ("version", "listed"), [("23.03.1-20.27.0-70.6", False), ("25.03.2-1", True)]
)
def test_link_local_prefixes_whether_or_not_the_list_names_them(version, listed) -> None:
    site = Site(Mesh(), version=version)
    site.settle(wish())
    found = decide_denied(wish(), site.observed)
    assert {prefix: found.reasons[prefix] for prefix in LINK_LOCAL} == dict.fromkeys(
        LINK_LOCAL, (LINK_LOCAL_REASON,)
    )
    assert (LINK_LOCAL[1] in found.listed) is listed
    assert LINK_LOCAL[0] in found.listed


def test_an_opted_out_prefix_inside_a_denied_one_keeps_its_own_reason(site: Site) -> None:
    nb_global(site)["options"][keys.ROUTE_BLACKLIST] = "10.199.0.0/16"
    port(site, "10.199.4.1/24")
    port(site, "10.199.5.1/24")
    site.settle(wish(denied=denied(**{"10.199.4.0/24": OPT_OUT})))
    assert deny_list(nb_global(site)["options"]) == tuple(
        map(parse_prefix, ("10.199.0.0/16", "169.254.0.0/16"))
    )
    wider = f"within 10.199.0.0/16: {ORIGINAL_REASON}"
    assert shown(site)["10.199.4.0/24"] == ("withheld", f"{OPT_OUT}; {wider}")
    assert shown(site)["10.199.5.0/24"] == ("withheld", wider)


def test_two_reasons_for_one_prefix_are_both_shown(site: Site, far: str) -> None:
    site.mesh.route(far, "10.17.0.0/24", nexthop="169.254.100.46")
    static_route(site, "10.17.0.0/24")
    site.settle(wish(denied=denied(**{"10.17.0.0/24": OPT_OUT})))
    lines = [
        (r.prefix, r.state, r.why) for r in site_overview(site.observed).routes if r.az == "far"
    ]
    both = f"{OPT_OUT}; manual route by way of {HOP}"
    assert ("10.17.0.0/24", "refused", both) in lines


def test_an_external_network_that_the_wish_keeps_out_has_that_reason_alone(site: Site) -> None:
    port(site, "172.31.1.2/24", gateway=True)
    site.settle(wish(denied=denied(**{"172.31.1.0/24": OPT_OUT})))
    assert shown(site)["172.31.1.0/24"] == ("withheld", OPT_OUT)
    assert decode_denied(nb_global(site)["external_ids"][keys.DENIED]) is not None
    assert "172.31.1.0/24" not in nb_global(site)["external_ids"][keys.DENIED]


def test_without_auto_route_that_comes_first_and_other_reasons_stay(site: Site, far: str) -> None:
    site.mesh.route(far, "10.40.0.0/16")
    port(site, "10.199.0.1/16")
    site.settle(wish(auto_route=False, denied=denied(**{"10.199.0.0/16": OPT_OUT})))
    off = 'auto-route is "false"'
    assert shown(site)["10.16.0.0/16"] == ("withheld", off)
    assert shown(site)["10.199.0.0/16"] == ("withheld", f"{off}; {OPT_OUT}")
    assert shown(site, "far")["10.40.0.0/16"] == ("refused", off)


def test_what_nothing_denies_is_not_there_yet(site: Site, far: str) -> None:
    site.mesh.route(far, "10.40.0.0/16")
    site.settle(wish())
    port(site, "10.150.0.1/24")
    assert shown(site, "far")["10.40.0.0/16"] == ("refused", NOT_YET)
    assert shown(site)["10.150.0.0/24"] == ("withheld", NOT_YET)


@pytest.mark.parametrize("raw", [None, "", "nonsense", "[]", '{"why":5}', '{"why":["x"]}'])
def test_without_a_readable_record_the_list_itself_is_told(site: Site, raw: str | None) -> None:
    """An older controller's rows: the opt-outs are in the site record, the rest is only listed."""
    port(site, "10.199.0.1/16")
    port(site, "172.31.1.2/24", gateway=True)
    nb_global(site)["options"][keys.ROUTE_BLACKLIST] = "10.150.0.0/16"
    port(site, "10.150.4.1/24")
    site.settle(wish(denied=denied(**{"10.199.0.0/16": OPT_OUT})))
    ids = nb_global(site)["external_ids"]
    ids.pop(keys.DENIED)
    ids |= {} if raw is None else {keys.DENIED: raw}
    on_list = "on the deny list of NB_Global"
    assert shown(site)["10.199.0.0/16"] == ("withheld", OPT_OUT)
    assert shown(site)["172.31.1.0/24"] == ("withheld", on_list)
    assert shown(site)["10.150.4.0/24"] == ("withheld", f"within 10.150.0.0/16: {on_list}")
    site.settle(wish(denied=denied(**{"10.199.0.0/16": OPT_OUT})))
    assert "external network" in shown(site)["172.31.1.0/24"][1], "the next pass records it"


def test_the_reason_goes_when_what_denied_goes_and_with_the_site(site: Site, far: str) -> None:
    site.mesh.route(far, "10.17.0.0/24")
    before = dict(nb_global(site)["external_ids"])
    site.settle(wish())
    calm = nb_global(site)["external_ids"][keys.DENIED]
    static_route(site, "10.17.0.0/24", "169.254.100.9")
    site.settle(wish())
    assert "10.17.0.0/24" in nb_global(site)["external_ids"][keys.DENIED]
    assert plan_site(wish(), site.observed).batches == ()
    router = site.db.tables[Db.NB]["Logical_Router"][site.router]
    router["static_routes"] = frozenset()
    site.db.tables[Db.NB]["Logical_Router_Static_Route"] = {}
    site.settle(wish())
    assert nb_global(site)["external_ids"][keys.DENIED] == calm
    site.leave()
    assert nb_global(site)["external_ids"] == before


def test_a_thousand_denied_prefixes_keep_the_records_small() -> None:
    """Those of the wish are not written twice; those that share a reason are written by it."""
    router = Router("neutron-1111", "router0")
    site = Site(Mesh())
    site.add_router(router, "192.168.1.1/24", *(f"fd00:{n:x}::1/64" for n in range(1, 1001)))
    opted = {parse_prefix(f"10.{n // 250}.{n % 250}.0/24"): (OPT_OUT,) for n in range(1000)}
    desired: Desired = wish("os1", routers=(router,), denied=opted)
    site.settle(desired)
    raw = nb_global(site)["external_ids"][keys.DENIED]
    assert len(raw) < 20_000
    assert len(site.observed.nb.denied_reasons) == 2 + 2000
    assert plan_site(desired, site.observed).batches == ()


def test_json_keeps_its_fields(site: Site) -> None:
    site.settle(wish())
    (line, *_) = json.loads(json.dumps(to_json(site_overview(site.observed))))["routes"]
    assert sorted(line) == ["az", "nexthop", "prefix", "state", "ts", "why"]


prefixes = st.sampled_from(["10.0.0.0/8", "10.1.0.0/16", "fd00::/64"]).map(parse_prefix)
pairs = st.lists(st.tuples(prefixes, st.text(max_size=5)), max_size=8)


@given(pairs, st.lists(st.tuples(prefixes, st.text(max_size=5)), max_size=4).map(collect_reasons))
def test_what_is_recorded_is_what_is_read(found, wished) -> None:
    reasons = collect_reasons([*found, *pairs_of(wished)])
    raw = encode_denied(reasons, wished)
    assert collect_reasons([*pairs_of(wished), *decode_denied(raw)]) == reasons
    assert raw == encode_denied(collect_reasons([*reversed(found), *pairs_of(wished)]), wished)
