"""From plain rows (`model.rows`) to what a site is (`model.observed`): text is parsed here, once.

Called by everything that reads databases: controller, command line, tests. The only place that
knows in which column a fact stands. Must not decide anything.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from ovnmesh import ovn_keys as keys
from ovnmesh.model.addresses import decode_endpoint, try_parse_address, try_parse_interface
from ovnmesh.model.desired import Router
from ovnmesh.model.interconnect import IcGateway, IcPort, IcRoute, Interconnect, TransitSwitch
from ovnmesh.model.northbound import (
    BfdGroup,
    GatewayChassis,
    LogicalRouter,
    LogicalSwitch,
    Nat,
    Northbound,
    Policy,
    RouterPort,
    StaticRoute,
    SwitchPort,
)
from ovnmesh.model.paths import ChassisReport, decode_paths
from ovnmesh.model.prefixes import try_parse_prefix
from ovnmesh.model.rows import Row, Snapshot, Table, mapping, number, strings, text
from ovnmesh.model.site_record import decode_desired
from ovnmesh.model.southbound import Chassis, Southbound


def observe_northbound(
    snapshot: Snapshot, router: str, wanted: Sequence[Router] = ()
) -> Northbound:
    """Read the northbound rows of a site.

    Args:
        snapshot: the rows.
        router: name of the cluster's router, for sites whose record names none.
        wanted: routers that are asked for by now; those of the record are read as well.
    """
    global_uuid, global_row = _first(snapshot.get("NB_Global", {}))
    record = decode_desired(mapping(global_row, "external_ids").get(keys.SITE_RECORD, ""), router)
    recorded = record.routers if record is not None else ()
    wishes = {wish.name: wish for wish in (*recorded, *wanted)} or {router: Router(router)}
    rows = snapshot.get("Logical_Router", {})
    routers = tuple(_logical_router(wish, rows) for wish in wishes.values())
    present = {router.uuid: rows[router.uuid] for router in routers if router.uuid}
    ports = snapshot.get("Logical_Router_Port", {})
    owners = {
        uuid: router.uuid
        for router in routers
        if router.uuid
        for uuid in strings(rows[router.uuid], "ports")
    }
    return Northbound(
        global_uuid=global_uuid,
        name=text(global_row, "name"),
        options=mapping(global_row, "options"),
        external_ids=mapping(global_row, "external_ids"),
        routers=routers,
        router_ports=tuple(
            sorted(
                (_router_port(uuid, ports[uuid], owners[uuid]) for uuid in owners if uuid in ports),
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
            text(row, "name"): _switch_port(uuid, row)
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
        bfd=_bfd_group(snapshot, global_uuid),
        nats=_nats(snapshot.get("NAT", {}), present),
        load_balanced=frozenset(
            uuid for uuid, row in present.items() if strings(row, "load_balancer")
        ),
        record=record,
        static_routes=_static_routes(snapshot),
    )


def observe_learned_routes(snapshot: Snapshot) -> tuple[StaticRoute, ...]:
    """Read learned routes that were asked for beside what is replicated.

    Args:
        snapshot: the routes, and the routers that have them.
    """
    return tuple(route for route in _static_routes(snapshot) if route.learned)


def _static_routes(snapshot: Snapshot) -> tuple[StaticRoute, ...]:
    owners = {
        uuid: router
        for router, row in snapshot.get("Logical_Router", {}).items()
        for uuid in strings(row, "static_routes")
    }
    rows = snapshot.get("Logical_Router_Static_Route", {})
    return tuple(_static_route(uuid, row, owners.get(uuid, "")) for uuid, row in rows.items())


def _logical_router(wish: Router, rows: Table) -> LogicalRouter:
    uuid, row = _by_name(rows, wish.name)
    # An optional column: routers without a value are enabled (ovn-nb(5)).
    enabled = row.get("enabled", True) not in (False, frozenset({False}))
    return LogicalRouter(wish, uuid, enabled)


def _switch_port(uuid: str, row: Row) -> SwitchPort:
    addresses = tuple(sorted(strings(row, "addresses")))
    return SwitchPort(
        uuid,
        text(row, "name"),
        text(row, "type"),
        addresses,
        mapping(row, "options"),
        mapping(row, "external_ids"),
        decode_endpoint(" ".join(addresses)) if text(row, "type") == "remote" else None,
    )


def _static_route(uuid: str, row: Row, router: str) -> StaticRoute:
    prefix, nexthop = text(row, "ip_prefix"), text(row, "nexthop")
    return StaticRoute(
        uuid,
        try_parse_prefix(prefix),
        try_parse_address(nexthop),
        text(row, "policy"),
        mapping(row, "options").get("origin", ""),
        keys.LEARNED_ROUTE in mapping(row, "external_ids"),
        (prefix, nexthop),
        router,
    )


def _nats(rows: Table, routers: Table) -> tuple[Nat, ...]:
    """The routers' NAT rules without a gateway port."""
    owners = {uuid: router for router, row in routers.items() for uuid in strings(row, "nat")}
    return tuple(
        Nat(uuid, try_parse_prefix(written), owners[uuid], written)
        for uuid, row in sorted(rows.items())
        if uuid in owners and not strings(row, "gateway_port")
        for written in (text(row, "external_ip"),)
    )


