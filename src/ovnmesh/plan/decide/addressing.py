"""Which address and MAC a site takes on a transit switch.

Called by `plan.decisions`. Addresses are claimed by compare-and-swap in IC-NB, never drawn at
random: the choice is a function of the site id and of what is taken, so that two planners given the
same rows choose the same. Must not write anything.
"""

import hashlib
from collections.abc import Collection, Iterable, Mapping

from ovnmesh.model.addresses import Address, Endpoint, Interface, make_interface
from ovnmesh.model.finding import Code, Finding, Severity
from ovnmesh.model.interconnect import Interconnect, TransitSwitch
from ovnmesh.model.northbound import RouterPort
from ovnmesh.model.observed import Observed
from ovnmesh.model.prefixes import Prefix, from_network

#: Tries before a subnet is called full; Kube-OVN's default /24 has 253 usable addresses.
MAX_PROBES = 65536


def decide_endpoints(
    az: str, observed: Observed, switches: Collection[str]
) -> tuple[Mapping[str, Endpoint], tuple[Finding, ...]]:
    """Our endpoint on each transit switch that can be used, and findings about the others.

    Args:
        az: wanted AZ name.
        observed: the site and the mesh.
        switches: transit switches that the site is to be on.
    """
    nb, ic = observed.nb, observed.ic
    endpoints: dict[str, Endpoint] = {}
    findings: list[Finding] = []
    for name, ts in ic.transit_switches.items():
        if name not in switches:
            continue
        current = observed.ports.get(name)
        taken = taken_by_others(nb.site_id, (az, nb.name), ts, ic)
        endpoint = choose_endpoint(nb.site_id, ts, current, taken)
        if endpoint is None:
            findings.append(
                Finding(
                    Code.TRANSIT_SWITCH_UNUSABLE,
                    name,
                    f"transit switch {name} has no usable subnet, or no free address in it (found "
                    f'"{", ".join(ts.written_subnets)}"). Expected: external_ids:subnet with a '
                    f"CIDR, for example: ovn-ic-nbctl set Transit_Switch {name} "
                    "external_ids:subnet=169.254.100.0/24",
                )
            )
            continue
        lost = current.addresses & taken[0] if current is not None else ()
        if lost:
            findings.append(
                Finding(
                    Code.ADDRESS_MOVED,
                    name,
                    f"another site has taken {', '.join(sorted(map(str, lost)))} on {name}, so "
                    f"this site moves to {', '.join(map(str, endpoint.networks))}. Change manual "
                    "routes of other sites that lead to the old address.",
                    Severity.WARNING,
                )
            )
        endpoints[name] = endpoint
    return endpoints, tuple(findings)


def taken_by_others(
    site_id: str, az_names: Iterable[str], ts: TransitSwitch, ic: Interconnect
) -> tuple[frozenset[Address], frozenset[str]]:
    """Addresses and MACs on a switch that are somebody else's: claims, and ports in IC-SB.

    Args:
        site_id: ours; our own claim does not count.
        az_names: names under which this site appears in IC-SB (two while it is being renamed).
        ts: the transit switch.
        ic: the interconnection databases; sites that ovnmesh does not run appear only here.
    """
    own = frozenset(az_names)
    found = [endpoint for owner, endpoint in ts.claims.items() if owner != site_id]
    found += [port.endpoint for port in ic.ports if port.ts == ts.name and port.az not in own]
    endpoints = [endpoint for endpoint in found if endpoint is not None]
    addresses = frozenset(address for e in endpoints for address in e.addresses)
    return addresses, frozenset(e.mac for e in endpoints)


def choose_endpoint(
    site_id: str,
    ts: TransitSwitch,
    current: RouterPort | None,
    taken: tuple[frozenset[Address], frozenset[str]],
) -> Endpoint | None:
    """Our endpoint on a switch: the claimed one, else the port's, else a free one.

    Returns:
        None if the switch has no usable subnet or no free address.
    """
    addresses, macs = taken
    subnets = ts.subnets
    if not subnets or len(subnets) < len(ts.written_subnets):
        return None
    candidates = [ts.claims.get(site_id)]
    if current is not None and not current.unreadable:
        candidates.append(Endpoint(current.mac.lower(), current.networks))
    for candidate in candidates:
        if candidate is None or not _fits(candidate, subnets):
            continue
        if not candidate.addresses & addresses and candidate.mac not in macs:
            return Endpoint(candidate.mac, tuple(sorted(candidate.networks, key=str)))
    networks = []
    for subnet in subnets:
        network = _free_address(site_id, ts.name, subnet, addresses)
        if network is None:
            return None
        networks.append(network)
    return Endpoint(_free_mac(site_id, ts.name, macs), tuple(sorted(networks, key=str)))


def _fits(endpoint: Endpoint, subnets: tuple[Prefix, ...]) -> bool:
    return {from_network(interface.network) for interface in endpoint.networks} == set(subnets)


def _digest(*parts: str) -> int:
    return int.from_bytes(hashlib.sha256("/".join(parts).encode()).digest()[:8], "big")


def _free_address(
    site_id: str, ts: str, subnet: Prefix, taken: frozenset[Address]
) -> Interface | None:
    # The first and last addresses of an IPv4 subnet are network and broadcast (RFC 919).
    usable = min(subnet.last - subnet.first - 1, MAX_PROBES)
    if usable < 1:
        return None
    start = _digest(site_id, ts, str(subnet)) % usable
    for step in range(usable):
        value = subnet.first + 1 + (start + step) % usable
        interface = make_interface(subnet.version, value, subnet.length)
        if interface.ip not in taken:
            return interface
    return None


def _free_mac(site_id: str, ts: str, taken: frozenset[str]) -> str:
    # Locally administered, unicast (IEEE 802, bit 1 of the first octet).
    for attempt in range(MAX_PROBES):
        value = _digest(site_id, ts, "mac", str(attempt)).to_bytes(8, "big")
        mac = ":".join(f"{byte:02x}" for byte in (0x0A, *value[:5]))
        if mac not in taken:
            return mac
    raise AssertionError("65536 MAC addresses taken")
