"""Routers as Neutron makes them, with real ovn-northd and real ovn-ic; no Neutron, no data path.

What Neutron does to a router is done here with ovn-nbctl: disable it, delete it, delete the routes
that ovn-ic learned (Neutron up to 27), delete ports named `lrp-*` (its repair, before 27.0.2).
"""

import threading
import time
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from ovnmesh.config import InterconnectConfig
from ovnmesh.model.changes import Db
from ovnmesh.model.desired import Router
from ovnmesh.ovsdb.question import ask
from ovnmesh.providers.base import Wish
from ovnmesh.providers.openstack.advice import ADVICE
from servers import wait_for
from site_harness import SiteUnderTest

ROUTER0, ROUTER1 = Router("neutron-1111", "router0"), Router("neutron-2222", "router1")
ORIGIN = ["map", [["origin", "connected"]]]
REMOTE = ("10.16.0.0/16", "100.64.0.0/16")


class Cloud:
    """A provider whose answer the test sets."""

    advice = ADVICE

    def __init__(self, state: Wish) -> None:
        self.state = state
        self._changed = threading.Event()

    def say(self, *routers: Router) -> None:
        self.state = replace(self.state, routers=routers)
        self._changed.set()

    def read(self) -> Wish:
        return self.state

    def watch(self, on_change: Any, stop: threading.Event) -> None:
        on_change()
        while not stop.is_set():
            if self._changed.wait(0.05):
                self._changed.clear()
                on_change()


class OpenStack:
    """A site with routers of Neutron's names, connected to a Kube-OVN shaped one."""

    def __init__(self, site: SiteUnderTest, other: SiteUnderTest) -> None:
        self.site, self.other = site, other
        ports = site.ic.ports
        config = InterconnectConfig(
            enable_ic=True,
            az_name="os1",
            ic_db_hosts=(ip_address(str(ports["hosts"])),),
            ic_nb_port=int(ports["nb"]),
            ic_sb_port=int(ports["sb"]),
            gw_nodes=("az2-gw",),
            auto_route=True,
        )
        self.cloud = Cloud(Wish(config=config, routers=(ROUTER0,), shared_database=True))

    def add_router(self, router: Router, cidr: str) -> None:
        mac = f"fa:16:3e:00:00:{int(cidr.split('.')[2]):02d}"
        self.site.nbctl(
            "lr-add",
            router.name,
            "--",
            "lrp-add",
            router.name,
            f"{router.ports_named_after}-0",
            mac,
            cidr,
        )

    def learned(self, router: Router = ROUTER0) -> list[str]:
        lines = self.site.routes(router.name).splitlines()
        return [line.split()[0] for line in lines if "(learned)" in line]

    def connected(self) -> bool:
        return (
            sorted(self.learned()) == sorted(REMOTE)
            and "192.168.1.0/24" in self.other.routes()
            and self.site.state() == "joined"
        )

    def settled(self) -> None:
        wait_for(self.connected, 15, lambda: self.site.routes(ROUTER0.name))
        time.sleep(0.5)  # a storm would show by now
        assert self.connected()

    def transit_ports(self) -> set[str]:
        names = self.site.nbctl("--bare", "--columns=name", "find", "Logical_Switch_Port")
        return {name for name in names.split() if name.startswith("lsp-")}


@pytest.fixture
def cloud(sites) -> OpenStack:
    other, site = sites(1), sites(2)
    other.configure()
    other.control()
    other.mark("az1-gw")
    made = OpenStack(site, other)
    made.add_router(ROUTER0, "192.168.1.1/24")
    # Somebody else's router, whose route would overlap with the other site's pods.
    site.nbctl("lr-add", "neutron-9999", "--", "lrp-add", "neutron-9999", "x", "fa:16:3e:00:00:99",
               "192.168.1.1/24", "--", "lr-route-add", "neutron-9999", "10.16.0.0/16",
               "192.168.1.9")  # fmt: skip
    site.control(made.cloud)
    site.mark("az2-gw")
    made.settled()
    return made


def test_router_joins_under_the_documents_names(cloud) -> None:
    cloud.site.settle()
    assert cloud.site.codes() == [], "a stranger's route is no conflict of ours"
    show = cloud.site.nbctl("show", ROUTER0.name)
    assert "port lrp-router0-ts" in show
    assert cloud.transit_ports() == {"lsp-ts-router0"}
    assert "neutron-9999" not in cloud.site.nbctl("show", "ts")
    assert cloud.site.nbctl("--bare", "--columns=_uuid", "find", "Logical_Router_Policy") == ""


