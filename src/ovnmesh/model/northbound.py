"""The part of a site's northbound database that concerns interconnection.

Built from plain rows by `model.reading`. Knows which rows are ours, which are ovn-ic's and which
are foreign. Must not decide anything.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from ovnmesh import ovn_keys as keys
from ovnmesh.model.addresses import Address, Endpoint, Interface
from ovnmesh.model.denied import Reasons, collect_reasons, decode_denied, pairs_of
from ovnmesh.model.desired import Desired, Router
from ovnmesh.model.gateway_state import GatewayState, decode_gateway_state
from ovnmesh.model.prefixes import Prefix, from_network


@dataclass(frozen=True, slots=True)
class LogicalRouter:
    """A Logical_Router that is, or was, to be connected.

    Attributes:
        wish: what is asked of it.
        uuid: "" if the northbound database has no such router.
        enabled: whether it routes at all (ovn-nb(5), Logical_Router.enabled).
    """

    wish: Router
    uuid: str
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class RouterPort:
    """A Logical_Router_Port of one of the site's routers (LRP).

    Attributes:
        networks: its addresses with prefix length.
        router: UUID of its router.
        unreadable: text in the place of networks that is none.
        prefixes: connected prefixes, host bits dropped.
    """

    uuid: str
    name: str
    mac: str
    networks: tuple[Interface, ...]
    gateway_chassis: frozenset[str]
    external_ids: Mapping[str, str]
    options: Mapping[str, str] = field(default_factory=dict)
    router: str = ""
    ha_chassis_group: str = ""
    unreadable: tuple[str, ...] = ()
    prefixes: tuple[Prefix, ...] = field(init=False, compare=False)

    def __post_init__(self) -> None:
        """Every pass asks for the prefixes of every port several times."""
        prefixes = tuple(from_network(interface.network) for interface in self.networks)
        object.__setattr__(self, "prefixes", prefixes)

    @property
    def is_gateway(self) -> bool:
        """Whether it is bound to gateway chassis (ovn-nb(5), "Distributed Gateway Ports")."""
        return bool(self.gateway_chassis or self.ha_chassis_group)

    @property
    def transit_switch(self) -> str:
        """The transit switch it is tagged to serve, "" for a port that is not ours."""
        return self.external_ids.get(keys.TRANSIT_SWITCH, "")

    @property
    def addresses(self) -> frozenset[Address]:
        """The port's own addresses, without prefix length."""
        return frozenset(interface.ip for interface in self.networks)


@dataclass(frozen=True, slots=True)
class SwitchPort:
    """A Logical_Switch_Port on a transit switch (LSP).

    Attributes:
        endpoint: of a remote port, what its addresses say.
    """

    uuid: str
    name: str
    type: str
    addresses: tuple[str, ...]
    options: Mapping[str, str]
    external_ids: Mapping[str, str]
    endpoint: Endpoint | None = None


@dataclass(frozen=True, slots=True)
class GatewayChassis:
    """A Gateway_Chassis row of a router port."""

    uuid: str
    name: str
    chassis: str
    priority: int


@dataclass(frozen=True, slots=True)
class Nat:
    """A NAT rule that names no gateway port; others are not replicated.

    Attributes:
        external_ip: the address that the outside sees; None if it is none.
        router: UUID of its router, one of the site's.
        written: the external address as the row has it.
    """

    uuid: str
    external_ip: Prefix | None
    router: str
    written: str


@dataclass(frozen=True, slots=True)
class BfdGroup:
    """Our HA_Chassis_Group, switch and port; empty strings for rows that are not there.

    Attributes:
        members: UUID of each HA_Chassis row by chassis name.
    """

    group: str = ""
    switch: str = ""
    port: str = ""
    members: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Policy:
    """A Logical_Router_Policy that is ours."""

    uuid: str
    priority: int
    match: str
    action: str
    external_ids: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class StaticRoute:
    """A Logical_Router_Static_Route; learned ones are ovn-ic's.

    Attributes:
        prefix: None if it cannot be read.
        nexthop: None if it is no address; "discard" is none (ovn-nb(5)).
        policy: "dst-ip", "src-ip", or "" which means dst-ip (ovn-nb(5)).
        origin: "connected" or "static" for learned routes, "" for others.
        written: prefix and next hop as the row has them.
        router: UUID of its router; "" where that was not asked for.
    """

    uuid: str
    prefix: Prefix | None
    nexthop: Address | None
    policy: str
    origin: str
    learned: bool
    written: tuple[str, str]
    router: str = ""


