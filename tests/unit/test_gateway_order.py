"""Who leads on which transit switch: every rule of `plan.decide.gateway_order`, on fake sites."""

from dataclasses import replace

import pytest
from msgspec import structs

from fake_mesh import Mesh, Site, wish
from ovnmesh import ovn_keys as keys
from ovnmesh.model.changes import Batch, Db, MergeKeys
from ovnmesh.model.desired import Desired, GatewayPolicy
from ovnmesh.model.gateway_state import (
    GatewayState,
    decode_gateway_state,
    encode_gateway_state,
)
from ovnmesh.model.paths import Path, encode_paths
from ovnmesh.plan.decide.gateway_order import HEARD_S, PATH_DEAD_S, PATH_DEAD_THEIR_TURN_S
from ovnmesh.plan.site import plan_site


class Gateways:
    """A settled site, and what happens to its gateways."""

    def __init__(self, desired: Desired, switches: int = 1, az: str = "az1") -> None:
        self.site = Site(Mesh(switches))
        self.desired = replace(desired, az_name=az)
        self.bound: dict[str, str] = {}
        self.settle()
        for ts in self.switches:
            self.bind(ts, self.order(ts)[0])

    @property
    def switches(self) -> list[str]:
        rows = self.site.mesh.ic.tables[Db.IC_NB]["Transit_Switch"].values()
        return sorted(row["name"] for row in rows)

    def settle(self, **changes: object) -> None:
        self.desired = replace(self.desired, **changes)
        self.site.settle(self.desired)

    def order(self, ts: str = "ts") -> list[str]:
        """Nodes by priority."""
        tables = self.site.db.tables[Db.NB]
        lrp = next(
            row
            for row in tables["Logical_Router_Port"].values()
            if row["name"] == f"{self.desired.az_name}-{ts}"
        )
        found = [tables["Gateway_Chassis"][uuid] for uuid in lrp["gateway_chassis"]]
        found.sort(key=lambda row: -row["priority"])
        return [row["chassis_name"].removeprefix("chassis-") for row in found]

    def bind(self, ts: str, node: str) -> None:
        """What ovn-controller does: the node takes the switch's port."""
        chassis = self.site.db.tables[Db.SB]["Chassis"]
        uuid = next(u for u, row in chassis.items() if row["hostname"] == node)
        if ts in self.bound:
            del self.site.db.tables[Db.SB]["Port_Binding"][self.bound[ts]]
        self.bound[ts] = self.site.db.add(
            Db.SB,
            "Port_Binding",
            logical_port=f"cr-{self.desired.az_name}-{ts}",
            chassis=frozenset({uuid}),
        )
        self.settle()

    def follow(self) -> None:
        """Each port goes to the node of the highest priority."""
        for ts in self.switches:
            self.bind(ts, self.order(ts)[0])

    @property
    def state(self) -> GatewayState:
        raw = self.site.observed.nb.external_ids[keys.GATEWAY_STATE]
        return decode_gateway_state(raw)

    def command(self, **changes: object) -> None:
        """What `ovnmesh gateway` does: change the record."""
        text = encode_gateway_state(structs.replace(self.state, **changes))
        put = MergeKeys(
            "NB_Global", self.site.nb_global, "external_ids", {keys.GATEWAY_STATE: text}
        )
        self.site.db.apply([Batch(Db.NB, (put,), "by command")])
        self.settle()

    def remote(self, az: str, gateway: str, ts: str = "ts", spare: str = "") -> None:
        """Another site, active on a gateway."""
        zone = self.site.mesh.foreign_zone(az)
        port = self.site.mesh.foreign_port(zone, f"{ts}-{az}", "00:00:00:00:00:0f 169.254.100.9/24")
        self.site.mesh.ic.tables[Db.IC_SB]["Port_Binding"][port]["gateway"] = gateway
        for name in (gateway, *([spare] if spare else [])):
            self.site.mesh.ic.add(
                Db.IC_SB, "Gateway", name=name, hostname=name, availability_zone=zone
            )

    def report(self, node: str, **up: bool | None) -> None:
        """What the node's agent says of its paths."""
        text = encode_paths({name: Path(value) for name, value in up.items()})
        table = self.site.db.tables[Db.SB].setdefault("Chassis_Private", {})
        for uuid, row in list(table.items()):
            if row["name"] == f"chassis-{node}":
                del table[uuid]
        self.site.db.add(
            Db.SB, "Chassis_Private", name=f"chassis-{node}", external_ids={keys.PATHS: text}
        )

    def pass_after(self, seconds: float) -> None:
        """One pass in which every pending condition has held for so long."""
        pending = plan_site(self.desired, self.site.observed).pending
        ages = dict.fromkeys(pending, seconds)
        self.site.apply(plan_site(self.desired, self.site.observed, ages))