def test_disabled_router_makes_no_route_storm_and_comes_back(cloud) -> None:
    address = cloud.site.nbctl("get", "Logical_Router_Port", "lrp-router0-ts", "networks")
    cloud.site.nbctl("set", "Logical_Router", ROUTER0.name, "enabled=false")
    wait_for(lambda: cloud.transit_ports() == set() and cloud.learned() == [], 15, cloud.learned)
    wait_for(lambda: "192.168.1.0/24" not in cloud.other.routes(), 10, cloud.other.routes)
    time.sleep(1)
    assert cloud.learned() == []
    wait_for(lambda: "router-disabled" in cloud.site.codes(), 10, cloud.site.codes)
    cloud.site.nbctl("set", "Logical_Router", ROUTER0.name, "enabled=true")
    cloud.settled()
    assert cloud.site.nbctl("get", "Logical_Router_Port", "lrp-router0-ts", "networks") == address


def test_deleted_router_leaves_no_orphan_and_no_storm(cloud) -> None:
    cloud.site.nbctl("lr-del", ROUTER0.name)
    wait_for(lambda: cloud.transit_ports() == set(), 10, cloud.transit_ports)
    wait_for(lambda: "192.168.1.0/24" not in cloud.other.routes(), 10, cloud.other.routes)
    wait_for(lambda: "router-missing" in cloud.site.codes(), 10, cloud.site.codes)
    again = Router("neutron-3333", "router0")
    cloud.add_router(again, "192.168.1.1/24")
    cloud.cloud.say(again)
    wait_for(lambda: sorted(cloud.learned(again)) == sorted(REMOTE), 15, cloud.learned)
    wait_for(lambda: "192.168.1.0/24" in cloud.other.routes(), 10, cloud.other.routes)


def test_port_deleted_by_a_repair_comes_back_without_duplicates(cloud) -> None:
    for _ in range(3):
        cloud.site.nbctl("lrp-del", "lrp-router0-ts")
        wait_for(lambda: "lrp-router0-ts" in cloud.site.nbctl("show", ROUTER0.name), 10)
    cloud.settled()


def test_thousands_of_routes_that_ovn_ic_has_left_are_removed(cloud) -> None:
    found = (line.split() for line in cloud.site.routes(ROUTER0.name).splitlines())
    hop = next(words[1] for words in found if words[:1] == [REMOTE[0]])
    row = {"ip_prefix": REMOTE[0], "nexthop": hop, "options": ORIGIN,
           "external_ids": ["map", [["ic-learned-route", str(uuid4())]]]}  # fmt: skip
    some = range(2500)
    inserts = [
        {"op": "insert", "table": "Logical_Router_Static_Route", "row": row, "uuid-name": f"r{n}"}
        for n in some
    ]
    added = ["static_routes", "insert", ["set", [["named-uuid", f"r{n}"] for n in some]]]
    router = {"table": "Logical_Router", "where": [["name", "==", ROUTER0.name]]}
    into = {"op": "mutate", **router, "mutations": [added]}
    disable = {"op": "update", **router, "row": {"enabled": False}}
    server = Path(cloud.site.nb.remote.removeprefix("unix:"))
    assert not ask(server, "transact", [Db.NB.value, *inserts, into, disable], 30)["error"]
    wait_for(lambda: cloud.transit_ports() == set() and cloud.learned() == [], 20, cloud.learned)
    cloud.site.nbctl("set", "Logical_Router", ROUTER0.name, "enabled=true")
    cloud.settled()


def test_routes_deleted_at_a_router_update_come_back(cloud) -> None:
    for _ in range(3):
        for prefix in REMOTE:
            cloud.site.nbctl("--if-exists", "lr-route-del", ROUTER0.name, prefix)
        cloud.settled()


def test_two_routers_have_a_transit_switch_each(cloud) -> None:
    cloud.add_router(ROUTER1, "192.168.2.1/24")
    cloud.cloud.say(ROUTER0, ROUTER1)
    wait_for(lambda: "router-without-switch" in cloud.site.codes(), 10, cloud.site.codes)
    cloud.settled()
    row = {"name": "ts1", "external_ids": ["map", [["subnet", "169.254.101.0/24"]]]}
    cloud.site.ic.nb.transact({"op": "insert", "table": "Transit_Switch", "row": row})
    wait_for(lambda: "192.168.2.0/24" in cloud.other.routes(), 20, cloud.other.routes)
    assert cloud.transit_ports() == {"lsp-ts-router0", "lsp-ts1-router1"}
    cloud.cloud.say(ROUTER1)
    wait_for(lambda: "192.168.1.0/24" not in cloud.other.routes(), 10, cloud.other.routes)
    wait_for(lambda: cloud.learned() == [], 10, cloud.learned)
    assert "192.168.2.0/24" in cloud.other.routes()
