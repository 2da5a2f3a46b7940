"""What a site is right now, as its databases tell it.

Built from plain rows (`model.rows`) by `observe`; read by planners, checks and the command line.
Knows which rows are ours, which are ovn-ic's and which are foreign. Must not decide anything.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from ovnmesh import ovn_keys as keys
from ovnmesh.model.prefixes import Prefix, try_parse_prefix
from ovnmesh.model.rows import Row, Snapshot, Table, mapping, number, strings, text


@dataclass(frozen=True, slots=True)
class RouterPort:
    """A Logical_Router_Port of the site's router (LRP)."""

    uuid: str
    name: str
    mac: str
    networks: tuple[str, ...]
    gateway_chassis: frozenset[str]
    external_ids: Mapping[str, str]

    @property
    def prefixes(self) -> tuple[Prefix, ...]:
        """Connected prefixes, host bits dropped."""
        return tuple(p for n in self.networks if (p := try_parse_prefix(n)) is not None)

    @property
    def addresses(self) -> frozenset[str]:
        """The port's own addresses, without prefix length."""
        return frozenset(network.split("/")[0] for network in self.networks)


@dataclass(frozen=True, slots=True)
class SwitchPort:
    """A Logical_Switch_Port on a transit switch (LSP)."""

    uuid: str
    name: str
    type: str
    addresses: tuple[str, ...]
    options: Mapping[str, str]
    external_ids: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class GatewayChassis:
    """A Gateway_Chassis row of a router port."""

    uuid: str
    name: str
    chassis: str
    priority: int


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
        policy: "dst-ip", "src-ip", or "" which means dst-ip (ovn-nb(5)).
        origin: "connected" or "static" for learned routes, "" for others.
    """

    uuid: str
    prefix: str
    nexthop: str
    policy: str
    origin: str
    learned: bool


@dataclass(frozen=True, slots=True)
class Chassis:
    """A Chassis of the southbound database."""

    uuid: str
    name: str
    hostname: str
    is_interconn: bool
    is_remote: bool


@dataclass(frozen=True, slots=True)
class TransitSwitch:
    """A Transit_Switch of the interconnection northbound database."""

    uuid: str
    name: str
    external_ids: Mapping[str, str]

    @property
    def subnets(self) -> tuple[str, ...]:
        """CIDRs of the switch, IPv4 and IPv6, as written (Kube-OVN: comma-separated)."""
        raw = self.external_ids.get(keys.TS_SUBNET, "")
        return tuple(part.strip() for part in raw.split(",") if part.strip())

    @property
    def claims(self) -> Mapping[str, str]:
        """Address claims by site id: "MAC CIDR [CIDR]"."""
        prefix = keys.ADDRESS_CLAIM
        return {
            key[len(prefix) :]: value
            for key, value in self.external_ids.items()
            if key.startswith(prefix)
        }


@dataclass(frozen=True, slots=True)
class LogicalSwitch:
    """A Logical_Switch that ovn-ic made for a transit switch."""

    uuid: str
    name: str
    tunnel_key: int


@dataclass(frozen=True, slots=True)
class IcPort:
    """A Port_Binding of the interconnection southbound database."""

    uuid: str
    name: str
    ts: str
    az: str
    gateway: str
    address: str
    tunnel_key: int


@dataclass(frozen=True, slots=True)
class IcRoute:
    """A Route of the interconnection southbound database; what some AZ advertises."""

    uuid: str
    az: str
    ts: str
    prefix: Prefix
    nexthop: str
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
class Northbound:
    """The part of the site's northbound database that concerns interconnection."""

    global_uuid: str
    name: str
    options: Mapping[str, str]
    external_ids: Mapping[str, str]
    router_uuid: str
    router_ports: tuple[RouterPort, ...]
    switches: Mapping[str, LogicalSwitch]
    switch_ports: Mapping[str, SwitchPort]
    gateway_chassis: Mapping[str, GatewayChassis]
    policies: tuple[Policy, ...]
    static_routes: tuple[StaticRoute, ...] = ()
    """Learned ones are there only when asked for: they grow with the mesh (`ovsdb.schema`)."""

    @property
    def learned_routes(self) -> tuple[StaticRoute, ...]:
        """Routes that ovn-ic learned."""
        return tuple(route for route in self.static_routes if route.learned)

    @property
    def site_id(self) -> str:
        """The site's identity: the UUID of its NB_Global row, stable for the database's life."""
        return self.global_uuid

    def lrp_by_name(self, name: str) -> RouterPort | None:
        """The router port of that name, if the router has it."""
        return next((port for port in self.router_ports if port.name == name), None)

    def transit_lrp(self, ts: str, az: str) -> RouterPort | None:
        """Our port on a transit switch: the one tagged ours, else the one named as documented."""
        for port in self.router_ports:
            if (
                port.external_ids.get(keys.OWNER) == self.site_id
                and port.external_ids.get(keys.TRANSIT_SWITCH) == ts
            ):
                return port
        return self.lrp_by_name(keys.lrp_name(az, ts))

    def transit_lrps(self) -> tuple[RouterPort, ...]:
        """All ports tagged ours."""
        return tuple(p for p in self.router_ports if p.external_ids.get(keys.OWNER) == self.site_id)

    def switch_port_of(self, lrp: str) -> SwitchPort | None:
        """The switch port whose peer is that router port."""
        for port in self.switch_ports.values():
            if port.type == "router" and port.options.get(keys.ROUTER_PORT) == lrp:
                return port
        return None


