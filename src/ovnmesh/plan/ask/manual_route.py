"""Manual routes: the documents' ``lr-route-add`` with the next hop looked up.

Called by `ovnmesh route`. The row is one that an operator could have typed: no tag of ours, and
nothing of ours ever removes it. Must not touch learned routes.
"""

from ovnmesh.errors import ConfigError, Problem
from ovnmesh.model.addresses import Address
from ovnmesh.model.changes import Batch, Db, Operation
from ovnmesh.model.observed import Observed
from ovnmesh.model.prefixes import Prefix
from ovnmesh.plan.rows.static_routes import delete_route, insert_route


def next_hops(observed: Observed, az: str, version: int) -> dict[str, Address]:
    """Addresses of an AZ on the transit switches, by switch.

    Args:
        observed: the site.
        az: the remote AZ.
        version: 4 or 6.

    Raises:
        ConfigError: no such AZ on any transit switch.
    """
    found: dict[str, Address] = {}
    for port in observed.ic.ports:
        endpoint = port.endpoint if port.az == az else None
        for address in sorted(endpoint.addresses, key=str) if endpoint else ():
            if address.version == version:
                found[port.ts] = address
    if not found:
        others = sorted({p.az for p in observed.ic.ports} - {observed.nb.name})
        raise ConfigError(
            [
                Problem(
                    "--via",
                    f'"{az}"',
                    f"an AZ with an IPv{version} address on a transit switch: "
                    f"{', '.join(others) or 'none yet'}",
                )
            ]
        )
    return found


def plan_route_add(observed: Observed, prefix: Prefix, az: str) -> Batch | None:
    """One static route a transit switch; several make ECMP. None if all are there.

    Raises:
        ConfigError: the AZ has no address there.
    """
    have = _routes(observed, prefix)
    operations: list[Operation] = []
    hops = next_hops(observed, az, prefix.version)
    for ts, address in sorted(hops.items(), key=lambda hop: str(hop[1])):
        port = observed.ports.get(ts)
        if address in have or port is None:
            continue
        name = f"route_{len(operations)}"
        operations.append(insert_route(port.router, prefix, address, name))
    return Batch(Db.NB, tuple(operations), "add a manual route") if operations else None


def plan_route_delete(observed: Observed, prefix: Prefix, az: str) -> Batch | None:
    """Remove the manual routes to a prefix by way of an AZ; None if there are none.

    Raises:
        ConfigError: the AZ has no address there.
    """
    hops = set(next_hops(observed, az, prefix.version).values())
    operations = tuple(
        delete_route(uuid)
        for address, uuid in sorted(
            _routes(observed, prefix).items(), key=lambda route: str(route[0])
        )
        if address in hops
    )
    return Batch(Db.NB, operations, "remove a manual route") if operations else None


def _routes(observed: Observed, prefix: Prefix) -> dict[Address, str]:
    return {
        route.nexthop: route.uuid
        for route in observed.nb.static_routes
        if not route.learned and route.prefix == prefix and route.nexthop is not None
    }
