"""Transit switches of the mesh: shown, added and removed without losing a packet.

Writes one row of IC-NB and waits: each site's controller puts its own port in service, or takes it
out (`plan.decide.stages`). Interrupted, it is done again.
"""

from collections.abc import Callable
from dataclasses import dataclass

from ovnmesh.access.mesh import MeshSession
from ovnmesh.errors import ConfigError, OvnmeshError, Problem
from ovnmesh.icdb.settings import parse_switch
from ovnmesh.model.interconnect import Interconnect, TransitSwitch
from ovnmesh.operate.waiting import Step, wait_until_done
from ovnmesh.plan.ask.switch_subnets import next_subnet, refuse_overlap
from ovnmesh.plan.ask.transit_switch import (
    plan_switch_add,
    plan_switch_drain,
    plan_switch_remove,
    plan_switch_return,
)
from ovnmesh.views.switch_members import SwitchMember, switch_members, without_other


@dataclass(frozen=True, slots=True)
class Occupied:
    """A transit switch and who is on it.

    Attributes:
        switch: the transit switch.
        sites: who is, or is to be, on it.
    """

    switch: TransitSwitch
    sites: tuple[SwitchMember, ...]


@dataclass(frozen=True, slots=True)
class Removal:
    """What became of a transit switch that was to be removed.

    Attributes:
        existed: whether there was one.
        unheard: who had not left it when it was removed by force, in words; "" if all had.
    """

    existed: bool
    unheard: str = ""


def list_switches(mesh: MeshSession) -> tuple[Occupied, ...]:
    """All transit switches, with who is on them."""
    ic = mesh.read()
    return tuple(Occupied(ts, switch_members(ts, ic)) for ts in ic.transit_switches.values())


def add_switch(
    mesh: MeshSession, name: str, cidr: str | None, timeout_s: float, step: Step
) -> TransitSwitch | None:
    """Add a transit switch and wait until every site uses it.

    One that is there is waited for; one that is being removed is put back into service.

    Args:
        mesh: the interconnection databases.
        name: its name.
        cidr: its subnets, comma-separated; None for the next free one.
        timeout_s: seconds to wait for the sites at most.
        step: told who is waited for.

    Returns:
        The transit switch as it is then; None if somebody has removed it since.

    Raises:
        ConfigError: the name or the subnet is wrong, or it is there with another subnet.
        IcDbError: the subnet overlaps that of another.
        OvnmeshError: not every site uses it in time.
    """
    known = mesh.read().transit_switches
    ts = known.get(name)
    if ts is None:
        stored = {each.name: ",".join(each.written_subnets) for each in known.values()}
        switch = parse_switch(name, cidr if cidr is not None else next_subnet(stored))
        refuse_overlap(name, switch.cidrs, stored)
        mesh.apply(plan_switch_add(name, switch.subnet))
    elif cidr is not None and set(cidr.split(",")) != set(ts.written_subnets):
        found = f"a transit switch {name} with subnet {','.join(ts.written_subnets)}"
        raise ConfigError([Problem("--cidr", found, "that subnet, or another NAME")])
    elif ts.draining:
        mesh.apply(plan_switch_return(ts))
    left = _wait(lambda: _not_in_service(name, mesh.read()), timeout_s, step)
    if left:
        raise OvnmeshError(f"waited {timeout_s:g} s for {left}. {_EXPECTED}")
    return mesh.find(name)


def remove_switch(
    mesh: MeshSession, name: str, force: bool, timeout_s: float, step: Step
) -> Removal:
    """Take a transit switch out of service at every site, then remove it.

    Args:
        mesh: the interconnection databases.
        name: its name.
        force: even if sites do not leave it in time, or have no other.
        timeout_s: seconds to wait for the sites at most.
        step: told who is waited for.

    Raises:
        OvnmeshError: a site has no other one in service, or does not leave it in time.
        StalePlan: a site has come back to it meanwhile.
    """
    ic = mesh.read()
    ts = ic.transit_switches.get(name)
    if ts is None:
        return Removal(existed=False)
    if not ts.draining:
        if not force:
            _refuse_last(ts, ic)
        mesh.apply(plan_switch_drain(ts))
    left = _wait(lambda: _still_there(name, mesh.read()), timeout_s, step)
    unheard = f"waited {timeout_s:g} s for {left} to leave it. {_EXPECTED}" if left else ""
    if unheard and not force:
        raise OvnmeshError(unheard)
    ts = mesh.find(name)
    if ts is not None:
        mesh.apply(plan_switch_remove(ts, force))
    return Removal(True, unheard)


_EXPECTED = (
    "Expected: their controllers run, and their gateways are up (ovnmesh status). Change a site "
    "that ovnmesh does not run by hand. If a site is gone for good: ovnmesh forget AZ"
)


def _refuse_last(ts: TransitSwitch, ic: Interconnect) -> None:
    lost = without_other(ts, ic)
    if lost:
        raise OvnmeshError(
            f"transit switch {ts.name}: no other one is in service at {', '.join(lost)}, so "
            "traffic to other sites would end there. Add one first (ovnmesh transit-switch add), "
            "or use --force. See: ovnmesh transit-switch list"
        )


def _not_in_service(name: str, ic: Interconnect) -> list[str]:
    ts = ic.transit_switches.get(name)
    if ts is None:
        raise OvnmeshError(f"transit switch {name} was removed meanwhile")
    states = {m.az: m.state for m in switch_members(ts, ic) if m.managed}
    return [f"{az} ({state})" for az, state in states.items() if state != "in service"]


def _still_there(name: str, ic: Interconnect) -> list[str]:
    ts = ic.transit_switches.get(name)
    on_it = switch_members(ts, ic) if ts is not None else ()
    return [each.title for each in on_it]


def _wait(left: Callable[[], list[str]], timeout_s: float, step: Step) -> str:
    """Wait until nobody is left; who still is, in words."""
    return wait_until_done(lambda: ", ".join(left()), timeout_s, step)
