"""A port that keeps NAT rules off the transit port while a router has no external one.

Called by `plan.site` and `plan.leave`. OVN gives a NAT rule without a gateway port to the only
gateway port of its router; if that is ours, the traffic with other sites is translated and lost
(measured). With a second gateway port whose network has no such address OVN applies the rule
nowhere, as on a router without any (northd.c, "Unable to determine gateway_port"). So a port that
leads nowhere is put beside ours for as long as needed: docs/nat.md. Must not touch NAT rules.
"""

from collections.abc import Iterable

from ovnmesh import ovn_keys as keys
from ovnmesh.model.changes import Delete, Insert, Named, Operation, Parent, Uuid, symbol
from ovnmesh.model.northbound import LogicalRouter, Northbound, RouterPort
from ovnmesh.model.observed import Observed

OWNS = ("Logical_Router_Port[NAT guard]", "Gateway_Chassis[of the NAT guard]")
#: Link-local, so that OVN never advertises it (ovn-ic.c, route_need_advertise).
NETWORK = "169.254.255.254/32"
#: Locally administered (IEEE 802); nobody ever sees it.
MAC = "02:00:00:00:00:01"


def plan_nat_guard(
    external: tuple[RouterPort, ...], observed: Observed, marked: tuple[str, ...]
) -> tuple[Operation, ...]:
    """Make the ports, or remove them.

    Args:
        external: ports to external networks.
        observed: the site and the mesh.
        marked: chassis of the gateways.
    """
    operations: list[Operation] = []
    for router in observed.nb.routers:
        guards = [port for port in _guards(observed.nb) if port.router == router.uuid]
        if not _needed(router, external, observed):
            operations += map(_delete, guards)
        elif not guards and marked:
            operations += _make(router, marked[0], observed.nb)
    return tuple(operations)


def _needed(router: LogicalRouter, external: tuple[RouterPort, ...], observed: Observed) -> bool:
    def have(ports: Iterable[RouterPort]) -> int:
        return sum(port.router == router.uuid for port in ports)

    return (
        router.uuid != ""
        and any(nat.router == router.uuid for nat in observed.nb.nats)
        and have(observed.transit_ports) < 2
        and not have(external)
    )


def _make(router: LogicalRouter, chassis: str, nb: Northbound) -> tuple[Operation, ...]:
    wish, name = router.wish, keys.NAT_GUARD
    if wish.ports_named_after or len(nb.routers) > 1:
        name += f"-{wish.title}"
    port = Named(symbol(name))
    return (
        Insert(
            "Logical_Router_Port",
            {
                "name": name,
                "mac": MAC,
                "networks": frozenset({NETWORK}),
                "external_ids": {keys.OWNER: nb.site_id},
            },
            port.name,
            Parent("Logical_Router", Uuid(router.uuid), "ports"),
        ),
        Insert(
            "Gateway_Chassis",
            {
                "name": f"{name}-{chassis}",
                "chassis_name": chassis,
                "priority": keys.GATEWAY_PRIORITY,
            },
            f"gc_{symbol(name)}",
            Parent("Logical_Router_Port", port, "gateway_chassis"),
        ),
    )


def plan_guard_removal(nb: Northbound) -> tuple[Operation, ...]:
    """Remove all guards."""
    return tuple(map(_delete, _guards(nb)))


def _delete(port: RouterPort) -> Delete:
    parent = Parent("Logical_Router", Uuid(port.router), "ports")
    return Delete("Logical_Router_Port", port.uuid, parent)


def _guards(nb: Northbound) -> tuple[RouterPort, ...]:
    return tuple(
        port
        for port in nb.router_ports
        if port.name.startswith(keys.NAT_GUARD) and port.external_ids.get(keys.OWNER) == nb.site_id
    )
