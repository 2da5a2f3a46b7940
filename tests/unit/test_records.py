"""Records in the databases: read whoever wrote them, replaced when they are old, never an error."""

import json

import pytest

from fake_mesh import Mesh, Site, wish
from ovnmesh import ovn_keys as keys
from ovnmesh.model.changes import Db
from ovnmesh.model.denied import decode_denied
from ovnmesh.model.desired import Desired, GatewayPolicy, Router
from ovnmesh.model.finding import Code, Finding, Severity
from ovnmesh.model.gateway_state import GatewayState, decode_gateway_state, encode_gateway_state
from ovnmesh.model.paths import Path, decode_paths, encode_paths
from ovnmesh.model.prefixes import parse_prefix
from ovnmesh.model.remote import parse_remote
from ovnmesh.model.report import SiteState
from ovnmesh.model.site_record import decode_desired, encode_desired
from ovnmesh.model.status_record import decode_status, encode_status
from ovnmesh.plan.site import plan_site

KUBE_OVN_0_1 = (
    '{"config":{"advertise-nodes":"false","auto-route":"true","az-name":"az1","bfd-min-rx":"300",'
    '"enable-ic":"true","gateway-mode":"active-active","gateway-mtu":"off",'
    '"gateway-preempt":"true","gw-nodes":"n1,n2","ic-db-host":"192.168.65.3,fd00::3",'
    '"ic-nb-port":"6645","ic-sb-port":"6646"},"denied":{"10.199.0.0/16":"opted out"},'
    '"local":["10.16.0.0/16"]}'
)
OPENSTACK_0_1 = (
    '{"config":{"advertise-nodes":"false","auto-route":"false","az-name":"os1",'
    '"enable-ic":"true","gw-nodes":"enable-chassis-as-gw","ic-db-host":"192.168.65.3",'
    '"ic-nb-port":"7000","ic-sb-port":"6646"},"denied":{},"local":["192.168.1.0/24"],'
    '"routers":[["neutron-1","router0"],["neutron-2","router1","ts1","ts2"]]}'
)
GATEWAYS_0_1 = (
    '{"active":{"ts":"c-a"},"active-active":true,"drained":["b"],"leaders":{"ts":"a"},'
    '"nodes":["a","b"]}'
)
STATUS_0_1 = (
    '{"findings":[{"code":"mtu-differs","message":"m","severity":"warning","subject":"s"}],'
    '"state":"joined"}'
)


@pytest.fixture
def site() -> Site:
    return Site(Mesh())


def record(site: Site, key: str, text: str | None = None) -> str:
    ids = site.db.tables[Db.NB]["NB_Global"][site.nb_global]["external_ids"]
    assert isinstance(ids, dict)
    if text is not None:
        ids[key] = text
    return str(ids.get(key, ""))


def test_a_kube_ovn_site_of_version_0_1_0() -> None:
    assert decode_desired(KUBE_OVN_0_1, "vpc") == Desired(
        "az1",
        ("n1", "n2"),
        True,
        denied={parse_prefix("10.199.0.0/16"): ("opted out",)},
        local=frozenset({parse_prefix("10.16.0.0/16")}),
        gateways=GatewayPolicy(True, True, 300, mtu_bytes=0),
        routers=(Router("vpc", bypass_policy=True),),
        ic_nb=parse_remote("tcp:192.168.65.3:6645,tcp:[fd00::3]:6645"),
        ic_sb=parse_remote("tcp:192.168.65.3:6646,tcp:[fd00::3]:6646"),
    )


def test_an_openstack_site_of_version_0_1_0() -> None:
    assert decode_desired(OPENSTACK_0_1, "unused") == Desired(
        "os1",
        ("enable-chassis-as-gw",),
        False,
        local=frozenset({parse_prefix("192.168.1.0/24")}),
        routers=(Router("neutron-1", "router0"), Router("neutron-2", "router1", ("ts1", "ts2"))),
        shared_database=True,
        ic_nb=parse_remote("tcp:192.168.65.3:7000"),
        ic_sb=parse_remote("tcp:192.168.65.3:6646"),
    )


