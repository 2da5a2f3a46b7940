"""Which address and MAC a site takes on a transit switch.

Called by `plan.join`. Addresses are claimed by compare-and-swap in IC-NB, never drawn at random:
the choice is a function of the site id and of what is taken, so that two planners given the same
rows choose the same. Must not write anything.
"""

import hashlib
import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass

from ovnmesh.model.interconnect import Interconnect, TransitSwitch
from ovnmesh.model.northbound import RouterPort
from ovnmesh.model.prefixes import Network

#: Tries before a subnet is called full; Kube-OVN's default /24 has 253 usable addresses.
MAX_PROBES = 65536


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A site's place on a transit switch.

    Attributes:
        mac: MAC address, lower case.
        networks: addresses with prefix length, one per subnet of the switch.
    """

    mac: str
    networks: tuple[str, ...]

    def encode(self) -> str:
        """As kept in a claim: "MAC CIDR [CIDR]"."""
        return " ".join((self.mac, *self.networks))

    @property
    def addresses(self) -> frozenset[str]:
        """Addresses without prefix length."""
        return frozenset(network.split("/")[0] for network in self.networks)


def decode_endpoint(text: str) -> Endpoint | None:
    """Read a claim, or the address column of an IC-SB Port_Binding; None if malformed."""
    parts = text.lower().split()
    if len(parts) < 2 or parts[0].count(":") != 5:
        return None
    try:
        networks = tuple(str(ipaddress.ip_interface(part)) for part in parts[1:])
    except ValueError:
        return None
    return Endpoint(parts[0], networks)


def taken_by_others(
    site_id: str, az_names: Iterable[str], ts: TransitSwitch, ic: Interconnect
) -> tuple[frozenset[str], frozenset[str]]:
    """Addresses and MACs on a switch that are somebody else's: claims, and ports in IC-SB.

    Args:
        site_id: ours; our own claim does not count.
        az_names: names under which this site appears in IC-SB (two while it is being renamed).
        ts: the transit switch.
        ic: the interconnection databases; sites that ovnmesh does not run appear only here.
    """
    own = frozenset(az_names)
    endpoints = [
        endpoint
        for owner, claim in ts.claims.items()
        if owner != site_id and (endpoint := decode_endpoint(claim))
    ]
    endpoints += [
        endpoint
        for port in ic.ports
        if port.ts == ts.name and port.az not in own and (endpoint := decode_endpoint(port.address))
    ]
    addresses = frozenset(address for e in endpoints for address in e.addresses)
    return addresses, frozenset(e.mac for e in endpoints)


def choose_endpoint(
    site_id: str,
    ts: TransitSwitch,
    current: RouterPort | None,
    taken: tuple[frozenset[str], frozenset[str]],
) -> Endpoint | None:
    """Our endpoint on a switch: the claimed one, else the port's, else a free one.

    Returns:
        None if the switch has no usable subnet or no free address.
    """
    addresses, macs = taken
    subnets = _subnets(ts)
    if not subnets:
        return None
    candidates = [decode_endpoint(ts.claims.get(site_id, ""))]
    if current is not None:
        candidates.append(Endpoint(current.mac.lower(), current.networks))
    for candidate in candidates:
        if candidate is None or not _fits(candidate, subnets):
            continue
        if not candidate.addresses & addresses and candidate.mac not in macs:
            return Endpoint(candidate.mac, tuple(sorted(candidate.networks)))
    networks = []
    for subnet in subnets:
        network = _free_address(site_id, ts.name, subnet, addresses)
        if network is None:
            return None
        networks.append(network)
    return Endpoint(_free_mac(site_id, ts.name, macs), tuple(sorted(networks)))


def _subnets(ts: TransitSwitch) -> tuple[Network, ...]:
    try:
        return tuple(ipaddress.ip_network(subnet, strict=False) for subnet in ts.subnets)
    except ValueError:
        return ()


def _fits(endpoint: Endpoint, subnets: tuple[Network, ...]) -> bool:
    interfaces = [ipaddress.ip_interface(network) for network in endpoint.networks]
    return {interface.network for interface in interfaces} == set(subnets)


def _digest(*parts: str) -> int:
    return int.from_bytes(hashlib.sha256("/".join(parts).encode()).digest()[:8], "big")


def _free_address(site_id: str, ts: str, subnet: Network, taken: frozenset[str]) -> str | None:
    # The first and last addresses of an IPv4 subnet are network and broadcast (RFC 919).
    usable = min(subnet.num_addresses - 2, MAX_PROBES)
    if usable < 1:
        return None
    start = _digest(site_id, ts, str(subnet)) % usable
    for step in range(usable):
        address = str(subnet[1 + (start + step) % usable])
        if address not in taken:
            return f"{address}/{subnet.prefixlen}"
    return None


def _free_mac(site_id: str, ts: str, taken: frozenset[str]) -> str:
    # Locally administered, unicast (IEEE 802, bit 1 of the first octet).
    for attempt in range(MAX_PROBES):
        value = _digest(site_id, ts, "mac", str(attempt)).to_bytes(8, "big")
        mac = ":".join(f"{byte:02x}" for byte in (0x0A, *value[:5]))
        if mac not in taken:
            return mac
    raise AssertionError("65536 MAC addresses taken")