@dataclass(frozen=True)
class Southbound:
    """Chassis, and where the gateway ports are bound."""

    chassis: tuple[Chassis, ...]
    active: Mapping[str, str] = field(default_factory=dict)
    """Chassis name on which each LRP's gateway port is bound; absent while unbound."""

    def find(self, node: str) -> Chassis | None:
        """The chassis of a node, by hostname or by chassis name; never a remote one."""
        local = [chassis for chassis in self.chassis if not chassis.is_remote]
        for chassis in local:
            if chassis.hostname == node:
                return chassis
        return next((chassis for chassis in local if chassis.name == node), None)

    def by_name(self, name: str) -> Chassis | None:
        """The chassis of that name."""
        return next((chassis for chassis in self.chassis if chassis.name == name), None)


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


@dataclass(frozen=True)
class Observed:
    """One site and the mesh it is in."""

    nb: Northbound
    sb: Southbound
    ic: Interconnect


def observe_northbound(snapshot: Snapshot, router: str) -> Northbound:
    """Read the northbound rows of a site whose cluster router has that name."""
    global_uuid, global_row = _first(snapshot.get("NB_Global", {}))
    router_uuid, router_row = _by_name(snapshot.get("Logical_Router", {}), router)
    port_uuids = strings(router_row, "ports")
    ports = snapshot.get("Logical_Router_Port", {})
    return Northbound(
        global_uuid=global_uuid,
        name=text(global_row, "name"),
        options=mapping(global_row, "options"),
        external_ids=mapping(global_row, "external_ids"),
        router_uuid=router_uuid,
        router_ports=tuple(
            sorted(
                (_router_port(uuid, ports[uuid]) for uuid in port_uuids if uuid in ports),
                key=lambda port: port.name,
            )
        ),
        switches={
            ts: LogicalSwitch(
                uuid,
                text(row, "name"),
                int(mapping(row, "other_config").get(keys.REQUESTED_TNL_KEY, "0")),
            )
            for uuid, row in snapshot.get("Logical_Switch", {}).items()
            if (ts := mapping(row, "other_config").get(keys.INTERCONN_TS))
        },
        switch_ports={
            text(row, "name"): SwitchPort(
                uuid,
                text(row, "name"),
                text(row, "type"),
                tuple(sorted(strings(row, "addresses"))),
                mapping(row, "options"),
                mapping(row, "external_ids"),
            )
            for uuid, row in snapshot.get("Logical_Switch_Port", {}).items()
        },
        gateway_chassis={
            uuid: GatewayChassis(
                uuid, text(row, "name"), text(row, "chassis_name"), number(row, "priority")
            )
            for uuid, row in snapshot.get("Gateway_Chassis", {}).items()
        },
        policies=tuple(
            Policy(
                uuid,
                number(row, "priority"),
                text(row, "match"),
                text(row, "action"),
                mapping(row, "external_ids"),
            )
            for uuid, row in sorted(snapshot.get("Logical_Router_Policy", {}).items())
            if mapping(row, "external_ids").get(keys.OWNER) == global_uuid
        ),
        static_routes=tuple(
            StaticRoute(
                uuid,
                text(row, "ip_prefix"),
                text(row, "nexthop"),
                text(row, "policy"),
                mapping(row, "options").get("origin", ""),
                keys.LEARNED_ROUTE in mapping(row, "external_ids"),
            )
            for uuid, row in snapshot.get("Logical_Router_Static_Route", {}).items()
        ),
    )


