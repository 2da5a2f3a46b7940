"""The mesh, as the two interconnection databases tell it.

Built from plain rows by `model.reading`. Must not decide anything.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from ovnmesh import ovn_keys as keys
from ovnmesh.model.addresses import Address, Endpoint, decode_endpoint
from ovnmesh.model.prefixes import Prefix


@dataclass(frozen=True, slots=True)
class TransitSwitch:
    """A Transit_Switch of the interconnection northbound database.

    Attributes:
        subnets: the switch's networks, IPv4 and IPv6, as far as they can be read.
    """

    uuid: str
    name: str
    external_ids: Mapping[str, str]
    subnets: tuple[Prefix, ...] = ()

    @property
    def written_subnets(self) -> tuple[str, ...]:
        """The networks' text, readable or not (Kube-OVN: comma-separated)."""
        raw = self.external_ids.get(keys.TS_SUBNET, "")
        return tuple(part.strip() for part in raw.split(",") if part.strip())

    @property
    def claims(self) -> Mapping[str, Endpoint | None]:
        """Claimed endpoints by site id; None for one that cannot be read."""
        prefix = keys.ADDRESS_CLAIM
        return {
            key[len(prefix) :]: decode_endpoint(value)
            for key, value in self.external_ids.items()
            if key.startswith(prefix)
        }

    @property
    def draining(self) -> bool:
        """Whether sites are to leave the switch, because it will be removed."""
        return self.external_ids.get(keys.DRAINING) == "true"

    @property
    def mtus(self) -> Mapping[str, int]:
        """Least tunnel MTU of a site's gateways, in bytes, by site id."""
        prefix = keys.MTU_CLAIM
        return {
            key[len(prefix) :]: int(value)
            for key, value in self.external_ids.items()
            if key.startswith(prefix) and value.isdecimal()
        }


@dataclass(frozen=True, slots=True)
class IcPort:
    """A Port_Binding of the interconnection southbound database.

    Attributes:
        written: the address column: "MAC CIDR [CIDR]", empty while it has no router port.
        endpoint: what that says; None if it cannot be read.
        router: UUID of the router that ovn-ic serves by way of it; empty while it knows none.
    """

    uuid: str
    name: str
    ts: str
    az: str
    gateway: str
    tunnel_key: int
    written: str
    endpoint: Endpoint | None
    router: str = ""


@dataclass(frozen=True, slots=True)
class IcRoute:
    """A Route of the interconnection southbound database; what some AZ advertises.

    Attributes:
        nexthop: None if it is no address.
    """

    uuid: str
    az: str
    ts: str
    prefix: Prefix
    nexthop: Address | None
    origin: str
    held: bool


@dataclass(frozen=True, slots=True)
class IcGateway:
    """A Gateway of the interconnection southbound database; its name is the chassis name."""

    uuid: str
    name: str
    az: str
    hostname: str


@dataclass(frozen=True)
class Interconnect:
    """The interconnection databases, northbound and southbound."""

    global_uuid: str
    global_external_ids: Mapping[str, str]
    transit_switches: Mapping[str, TransitSwitch]
    zones: Mapping[str, str]
    """Name of each availability zone by UUID of its row."""
    gateways: tuple[IcGateway, ...]
    ports: tuple[IcPort, ...]
    routes: tuple[IcRoute, ...]
    datapaths: Mapping[str, int]
    """Tunnel key by transit switch."""
    unreadable_routes: Mapping[str, str] = field(default_factory=dict)
    """AZ of each Route whose prefix is none, by UUID: it goes with its zone, and says nothing."""

    @cached_property
    def az_owner(self) -> Mapping[str, str]:
        """Site id that claimed each AZ name."""
        prefix = keys.AZ_CLAIM
        return {
            key[len(prefix) :]: value
            for key, value in self.global_external_ids.items()
            if key.startswith(prefix)
        }

    def zone_uuid(self, name: str) -> str:
        """UUID of the Availability_Zone row of that name; "" if there is none."""
        return next((uuid for uuid, zone in self.zones.items() if zone == name), "")
