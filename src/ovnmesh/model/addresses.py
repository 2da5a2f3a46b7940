"""Addresses as `ipaddress` values, and a site's place on a transit switch.

Called by `model.reading`, which parses what rows hold, and by planners. Text that is no address is
None here: who shows or rewrites such a row keeps its text beside the value. Must not choose
addresses: `plan.decide.addressing` does.
"""

import ipaddress
from dataclasses import dataclass
from functools import lru_cache

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
#: An address with the length of its network's prefix.
Interface = ipaddress.IPv4Interface | ipaddress.IPv6Interface


@lru_cache(maxsize=65536)
def try_parse_address(text: str) -> Address | None:
    """Parse ``10.16.0.1``; None for anything that is not an address."""
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


@lru_cache(maxsize=65536)
def try_parse_interface(text: str) -> Interface | None:
    """Parse ``10.16.0.1/16`` or ``10.16.0.1``; None for anything that is neither."""
    try:
        return ipaddress.ip_interface(text)
    except ValueError:
        return None


def make_interface(version: int, value: int, length: int) -> Interface:
    """The interface of an address that is given as an integer."""
    if version == 4:
        return ipaddress.IPv4Interface((value, length))
    return ipaddress.IPv6Interface((value, length))


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A site's place on a transit switch.

    Attributes:
        mac: MAC address, lower case.
        networks: addresses with prefix length, one per subnet of the switch.
    """

    mac: str
    networks: tuple[Interface, ...]

    def encode(self) -> str:
        """As kept in a claim: "MAC CIDR [CIDR]"."""
        return " ".join((self.mac, *map(str, self.networks)))

    @property
    def addresses(self) -> frozenset[Address]:
        """Addresses without prefix length."""
        return frozenset(interface.ip for interface in self.networks)


@lru_cache(maxsize=4096)
def decode_endpoint(text: str) -> Endpoint | None:
    """Read a claim, or the address column of an IC-SB Port_Binding; None if malformed."""
    mac, *networks = text.lower().split() or [""]
    interfaces = tuple(map(try_parse_interface, networks))
    if not interfaces or mac.count(":") != 5:
        return None
    parsed = tuple(interface for interface in interfaces if interface is not None)
    return Endpoint(mac, parsed) if len(parsed) == len(interfaces) else None