def observe_southbound(snapshot: Snapshot) -> Southbound:
    """Read chassis and the bindings of gateway ports (``cr-<lrp>``, ovn-architecture(7))."""
    chassis = {
        uuid: Chassis(
            uuid,
            text(row, "name"),
            text(row, "hostname"),
            mapping(row, "other_config").get(keys.IS_INTERCONN) == "true",
            mapping(row, "other_config").get(keys.IS_REMOTE) == "true",
        )
        for uuid, row in snapshot.get("Chassis", {}).items()
    }
    active = {}
    for row in snapshot.get("Port_Binding", {}).values():
        bound = text(row, "chassis")
        if bound in chassis and text(row, "logical_port").startswith("cr-"):
            active[text(row, "logical_port")[3:]] = chassis[bound].name
    return Southbound(tuple(sorted(chassis.values(), key=lambda c: c.name)), active)


def observe_interconnect(icnb: Snapshot, icsb: Snapshot) -> Interconnect:
    """Read the interconnection databases."""
    global_uuid, global_row = _first(icnb.get("IC_NB_Global", {}))
    zones = {uuid: text(row, "name") for uuid, row in icsb.get("Availability_Zone", {}).items()}
    return Interconnect(
        global_uuid=global_uuid,
        global_external_ids=mapping(global_row, "external_ids"),
        transit_switches={
            text(row, "name"): TransitSwitch(uuid, text(row, "name"), mapping(row, "external_ids"))
            for uuid, row in sorted(
                icnb.get("Transit_Switch", {}).items(), key=lambda item: text(item[1], "name")
            )
        },
        zones=zones,
        gateways=tuple(
            IcGateway(
                uuid,
                text(row, "name"),
                zones.get(text(row, "availability_zone"), ""),
                text(row, "hostname"),
            )
            for uuid, row in icsb.get("Gateway", {}).items()
        ),
        ports=tuple(
            IcPort(
                uuid,
                text(row, "logical_port"),
                text(row, "transit_switch"),
                zones.get(text(row, "availability_zone"), ""),
                text(row, "gateway"),
                text(row, "address"),
                number(row, "tunnel_key"),
            )
            for uuid, row in icsb.get("Port_Binding", {}).items()
        ),
        routes=tuple(_routes(icsb.get("Route", {}).items(), zones)),
        datapaths={
            text(row, "transit_switch"): number(row, "tunnel_key")
            for row in icsb.get("Datapath_Binding", {}).values()
        },
    )


def _routes(rows: Iterable[tuple[str, Row]], zones: Mapping[str, str]) -> Iterable[IcRoute]:
    for uuid, row in rows:
        prefix = try_parse_prefix(text(row, "ip_prefix"))
        if prefix is None:
            continue
        yield IcRoute(
            uuid,
            zones.get(text(row, "availability_zone"), ""),
            text(row, "transit_switch"),
            prefix,
            text(row, "nexthop"),
            text(row, "origin"),
            keys.HELD in mapping(row, "external_ids"),
        )


def _router_port(uuid: str, row: Row) -> RouterPort:
    return RouterPort(
        uuid,
        text(row, "name"),
        text(row, "mac"),
        tuple(sorted(strings(row, "networks"))),
        strings(row, "gateway_chassis"),
        mapping(row, "external_ids"),
    )


def _first(table: Table) -> tuple[str, Row]:
    return next(iter(sorted(table.items())), ("", {}))


def _by_name(table: Table, name: str) -> tuple[str, Row]:
    return next(
        ((u, row) for u, row in sorted(table.items()) if text(row, "name") == name), ("", {})
    )