def test_a_pass_replaces_the_record_of_version_0_1_0_and_nothing_else(site: Site) -> None:
    desired = wish("az1", "gw", denied={parse_prefix("10.199.0.0/16"): ("opted out",)})
    site.settle(desired)
    data = {"enable-ic": "true", "az-name": "az1", "gw-nodes": "gw", "auto-route": "true"}
    data |= {"ic-db-host": "192.0.2.1", "ic-nb-port": "6645", "ic-sb-port": "6646"}
    denied = {"10.199.0.0/16": "opted out"}
    old = json.dumps({"config": data, "denied": denied, "local": []})
    record(site, keys.SITE_RECORD, old)
    assert site.observed.nb.record is not None
    assert str(site.observed.nb.record.ic_nb) == "tcp:192.0.2.1:6645"
    (batch,) = plan_site(desired, site.observed).batches
    site.settle(desired)
    assert len(batch.operations) == 1
    assert record(site, keys.SITE_RECORD) == encode_desired(desired)


def test_a_site_that_joined_with_version_0_1_0_can_leave(site: Site) -> None:
    site.settle(wish())
    record(site, keys.SITE_RECORD, KUBE_OVN_0_1)
    record(site, keys.RESTORE, '{"name":"before","options":{"ic-route-adv":"false"}}')
    site.leave()
    row = site.db.tables[Db.NB]["NB_Global"][site.nb_global]
    assert row["name"] == "before"
    assert row["options"].get("ic-route-adv") == "false"
    assert record(site, keys.SITE_RECORD) == ""


def test_texts_of_the_other_records_have_not_changed() -> None:
    state = GatewayState(("a", "b"), True, {"ts": "a"}, {"ts": "c-a"}, frozenset({"b"}))
    assert decode_gateway_state(GATEWAYS_0_1) == state
    assert encode_gateway_state(state) == GATEWAYS_0_1
    paths = {"c1": Path(None), "c2": Path(True, 1.5, 0.25)}
    assert decode_paths('{"c1":[null,null,null],"c2":[true,1.5,0.25]}') == paths
    assert encode_paths(paths) == '{"c1":[null,null,null],"c2":[true,1.5,0.25]}'
    status = SiteState.JOINED, (Finding("mtu-differs", "s", "m", Severity.WARNING),)
    assert decode_status(STATUS_0_1) == status
    assert encode_status(*status) == STATUS_0_1
    assert decode_denied('{"why":["10.0.0.0/8"]}') == ((parse_prefix("10.0.0.0/8"), "why"),)


@pytest.mark.parametrize(
    "text",
    [
        *("", "{", "[]", "3", '"', "null", "[" * 99_999, '{"x":' + "[" * 99_999),
        *("\ud800", '"\\ud800"', '{"config":{}}', '{"nodes":3}', '{"a":[1,2,3]}'),
        *('{"a":["10.0.0.0/99"]}', '{"state":"x"}'),
    ],
    ids=lambda text: ascii(text[:12]),
)
def test_no_text_is_an_error(text: str) -> None:
    assert decode_desired(text, "r") is None
    assert decode_gateway_state(text) == GatewayState()
    assert not decode_paths(text)
    assert decode_status(text) is None
    assert decode_denied(text) == ()


@pytest.mark.parametrize(
    "change",
    [
        *({"version": 2}, {"version": None}, {"routers": "r"}, {"az_name": 1}),
        *({"local": ["x"]}, {"denied": {"why": ["10.0.0.0/99"]}}),
    ],
    ids=str,
)
def test_a_record_that_means_something_else_is_none(change: dict[str, object]) -> None:
    text = encode_desired(wish())
    assert decode_desired(json.dumps(json.loads(text) | {"unknown": 1}), "r") == wish()
    assert decode_desired(json.dumps(json.loads(text) | change), "r") is None


def test_half_a_character_is_written_as_a_question_mark() -> None:
    """As in the name of a folder that is not UTF-8."""
    found = Finding(Code.CONFIG_UNREADABLE, "x", "folder /etc/\udcff")
    text = encode_status(SiteState.JOINED, (found,))
    assert decode_status(text) == (SiteState.JOINED, (Finding(found.code, "x", "folder /etc/?"),))