@dataclass(frozen=True, slots=True)
class LogicalSwitch:
    """A Logical_Switch that ovn-ic made for a transit switch."""

    uuid: str
    name: str
    tunnel_key: int


@dataclass(frozen=True)
class Northbound:
    """The part of the site's northbound database that concerns interconnection."""

    global_uuid: str
    name: str
    options: Mapping[str, str]
    external_ids: Mapping[str, str]
    routers: tuple[LogicalRouter, ...]
    router_ports: tuple[RouterPort, ...]
    switches: Mapping[str, LogicalSwitch]
    switch_ports: Mapping[str, SwitchPort]
    gateway_chassis: Mapping[str, GatewayChassis]
    policies: tuple[Policy, ...]
    bfd: BfdGroup = BfdGroup()
    static_routes: tuple[StaticRoute, ...] = ()
    """Learned ones are there only when asked for: they grow with the mesh (`ovsdb.schema`)."""
    nats: tuple[Nat, ...] = ()
    load_balanced: frozenset[str] = frozenset()
    """UUIDs of the routers that have load balancers themselves, as opposed to their switches."""

    record: Desired | None = None
    """The last good wish; None if the site has not joined."""

    @property
    def denied_reasons(self) -> Reasons:
        """All reasons for which prefixes are denied, as far as records tell them."""
        wished = pairs_of(self.record.denied) if self.record is not None else ()
        return collect_reasons((*wished, *decode_denied(self.external_ids.get(keys.DENIED, ""))))

    @property
    def learned_routes(self) -> tuple[StaticRoute, ...]:
        """Routes that ovn-ic learned."""
        return tuple(route for route in self.static_routes if route.learned)

    @property
    def site_id(self) -> str:
        """The site's identity: the UUID of its NB_Global row, stable for the database's life."""
        return self.global_uuid

    def router(self, name: str) -> LogicalRouter | None:
        """The router of that name, None if the database does not have it."""
        return next((r for r in self.routers if r.wish.name == name and r.uuid), None)

    def lrp_by_name(self, name: str) -> RouterPort | None:
        """The router port of that name, if a router of the site has it."""
        return next((port for port in self.router_ports if port.name == name), None)

    @cached_property
    def tagged(self) -> Mapping[str, RouterPort]:
        """The port tagged ours on each transit switch; the first where there are several."""
        return {port.transit_switch: port for port in reversed(self.tagged_ports)}

    def named(self, ts: str, az: str) -> RouterPort | None:
        """The port named as documented for a transit switch, tagged or not."""
        names = (router.wish.lrp_name(az, ts) for router in self.routers)
        return next((port for name in names if (port := self.lrp_by_name(name)) is not None), None)

    @cached_property
    def tagged_ports(self) -> tuple[RouterPort, ...]:
        """All ports on transit switches that are tagged ours."""
        return tuple(
            port
            for port in self.router_ports
            if port.transit_switch and port.external_ids.get(keys.OWNER) == self.site_id
        )

    def waiting_lsps(self) -> tuple[SwitchPort, ...]:
        """Switch ports tagged ours that have no router port yet."""
        return tuple(
            port
            for port in self.switch_ports.values()
            if port.external_ids.get(keys.OWNER) == self.site_id
            and keys.TRANSIT_SWITCH in port.external_ids
            and self.lrp_by_name(port.options.get(keys.ROUTER_PORT, "")) is None
        )

    def served_switches(self) -> frozenset[str]:
        """Transit switches for which rows of ours stand, by the tags of those rows."""
        tags = [lrp.external_ids for lrp in self.tagged_ports]
        tags += [lsp.external_ids for lsp in self.waiting_lsps()]
        tags += [policy.external_ids for policy in self.policies]
        return frozenset(t[keys.TRANSIT_SWITCH] for t in tags if keys.TRANSIT_SWITCH in t)

    def gateway_rows(self, lrp: RouterPort) -> tuple[GatewayChassis, ...]:
        """The gateway chassis of a router port, as far as replicated."""
        rows = self.gateway_chassis
        return tuple(rows[uuid] for uuid in sorted(lrp.gateway_chassis) if uuid in rows)

    @property
    def gateway_state(self) -> GatewayState:
        """Who leads on which transit switch, as recorded."""
        return decode_gateway_state(self.external_ids.get(keys.GATEWAY_STATE, ""))

    def switch_port_of(self, lrp: str) -> SwitchPort | None:
        """The switch port whose peer is that router port."""
        for port in self.switch_ports.values():
            if port.type == "router" and port.options.get(keys.ROUTER_PORT) == lrp:
                return port
        return None
