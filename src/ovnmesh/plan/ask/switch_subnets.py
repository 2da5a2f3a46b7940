"""Subnets of transit switches: numbered one after the other, never overlapping.

Called by ic-db for the switches of its settings, and by `ovnmesh transit-switch add`. Pure.
"""

import ipaddress
from collections.abc import Iterable, Iterator, Mapping, Sequence

from ovnmesh.errors import IcDbError
from ovnmesh.model.addresses import Network

MAX_SWITCHES = 128
"""More switches than any mesh needs; keeps the default subnets within 169.254.0.0/16."""

# Each further switch takes the next network; for IPv6 the next /48 at least (Kube-OVN counts in
# the third group of digits: fe80:a9fe:64, fe80:a9fe:65, ...).
_IPV6_STEP = 1 << 80


def subnet_text(cidrs: Iterable[Network]) -> str:
    """As in ``external_ids:subnet``: ``169.254.100.0/24`` or comma-separated."""
    return ",".join(map(str, cidrs))


def next_network(cidr: Network, index: int) -> Network:
    """The network of switch number `index`, if `cidr` is that of number 0."""
    size = cidr.num_addresses
    step = size if cidr.version == 4 else max(size, _IPV6_STEP)
    first = type(cidr.network_address)(int(cidr.network_address) + index * step)
    return ipaddress.ip_network(f"{first}/{cidr.prefixlen}")


def next_subnet(stored: Mapping[str, str | None]) -> str:
    """The first free subnet after those of the switches there are, numbered as `ic-db` does.

    Args:
        stored: ``external_ids:subnet`` by name of every switch there is.

    Raises:
        IcDbError: there is none, or no switch to count on from.
    """
    taken = [network for subnet in stored.values() for network in parse_subnet(subnet or "")]
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


def refuse_overlap(name: str, cidrs: Sequence[Network], stored: Mapping[str, str | None]) -> None:
    """Refuse a subnet for a new transit switch that another one has part of.

    Args:
        name: of the new one.
        cidrs: its subnet.
        stored: as for `next_subnet`.

    Raises:
        IcDbError: it overlaps.
    """
    # Equal networks on two switches even crash ovn-ic (before 24.03.6, 24.09.3 and 25.03.0).
    for other, subnet in stored.items():
        for network in parse_subnet(subnet or ""):
            if any(_overlap(network, cidr) for cidr in cidrs):
                raise IcDbError(
                    f"transit switch {name}: found subnet {subnet_text(cidrs)}, which overlaps "
                    f"{subnet} of transit switch {other}; expected a subnet of its own. Choose "
                    "one with --ts-cidr, or keep the name with --ts-name"
                )


def _overlap(one: Network, other: Network) -> bool:
    if isinstance(one, ipaddress.IPv4Network) and isinstance(other, ipaddress.IPv4Network):
        return one.overlaps(other)
    if isinstance(one, ipaddress.IPv6Network) and isinstance(other, ipaddress.IPv6Network):
        return one.overlaps(other)
    return False


def parse_subnet(subnet: str) -> set[Network]:
    """Networks of a stored subnet, which anybody may have written."""
    networks: set[Network] = set()
    for entry in subnet.split(","):
        try:
            networks.add(ipaddress.ip_network(entry.strip(), strict=False))
        except ValueError:
            continue
    return networks