POLICY = GatewayPolicy()
PREEMPT = GatewayPolicy(preempt=True)
SPREAD = GatewayPolicy(active_active=True)


def test_the_first_of_gw_nodes_leads() -> None:
    assert Gateways(wish("az1", "gw", "n1", "n2")).order() == ["gw", "n1", "n2"]


def test_a_port_begins_with_its_leader_and_the_others_join_when_it_hears_them() -> None:
    site = Site(Mesh())
    wanted = wish("az1", "gw", "n1", "n2")
    for _ in range(8):
        site.apply(plan_site(wanted, site.observed))
        site.agents()
        site.ovn_ic()
    gateways = Gateways.__new__(Gateways)
    gateways.site, gateways.desired, gateways.bound = site, wanted, {}
    assert gateways.order() == ["gw"]
    chassis = site.db.tables[Db.SB]["Chassis"]
    active = next(uuid for uuid, row in chassis.items() if row["hostname"] == "gw")
    site.db.add(Db.SB, "Port_Binding", logical_port="cr-az1-ts", chassis=frozenset({active}))
    gateways.report("gw", **{"chassis-n1": True, "chassis-n2": True})
    gateways.report("n1", **{"chassis-gw": True})
    gateways.report("n2", **{"chassis-gw": None})  # not yet on that side
    site.apply(plan_site(wanted, site.observed))
    assert gateways.order() == ["gw", "n1"]
    gateways.pass_after(HEARD_S)
    assert gateways.order() == ["gw", "n1", "n2"]


def test_the_active_gateway_goes_only_when_another_has_taken_over() -> None:
    gateways = Gateways(wish("az1", "gw", "n1"))
    gateways.settle(gw_nodes=("n1",))
    assert gateways.order() == ["n1", "gw"]
    gateways.bind("ts", "n1")
    assert gateways.order() == ["n1"]


def test_who_takes_over_stays_when_the_first_returns() -> None:
    gateways = Gateways(wish("az1", "gw", "n1", "n2"))
    gateways.bind("ts", "n1")
    assert gateways.order() == ["n1", "gw", "n2"]
    gateways.settle()
    assert gateways.order() == ["n1", "gw", "n2"]


def test_a_planned_switch_under_way_is_no_failover() -> None:
    gateways = Gateways(wish("az1", "gw", "n1"))
    gateways.settle(gw_nodes=("n1", "gw"))
    assert gateways.order() == ["n1", "gw"]  # while gw still carries the traffic
    gateways.bind("ts", "n1")
    assert gateways.order() == ["n1", "gw"]


def test_a_gateway_appended_after_a_failover_moves_nothing() -> None:
    gateways = Gateways(wish("az1", "gw", "n1"))
    gateways.bind("ts", "n1")
    gateways.settle(gw_nodes=("gw", "n1", "n2"))
    assert gateways.order() == ["n1", "gw", "n2"]


def test_another_first_gateway_leads_once_it_may() -> None:
    gateways = Gateways(wish("az1", "gw", "n1"))
    gateways.settle(gw_nodes=("n2", "gw", "n1"))
    assert gateways.order() == ["n2", "gw", "n1"]


def test_a_chassis_that_is_gone_leaves_the_others() -> None:
    gateways = Gateways(wish("az1", "gw", "n1", "n2"))
    chassis = gateways.site.db.tables[Db.SB]["Chassis"]
    gone = next(uuid for uuid, row in chassis.items() if row["hostname"] == "gw")
    gateways.bind("ts", "n1")
    row = chassis.pop(gone)
    gateways.settle()
    assert gateways.order() == ["n1", "n2"]
    chassis[gone] = {**row, "name": "chassis-gw-again"}  # the node comes back, registered anew
    gateways.settle()
    assert gateways.order() == ["n1", "gw-again", "n2"]


