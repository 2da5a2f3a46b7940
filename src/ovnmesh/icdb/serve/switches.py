"""Which transit switches to create or complete, as one transaction on IC-NB.

Called by `server`. Pure. Must never delete or renumber a switch: sites live on it, and one that
disappears from IC-NB is deleted by ovn-ic in every site.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ovnmesh.icdb.settings import WantedSwitch
from ovnmesh.model.changes import Operation
from ovnmesh.plan.ask.switch_subnets import parse_subnet, refuse_overlap
from ovnmesh.plan.ask.transit_switch import plan_switch_add, plan_switch_complete


@dataclass(frozen=True, slots=True)
class StoredSwitch:
    """A transit switch that is there.

    Attributes:
        uuid: of its row.
        subnet: ``external_ids:subnet``, None if it has none.
    """

    uuid: str
    subnet: str | None


@dataclass(frozen=True, slots=True)
class SwitchPlan:
    """What to do about the transit switches.

    Attributes:
        operations: of one transaction on IC-NB; none if all is well.
        changes: the same in words.
        warnings: differences that are left as they are.
    """

    operations: tuple[Operation, ...]
    changes: tuple[str, ...]
    warnings: tuple[str, ...]


def plan_switches(wanted: Sequence[WantedSwitch], stored: Mapping[str, StoredSwitch]) -> SwitchPlan:
    """Compare what is wanted with what is stored.

    Args:
        wanted: the switches of the settings.
        stored: every switch there is, by name.

    Raises:
        IcDbError: a new subnet would overlap that of another switch.
    """
    operations: list[Operation] = []
    changes, warnings = [], []
    subnets = {name: switch.subnet for name, switch in stored.items()}
    for switch in wanted:
        subnet = subnets.get(switch.name)
        if subnet and parse_subnet(subnet) != set(switch.cidrs):
            warnings.append(
                f"transit switch {switch.name} keeps its subnet {subnet}, although "
                f"{switch.subnet} is asked for: sites have addresses of it"
            )
        if subnet:
            continue
        refuse_overlap(switch.name, switch.cidrs, subnets)
        there = stored.get(switch.name)
        if there is not None:
            batch = plan_switch_complete(there.uuid, switch.subnet)
        else:
            batch = plan_switch_add(switch.name, switch.subnet)
        operations += batch.operations
        changes.append(f"{switch.name} ({switch.subnet})")
    return SwitchPlan(tuple(operations), tuple(changes), tuple(warnings))
