"""A port that keeps NAT rules off the transit port while a router has no external one.

Called by `plan.site` and `plan.leave`. OVN gives a NAT rule without a gateway port to the only
gateway port of its router; if that is ours, the traffic with other sites is translated and lost
(measured). With a second gateway port whose network has no such address OVN applies the rule
nowhere, as on a router without any (northd.c, "Unable to determine gateway_port"). So a port that
leads nowhere is put beside ours for as long as needed: docs/nat.md. Must not touch NAT rules.
"""

from ovnmesh import ovn_keys as keys
from ovnmesh.model.desired import Desired
from ovnmesh.model.observed import Northbound, Observed
from ovnmesh.plan.external import external_ports, transit_ports
from ovnmesh.plan.operations import Delete, Insert, Named, Operation, Parent, Uuid

#: Link-local, so that OVN never advertises it (ovn-ic.c, route_need_advertise).
NETWORK = "169.254.255.254/32"
#: Locally administered (IEEE 802); nobody ever sees it.
MAC = "02:00:00:00:00:01"


def plan_nat_guard(
    desired: Desired, observed: Observed, marked: tuple[str, ...]
) -> tuple[Operation, ...]:
    """Make the port, or remove it.

    Args:
        desired: the wish.
        observed: the site and the mesh.
        marked: chassis of the gateways.
    """
    nb = observed.nb
    needed = (
        nb.nats
        and len(transit_ports(desired, observed)) < 2
        and not external_ports(desired, observed)
    )
    present = nb.lrp_by_name(keys.NAT_GUARD) is not None
    if not needed:
        return plan_guard_removal(nb)
    if present or not marked:
        return ()
    port = Named("nat_guard")
    return (
        Insert(
            "Logical_Router_Port",
            {
                "name": keys.NAT_GUARD,
                "mac": MAC,
                "networks": frozenset({NETWORK}),
                "external_ids": {},
            },
            port.name,
            Parent("Logical_Router", Uuid(nb.router_uuid), "ports"),
        ),
        Insert(
            "Gateway_Chassis",
            {
                "name": f"{keys.NAT_GUARD}-{marked[0]}",
                "chassis_name": marked[0],
                "priority": keys.GATEWAY_PRIORITY,
            },
            "nat_guard_chassis",
            Parent("Logical_Router_Port", port, "gateway_chassis"),
        ),
    )


def plan_guard_removal(nb: Northbound) -> tuple[Operation, ...]:
    """Remove the port if it is there."""
    port = nb.lrp_by_name(keys.NAT_GUARD)
    if port is None:
        return ()
    parent = Parent("Logical_Router", Uuid(nb.router_uuid), "ports")
    return (Delete("Logical_Router_Port", port.uuid, parent),)