def test_with_preempt_the_first_leads_again_once_the_active_one_hears_it() -> None:
    gateways = Gateways(wish("az1", "gw", "n1", gateways=PREEMPT))
    gateways.report("n1", **{"chassis-gw": False})
    gateways.bind("ts", "n1")
    assert gateways.order() == ["n1", "gw"]
    gateways.report("n1", **{"chassis-gw": True})
    gateways.settle()
    assert gateways.order() == ["gw", "n1"]


def test_with_preempt_and_without_reports_ovn_moves_back_by_priority() -> None:
    gateways = Gateways(wish("az1", "gw", "n1", gateways=PREEMPT))
    gateways.bind("ts", "n1")
    assert gateways.order() == ["gw", "n1"]


def test_drained_goes_last_and_comes_back_as_a_reserve() -> None:
    gateways = Gateways(wish("az1", "gw", "n1", "n2"))
    gateways.command(drained=frozenset({"gw"}))
    assert gateways.order() == ["n1", "n2", "gw"]
    gateways.follow()
    gateways.command(drained=frozenset())
    assert gateways.order() == ["n1", "gw", "n2"]


def test_the_only_gateway_leads_even_if_drained() -> None:
    gateways = Gateways(wish("az1", "gw"))
    gateways.command(drained=frozenset({"gw"}))
    assert gateways.order() == ["gw"]


def test_drained_nodes_that_are_no_gateways_any_more_are_forgotten() -> None:
    gateways = Gateways(wish("az1", "gw", "n1"))
    gateways.command(drained=frozenset({"n1"}))
    gateways.settle(gw_nodes=("gw",))
    assert gateways.state.drained == frozenset()


def test_preferred_leads() -> None:
    gateways = Gateways(wish("az1", "gw", "n1"))
    gateways.command(leaders={"ts": "n1"})
    assert gateways.order() == ["n1", "gw"]


@pytest.mark.parametrize(
    ("switches", "nodes", "leaders"),
    [
        (2, ("gw", "n1"), ["gw", "n1"]),
        (3, ("gw", "n1"), ["gw", "n1", "gw"]),
        (2, ("gw", "n1", "n2"), ["gw", "n1"]),
        (3, ("gw",), ["gw", "gw", "gw"]),
        (4, ("gw", "n1", "n2"), ["gw", "n1", "n2", "gw"]),
    ],
)
def test_active_active_spreads_the_switches(
    switches: int, nodes: tuple[str, ...], leaders: list[str]
) -> None:
    gateways = Gateways(wish("az1", *nodes, gateways=SPREAD), switches)
    assert [gateways.order(ts)[0] for ts in gateways.switches] == leaders


def test_active_active_hands_a_dead_gateways_switches_to_different_ones() -> None:
    gateways = Gateways(wish("az1", "gw", "n1", "n2", gateways=SPREAD), 3)
    assert gateways.order("ts") == ["gw", "n1", "n2"]
    assert gateways.order("ts1") == ["n1", "n2", "gw"]
    assert gateways.order("ts2") == ["n2", "gw", "n1"]


def test_active_active_a_new_switch_moves_no_other() -> None:
    gateways = Gateways(wish("az1", "gw", "n1", gateways=SPREAD), 2)
    gateways.bind("ts1", "gw")  # n1 has failed, and returns
    gateways.site.mesh.add_switch(2)
    gateways.settle()
    assert [gateways.order(ts)[0] for ts in gateways.switches] == ["gw", "gw", "n1"]


def test_active_active_another_gateway_gets_its_share_and_moves_no_more_than_that() -> None:
    gateways = Gateways(wish("az1", "gw", "n1", gateways=SPREAD), 4)
    gateways.settle(gw_nodes=("gw", "n1", "n2"))
    leaders = [gateways.order(ts)[0] for ts in gateways.switches]
    assert leaders == ["gw", "n1", "gw", "n1"]  # two each is as even as four over three can be
    gateways.settle(gw_nodes=("gw", "n2"))
    assert [gateways.order(ts)[0] for ts in gateways.switches] == ["gw", "n2", "gw", "n2"]