def _bfd_group(snapshot: Snapshot, owner: str) -> BfdGroup:
    def ours(table: str) -> tuple[str, Row]:
        return next(
            (
                (uuid, row)
                for uuid, row in sorted(snapshot.get(table, {}).items())
                if text(row, "name") == keys.BFD_NAME
                and mapping(row, "external_ids").get(keys.OWNER) == owner
            ),
            ("", {}),
        )

    group, group_row = ours("HA_Chassis_Group")
    members = snapshot.get("HA_Chassis", {})
    return BfdGroup(
        group,
        ours("Logical_Switch")[0],
        ours("Logical_Switch_Port")[0],
        {
            text(members[uuid], "chassis_name"): uuid
            for uuid in strings(group_row, "ha_chassis")
            if uuid in members
        },
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
            frozenset(mapping(row, "other_config").get(keys.CMS_OPTIONS, "").split(",")),
        )
        for uuid, row in snapshot.get("Chassis", {}).items()
    }
    active = {}
    for row in snapshot.get("Port_Binding", {}).values():
        bound = text(row, "chassis")
        if bound in chassis and text(row, "logical_port").startswith("cr-"):
            active[text(row, "logical_port")[3:]] = chassis[bound].name
    ordered = tuple(sorted(chassis.values(), key=lambda c: c.name))
    return Southbound(ordered, active, dict(_reports(snapshot.get("Chassis_Private", {}))))


def _reports(table: Table) -> Iterable[tuple[str, ChassisReport]]:
    for row in table.values():
        ids = mapping(row, "external_ids")
        mtu = ids.get(keys.TUNNEL_MTU, "")
        if keys.PATHS in ids or mtu:
            paths = decode_paths(ids.get(keys.PATHS, ""))
            yield text(row, "name"), ChassisReport(paths, int(mtu) if mtu.isdecimal() else None)


def observe_interconnect(icnb: Snapshot, icsb: Snapshot) -> Interconnect:
    """Read the interconnection databases."""
    global_uuid, global_row = _first(icnb.get("IC_NB_Global", {}))
    zones = {uuid: text(row, "name") for uuid, row in icsb.get("Availability_Zone", {}).items()}
    routes, unreadable = _routes(icsb.get("Route", {}), zones)
    return Interconnect(
        global_uuid=global_uuid,
        global_external_ids=mapping(global_row, "external_ids"),
        transit_switches={
            text(row, "name"): _transit_switch(uuid, row)
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
                number(row, "tunnel_key"),
                text(row, "address"),
                decode_endpoint(text(row, "address")),
                mapping(row, "external_ids").get(keys.IC_ROUTER, ""),
            )
            for uuid, row in icsb.get("Port_Binding", {}).items()
        ),
        routes=routes,
        datapaths={
            text(row, "transit_switch"): number(row, "tunnel_key")
            for row in icsb.get("Datapath_Binding", {}).values()
        },
        unreadable_routes=unreadable,
    )


def _transit_switch(uuid: str, row: Row) -> TransitSwitch:
    ts = TransitSwitch(uuid, text(row, "name"), mapping(row, "external_ids"))
    subnets = (try_parse_prefix(written) for written in ts.written_subnets)
    return replace(ts, subnets=tuple(subnet for subnet in subnets if subnet is not None))


def _routes(rows: Table, zones: Mapping[str, str]) -> tuple[tuple[IcRoute, ...], Mapping[str, str]]:
    """Routes, and the zones of those that cannot be read."""
    routes = []
    unreadable = {}
    for uuid, row in rows.items():
        az = zones.get(text(row, "availability_zone"), "")
        prefix = try_parse_prefix(text(row, "ip_prefix"))
        if prefix is None:
            unreadable[uuid] = az
            continue
        route = IcRoute(
            uuid,
            az,
            text(row, "transit_switch"),
            prefix,
            try_parse_address(text(row, "nexthop")),
            text(row, "origin"),
            keys.HELD in mapping(row, "external_ids"),
        )
        routes.append(route)
    return tuple(routes), unreadable


def _router_port(uuid: str, row: Row, router: str) -> RouterPort:
    networks = {each: try_parse_interface(each) for each in sorted(strings(row, "networks"))}
    return RouterPort(
        uuid,
        text(row, "name"),
        text(row, "mac"),
        tuple(interface for interface in networks.values() if interface is not None),
        strings(row, "gateway_chassis"),
        mapping(row, "external_ids"),
        mapping(row, "options"),
        router,
        ha_chassis_group=text(row, "ha_chassis_group"),
        unreadable=tuple(each for each, network in networks.items() if network is None),
    )


def _first(table: Table) -> tuple[str, Row]:
    return next(iter(sorted(table.items())), ("", {}))


def _by_name(table: Table, name: str) -> tuple[str, Row]:
    return next(
        ((u, row) for u, row in sorted(table.items()) if text(row, "name") == name), ("", {})
    )
