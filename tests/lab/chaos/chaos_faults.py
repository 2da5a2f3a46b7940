"""Faults: processes killed, links and paths cut. Names and bounds are in `chaos_bounds`."""

from random import Random

from chaos_action import Action, Maker, nothing, tolerant
from chaos_bounds import Bound
from chaos_lab import ChaosLab
from ovnmesh.icdb.database import files as icdb_files
from ovnmesh.lab import daemons


def kill(lab: ChaosLab, place: str, daemon: str, bound: Bound, **touched: frozenset[str]) -> Action:
    def heal() -> None:
        lab.runner.fault_kill(place, daemon, heal=True)

    # The controller starts its ovn-ic again by itself.
    undo = nothing if daemon == "ovn-ic" else heal
    strike = tolerant(lambda: lab.runner.fault_kill(place, daemon))
    return Action(f"kill -9 {place} {daemon}", bound, strike, undo, **touched)


def of_control(daemon: str) -> Maker:
    return lambda lab, dice, bound: kill(lab, dice.choice(lab.names), daemon, bound)


def any_node(lab: ChaosLab, dice: Random) -> str:
    site = dice.choice(lab.names)
    return f"{site}/{dice.choice(lab.nodes(site))}"


def of_node(daemon: str) -> Maker:
    def make(lab: ChaosLab, dice: Random, bound: Bound) -> Action:
        place = any_node(lab, dice)
        return kill(lab, place, daemon, bound, near=frozenset({place}))

    return make


def of_switch(daemon: str) -> Maker:
    """Of a node, with its own pods."""

    def make(lab: ChaosLab, dice: Random, bound: Bound) -> Action:
        place = any_node(lab, dice)
        touched = frozenset({place})
        return kill(lab, place, daemon, bound, dead=touched, near=touched)

    return make


def kill_all_ic_db(lab: ChaosLab, dice: Random, bound: Bound) -> Action:
    return kill(lab, "ic", "ic-db", bound)


def kill_member(lab: ChaosLab, dice: Random, bound: Bound) -> Action:
    return kill(lab, dice.choice(lab.runner.lab.ic_nodes).name, "ic-db", bound)


def _leader(lab: ChaosLab, dice: Random) -> str:
    database = dice.choice(icdb_files.DATABASES)
    found = daemons.find_ic_leader(lab.runner.lab, database)
    return (found or dice.choice(lab.runner.lab.ic_nodes)).name


def kill_leader(lab: ChaosLab, dice: Random, bound: Bound) -> Action:
    return kill(lab, _leader(lab, dice), "ic-db", bound)


def _link(lab: ChaosLab, place: str, bound: Bound, **touched: frozenset[str]) -> Action:
    return Action(
        f"cut the link of {place}",
        bound,
        lambda: lab.runner.fault_link(place),
        lambda: lab.runner.fault_link(place, heal=True),
        **touched,
    )


def cut_member(lab: ChaosLab, dice: Random, bound: Bound) -> Action:
    return _link(lab, _leader(lab, dice), bound)


def cut_gateway(lab: ChaosLab, dice: Random, bound: Bound) -> Action:
    site = dice.choice(lab.names)
    node = lab.active_gateway(site, dice.choice(lab.switches()))
    touched = frozenset({f"{site}/{node}"})
    return _link(lab, f"{site}/{node}", bound, dead=touched, near=touched)


def cut_node(lab: ChaosLab, dice: Random, bound: Bound) -> Action:
    site = dice.choice(lab.names)
    active = {lab.active_gateway(site, ts) for ts in lab.switches()}
    # With active-active and two gateways a third node is left.
    node = dice.choice([node for node in lab.nodes(site) if node not in active])
    touched = frozenset({f"{site}/{node}"})
    return _link(lab, f"{site}/{node}", bound, dead=touched, near=touched)


def _path(lab: ChaosLab, one: str, other: str, bound: Bound) -> Action:
    return Action(
        f"cut the path {one} - {other}",
        bound,
        lambda: lab.runner.fault_path(one, other),
        lambda: lab.runner.fault_path(one, other, heal=True),
    )


def cut_gateway_path(lab: ChaosLab, dice: Random, bound: Bound) -> Action:
    ts = dice.choice(lab.switches())
    one, other = (f"{site}/{lab.active_gateway(site, ts)}" for site in lab.names)
    return _path(lab, one, other, bound)


def part_sites(lab: ChaosLab, dice: Random, bound: Bound) -> Action:
    return _path(lab, *lab.names, bound)


def part_leader(lab: ChaosLab, dice: Random, bound: Bound) -> Action:
    return _path(lab, f"{dice.choice(lab.names)}/control", _leader(lab, dice), bound)


def cut_ic(lab: ChaosLab, dice: Random, bound: Bound) -> Action:
    target = dice.choice([*lab.names, "all"])
    return Action(
        f"cut {target} off the interconnection databases",
        bound,
        lambda: lab.runner.fault_ic(target),
        lambda: lab.runner.fault_ic(target, heal=True),
    )


FAULTS: dict[str, Maker] = {
    "kill controller": of_control("controller"),
    "kill ovn-ic": of_control("ovn-ic"),
    "kill agent": of_node("agent"),
    "kill ovn-controller": of_node("ovn-controller"),
    "kill ovsdb-server": of_switch("ovsdb-server"),
    "kill ovs-vswitchd": of_switch("ovs-vswitchd"),
    "kill nb": of_control("nb"),
    "kill sb": of_control("sb"),
    "kill ovn-northd": of_control("ovn-northd"),
    "kill ic-db": kill_all_ic_db,
    "kill ic-db member": kill_member,
    "kill ic-db leader": kill_leader,
    "cut ic-db member": cut_member,
    "part site from ic-db leader": part_leader,
    "cut site from ic-db": cut_ic,
    "cut gateway link": cut_gateway,
    "cut node link": cut_node,
    "cut gateway path": cut_gateway_path,
    "part the sites": part_sites,
}
