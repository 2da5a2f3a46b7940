"""Which transit switches to create or complete, as one OVSDB transaction.

Called by `server`. Pure. Must never delete or renumber a switch: sites live on it, and one that
disappears from IC-NB is deleted by ovn-ic in every site.
"""

import ipaddress
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ovnmesh import ovn_keys as keys
from ovnmesh.errors import IcDbError
from ovnmesh.icdb.settings import MAX_SWITCHES, WantedSwitch, next_network
from ovnmesh.model.addresses import Network

Operation = dict[str, object]


@dataclass(frozen=True, slots=True)
class SwitchPlan:
    """What to do about the transit switches.

    Attributes:
        operations: of one transaction on OVN_IC_Northbound (RFC 7047, 5.2); none if all is well.
        changes: the same in words.
        warnings: differences that are left as they are.
    """

    operations: tuple[Operation, ...]
    changes: tuple[str, ...]
    warnings: tuple[str, ...]


def plan_switches(wanted: Sequence[WantedSwitch], stored: Mapping[str, str | None]) -> SwitchPlan:
    """Compare what is wanted with what is stored.

    Args:
        wanted: the switches of the settings.
        stored: ``external_ids:subnet`` by name of every switch there is, None where it has none.

    Raises:
        IcDbError: a new subnet would overlap that of another switch.
    """
    operations: list[Operation] = []
    changes, warnings = [], []
    for switch in wanted:
        subnet = stored.get(switch.name)
        if subnet and _parse_subnet(subnet) != set(switch.cidrs):
            warnings.append(
                f"transit switch {switch.name} keeps its subnet {subnet}, although "
                f"{switch.subnet} is asked for: sites have addresses of it"
            )
        if subnet:
            continue
        _refuse_overlap(switch, stored)
        ids = ["map", [[keys.TS_SUBNET, switch.subnet]]]
        if switch.name in stored:
            operations.append(
                {
                    "op": "mutate",
                    "table": "Transit_Switch",
                    "where": [["name", "==", switch.name]],
                    "mutations": [["external_ids", "insert", ids]],
                }
            )
        else:
            row = {"name": switch.name, "external_ids": ids}
            operations.append({"op": "insert", "table": "Transit_Switch", "row": row})
        changes.append(f"{switch.name} ({switch.subnet})")
    return SwitchPlan(tuple(operations), tuple(changes), tuple(warnings))


def next_subnet(stored: Mapping[str, str | None]) -> str:
    """The first free subnet after those of the switches there are, numbered as `ic-db` does.

    Args:
        stored: ``external_ids:subnet`` by name of every switch there is.

    Raises:
        IcDbError: there is none, or no switch to count on from.
    """
    taken = [network for subnet in stored.values() for network in _parse_subnet(subnet or "")]
    found = []
    for version in sorted({network.version for network in taken}):
        first = min((n for n in taken if n.version == version), key=lambda n: n.network_address)
        candidates = _following(first)
        free = (c for c in candidates if not any(_overlap(c, network) for network in taken))
        network = next(free, None)
        if network is not None:
            found.append(str(network))
    if not found:
        raise IcDbError(
            "no free subnet: no switch has one to count on from, or all are taken. Name one with "
            "--cidr"
        )
    return ",".join(found)


def _following(first: Network) -> Iterator[Network]:
    for index in range(1, 2 * MAX_SWITCHES):
        try:
            yield next_network(first, index)
        except ValueError:
            return


def _refuse_overlap(switch: WantedSwitch, stored: Mapping[str, str | None]) -> None:
    # Equal networks on two switches even crash ovn-ic (before 24.03.6, 24.09.3 and 25.03.0).
    for other, subnet in stored.items():
        for network in _parse_subnet(subnet or ""):
            if any(_overlap(network, cidr) for cidr in switch.cidrs):
                raise IcDbError(
                    f"transit switch {switch.name}: found subnet {switch.subnet}, which overlaps "
                    f"{subnet} of transit switch {other}; expected a subnet of its own. Choose "
                    "one with --ts-cidr, or keep the name with --ts-name"
                )


def _overlap(one: Network, other: Network) -> bool:
    if isinstance(one, ipaddress.IPv4Network) and isinstance(other, ipaddress.IPv4Network):
        return one.overlaps(other)
    if isinstance(one, ipaddress.IPv6Network) and isinstance(other, ipaddress.IPv6Network):
        return one.overlaps(other)
    return False


def _parse_subnet(subnet: str) -> set[Network]:
    """Networks of a stored subnet, which anybody may have written."""
    networks: set[Network] = set()
    for entry in subnet.split(","):
        try:
            networks.add(ipaddress.ip_network(entry.strip(), strict=False))
        except ValueError:
            continue
    return networks
