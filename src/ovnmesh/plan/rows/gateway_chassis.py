"""Gateway chassis of our ports on transit switches, as decided.

Owns Gateway_Chassis and Logical_Router_Port.gateway_chassis. Called by `plan.site`. Must not leave
a port without its last gateway.
"""

from ovnmesh.model.changes import (
    Content,
    Delete,
    Insert,
    Operation,
    Parent,
    Reference,
    Update,
    symbol,
)
from ovnmesh.model.northbound import RouterPort
from ovnmesh.model.observed import Observed

TABLE = "Gateway_Chassis"


def plan_gateway_chassis(
    ranked: tuple[tuple[str, int], ...],
    lrp: RouterPort | None,
    reference: Reference,
    lrp_name: str,
    observed: Observed,
) -> tuple[Operation, ...]:
    """The smallest change that gives a port its gateway chassis.

    Args:
        ranked: chassis names with their priority.
        lrp: the port as it is, None if it is being made.
        reference: the port, for new rows.
        lrp_name: the port's wanted name.
        observed: the site.
    """
    rows = observed.nb.gateway_rows(lrp) if lrp is not None else ()
    existing = {row.chassis: row for row in rows}
    operations: list[Operation] = []
    for chassis, priority in ranked:
        row = existing.pop(chassis, None)
        name = f"{lrp_name}-{chassis}"  # as ovn-nbctl(8) lrp-set-gateway-chassis names them
        if row is None:
            operations.append(
                Insert(
                    TABLE,
                    {"name": name, "chassis_name": chassis, "priority": priority},
                    f"gc_{symbol(lrp_name)}_{symbol(chassis)}",
                    Parent("Logical_Router_Port", reference, "gateway_chassis"),
                )
            )
            continue
        columns: dict[str, Content] = {}
        if row.priority != priority:
            columns["priority"] = priority
        if row.name != name:
            columns["name"] = name
        if columns:
            operations.append(Update(TABLE, row.uuid, columns))
    if ranked:
        operations += [
            Delete(TABLE, row.uuid, Parent("Logical_Router_Port", reference, "gateway_chassis"))
            for row in existing.values()
        ]
    return tuple(operations)