def test_from_one_mode_to_the_other_and_back() -> None:
    gateways = Gateways(wish("az1", "gw", "n1"), 2)
    assert [gateways.order(ts)[0] for ts in gateways.switches] == ["gw", "gw"]
    gateways.settle(gateways=SPREAD)
    assert [gateways.order(ts)[0] for ts in gateways.switches] == ["gw", "n1"]
    gateways.follow()
    gateways.settle(gateways=POLICY)
    assert [gateways.order(ts)[0] for ts in gateways.switches] == ["gw", "gw"]


def with_a_dead_path(az: str) -> Gateways:
    gateways = Gateways(wish("az1", "gw", "n1"), az=az)
    gateways.remote("az2", "far", spare="far-spare")
    gateways.report("gw", **{"far": False, "far-spare": True})
    gateways.report("n1", **{"far": True, "far-spare": True})
    return gateways


def test_a_dead_path_moves_the_gateway_after_a_moment() -> None:
    gateways = with_a_dead_path("az1")
    gateways.pass_after(PATH_DEAD_S / 2)
    assert gateways.order() == ["gw", "n1"]
    gateways.pass_after(PATH_DEAD_S)
    assert gateways.order() == ["n1", "gw"]


def test_of_two_sites_the_first_in_the_alphabet_moves() -> None:
    gateways = with_a_dead_path("az3")
    gateways.pass_after(PATH_DEAD_S)
    assert gateways.order() == ["gw", "n1"]
    gateways.pass_after(PATH_DEAD_THEIR_TURN_S)
    assert gateways.order() == ["n1", "gw"]


def test_the_second_does_not_wait_for_a_site_that_cannot() -> None:
    gateways = with_a_dead_path("az3")
    gateways.report("gw", **{"far": False, "far-spare": False})
    gateways.pass_after(PATH_DEAD_S)
    assert gateways.order() == ["n1", "gw"]


@pytest.mark.parametrize("other", [False, True])
def test_a_path_that_is_dead_for_all_or_watched_by_nobody_moves_nothing(other: bool) -> None:
    gateways = with_a_dead_path("az1")
    if other:
        gateways.report("gw", far=None)  # the other end runs no BFD
    else:
        gateways.report("n1", far=False)
    assert plan_site(gateways.desired, gateways.site.observed).pending == {}
    gateways.pass_after(60)
    assert gateways.order() == ["gw", "n1"]


def test_a_drained_gateway_is_no_way_out() -> None:
    gateways = with_a_dead_path("az1")
    gateways.command(drained=frozenset({"n1"}))
    gateways.pass_after(60)
    assert gateways.order() == ["gw", "n1"]


def test_the_record_survives_nonsense() -> None:
    assert decode_gateway_state("{") == GatewayState()
    assert decode_gateway_state('{"nodes": 3}') == GatewayState()
    state = GatewayState(("a", "b"), True, {"ts": "a"}, {"ts": "c-a"}, frozenset({"b"}))
    assert decode_gateway_state(encode_gateway_state(state)) == state


def test_bfd_timers_are_set_and_put_back() -> None:
    gateways = Gateways(wish("az1", "gw", "n1"))
    options = gateways.site.observed.nb.options
    assert (options["bfd-min-rx"], options["bfd-min-tx"], options["bfd-mult"]) == ("100",) * 2 + (
        "3",
    )
    gateways.settle(gateways=GatewayPolicy(bfd_min_rx_ms=300, bfd_min_tx_ms=200, bfd_mult=5))
    options = gateways.site.observed.nb.options
    assert (options["bfd-min-rx"], options["bfd-min-tx"], options["bfd-mult"]) == (
        "300",
        "200",
        "5",
    )
    gateways.bound.clear()
    gateways.site.db.tables[Db.SB]["Port_Binding"].clear()
    gateways.site.leave()
    nb = gateways.site.observed.nb
    assert not any(key.startswith("bfd-") for key in nb.options)
    assert keys.GATEWAY_STATE not in nb.external_ids
