"""An agent between a real Open_vSwitch and a real southbound database; the test plays OVN."""

import json
import threading
from collections.abc import Iterator

import pytest

from ovnmesh import ovn_keys as keys
from ovnmesh.agent.chassis import Agent
from ovnmesh.model.changes import Db
from ovnmesh.model.reading import observe_southbound
from ovnmesh.model.remote import NOWHERE, parse_remote
from ovnmesh.model.report import NodeView
from ovnmesh.ovsdb.database import Database
from ovnmesh.ovsdb.schema import southbound
from servers import Server, wait_for, wait_quiet


def ovs_map(**pairs: str) -> list:
    return ["map", [[key.replace("_", "-"), value] for key, value in pairs.items()]]


class Node:
    """A gateway node "gw" with one tunnel, to 127.0.0.2, and its agent."""

    def __init__(self, vswitch: Server, sb: Server) -> None:
        self.vswitch, self.sb = vswitch, sb
        self.views: list[NodeView] = []
        settings = ovs_map(system_id="gw", ovn_remote=sb.remote, ovn_encap_ip="127.0.0.1")
        vswitch.transact(
            {"op": "insert", "table": "Open_vSwitch", "row": {"external_ids": settings,
             "bridges": ["set", [["named-uuid", "b"]]]}},
            {"op": "insert", "table": "Bridge", "uuid-name": "b",
             "row": {"name": "br-int", "ports": ["named-uuid", "p"]}},
            {"op": "insert", "table": "Port", "uuid-name": "p", "row": {"name": "ovn-far-0",
             "external_ids": ovs_map(ovn_chassis_id="far@127.0.0.2"),
             "interfaces": ["named-uuid", "i"]}},
            {"op": "insert", "table": "Interface", "uuid-name": "i", "row": {"name": "ovn-far-0",
             "type": "geneve", "bfd": ovs_map(enable="true"),
             "options": ["map", [["remote_ip", "127.0.0.2"]]]}},
        )  # fmt: skip
        sb.transact(
            {"op": "insert", "table": "SB_Global", "row": {}},
            {"op": "insert", "table": "Chassis_Private",
             "row": {"name": "gw", "external_ids": ovs_map(neutron="kept")}},
            {"op": "insert", "table": "Chassis_Private", "row": {"name": "other"}},
        )  # fmt: skip
        self.agent = Agent(parse_remote(vswitch.remote), NOWHERE, self.views.append)
        self._thread = threading.Thread(target=self.agent.run)
        self._thread.start()

    def stop(self) -> None:
        self.agent.stop()
        self._thread.join()

    def gateways(self, names: str) -> None:
        row = {"options": ["map", [[keys.GATEWAYS, names]]]}
        self.sb.transact({"op": "update", "table": "SB_Global", "where": [], "row": row})

    def bfd(self, **status: str) -> None:
        pairs = ["map", [[key, value] for key, value in status.items()]]
        where = [["name", "==", "ovn-far-0"]]
        change = {"op": "update", "table": "Interface", "where": where}
        self.vswitch.transact({**change, "row": {"bfd_status": pairs}})

    def written(self, name: str = "gw") -> dict[str, str]:
        where = [["name", "==", name]]
        select = {"op": "select", "table": "Chassis_Private", "where": where}
        out = self.sb.transact({**select, "columns": ["external_ids"]})
        return dict(json.loads(out)[0]["rows"][0]["external_ids"][1])

    def state(self) -> object:
        raw = self.written().get(keys.PATHS)
        return json.loads(raw).get("far", ["absent"])[0] if raw else "absent"


@pytest.fixture
def node(server) -> Iterator[Node]:
    made = Node(server(Db.VSWITCH), server(Db.SB))
    try:
        yield made
    finally:
        made.stop()


UP = {"forwarding": "true", "state": "up", "flap_count": "1"}
DOWN = {"forwarding": "false", "state": "down", "flap_count": "2"}


def test_a_gateway_reports_and_one_that_was_does_not(node: Node) -> None:
    node.bfd(forwarding="false", state="down", flap_count="0")
    wait_for(lambda: node.views)
    assert node.written() == {"neutron": "kept"}
    node.gateways("gw,else")
    wait_for(lambda: node.state() is None)
    # The loopback link takes more than fits into an IP packet (RFC 791, total length).
    assert node.written()[keys.TUNNEL_MTU] == str(65535 - 58)
    assert node.written()["neutron"] == "kept"
    assert node.written("other") == {}
    for status, up in ((UP, True), (DOWN, False), (UP, True)):
        node.bfd(**status)
        wait_for(lambda up=up: node.state() is up)
    db = Database(parse_remote(node.sb.remote), southbound())
    db.connect()
    assert observe_southbound(db.snapshot()).reports["gw"].paths["far"].up is True
    db.close()
    node.gateways("else")
    wait_for(lambda: node.written() == {"neutron": "kept"})
    assert node.views[-1].report.paths == {}


def test_a_list_that_goes_takes_the_report_with_it(node: Node) -> None:
    node.gateways("gw")
    wait_for(lambda: keys.PATHS in node.written())
    node.sb.transact({"op": "update", "table": "SB_Global", "where": [], "row": {
        "options": ["map", []]}})  # fmt: skip
    wait_for(lambda: node.written() == {"neutron": "kept"})


def test_what_happens_while_the_southbound_database_is_away_is_written_later(node: Node) -> None:
    node.bfd(**UP)
    node.gateways("gw")
    wait_for(lambda: node.state() is True)
    node.sb.stop(kill=True)
    node.bfd(**DOWN)
    wait_for(lambda: node.views[-1].report.paths["far"].up is False, what="seen meanwhile")
    wait_for(lambda: not node.agent.ready)
    node.sb.start()
    wait_for(lambda: node.state() is False, 20)
    wait_for(lambda: node.agent.ready)


def test_a_chassis_that_registers_again_gets_its_report_again(node: Node) -> None:
    node.gateways("gw")
    wait_for(lambda: keys.PATHS in node.written())
    where = [["name", "==", "gw"]]
    node.sb.transact({"op": "delete", "table": "Chassis_Private", "where": where})
    node.sb.transact({"op": "insert", "table": "Chassis_Private", "row": {"name": "gw"}})
    wait_for(lambda: keys.PATHS in node.written())


def test_nothing_is_written_twice(node: Node) -> None:
    node.bfd(**UP)
    node.gateways("gw")
    wait_for(lambda: node.state() is True)
    wait_quiet(lambda: node.sb.file.stat().st_size)
    size = node.sb.file.stat().st_size
    for _ in range(3):
        looks = len(node.views)
        node.agent.wake()
        wait_for(lambda looks=looks: len(node.views) > looks)
    assert node.sb.file.stat().st_size == size
