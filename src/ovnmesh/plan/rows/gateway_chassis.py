"""Gateway chassis of our ports on transit switches, as decided.

Called by `plan.site`. Must not leave a port without its last gateway.
"""

from collections.abc import Mapping, Sequence

from ovnmesh.model.changes import (
    Content,
    Delete,
    Insert,
    Operation,
    Parent,
    Reference,
    Update,
    Uuid,
    symbol,
)
from ovnmesh.model.observed import Observed
from ovnmesh.plan.decide.routers import Attachment
from ovnmesh.plan.decide.wanted_ports import WantedPort
from ovnmesh.plan.rows.ports import awaits_key, new_port, router_port

TABLE = "Gateway_Chassis"
OWNS = (f"{TABLE}[of a transit port]",)


def plan_gateway_chassis(
    wanted: Mapping[str, WantedPort],
    ranked: Mapping[str, Sequence[tuple[str, int]]],
    observed: Observed,
) -> tuple[Operation, ...]:
    """The smallest change that gives each port its gateway chassis.

    Args:
        wanted: the ports, by transit switch.
        ranked: chassis names with their priority, by transit switch.
        observed: the site, before its ports were mended.
    """
    return tuple(
        operation
        for ts, port in wanted.items()
        if not awaits_key(observed, port.attachment)
        for operation in _plan_port(ranked[ts], port.attachment, observed)
    )


def _plan_port(
    ranked: Sequence[tuple[str, int]], attachment: Attachment, observed: Observed
) -> list[Operation]:
    nb, lrp_name = observed.nb, attachment.lrp
    port = router_port(nb, attachment)
    reference: Reference = new_port(attachment.ts) if port is None else Uuid(port.uuid)
    rows = nb.gateway_rows(port) if port is not None else ()
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
    return operations
