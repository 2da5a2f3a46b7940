"""What joining will change in the site's databases, in one go.

Called by commands with `--dry-run`. The real plan has to wait for `ovn-ic`, which makes the
transit switches and gives our switch ports their tunnel keys; this one takes that for done. Must
not be applied.
"""

from collections.abc import Iterator
from dataclasses import replace

from ovnmesh import ovn_keys as keys
from ovnmesh.model.changes import Batch, Insert, Operation
from ovnmesh.model.desired import Desired
from ovnmesh.model.finding import Finding
from ovnmesh.model.northbound import LogicalSwitch, SwitchPort
from ovnmesh.model.observed import Observed
from ovnmesh.plan.rows.ports import LSP_TABLE
from ovnmesh.plan.site import plan_site


def forecast(desired: Desired, observed: Observed) -> tuple[tuple[Batch, ...], tuple[Finding, ...]]:
    """All batches that joining takes, and what there is to tell.

    Args:
        desired: the wish.
        observed: the site and the mesh, as they are.
    """
    nb, ic = observed.nb, observed.ic
    switches = {
        ts: LogicalSwitch(f"(made by ovn-ic: {ts})", ts, ic.datapaths.get(ts, 0))
        for ts in ic.transit_switches
    }
    first = replace(observed, nb=replace(nb, switches={**switches, **nb.switches}))
    plan = plan_site(desired, first)
    ports = tuple(_new_switch_ports(plan.batches))
    made = {
        port.name: port
        for port in (_as_made(port) for port in ports)
        if port.name not in nb.switch_ports
    }
    second = replace(first, nb=replace(first.nb, switch_ports={**nb.switch_ports, **made}))
    rest = plan_site(desired, second)
    batches = [
        replace(batch, operations=(*ports, *batch.operations))
        if any(operation in ports for operation in _operations(plan.batches, batch.why))
        else batch
        for batch in rest.batches
    ]
    return tuple(batches), rest.findings


def _new_switch_ports(batches: tuple[Batch, ...]) -> Iterator[Insert]:
    for operation in (operation for batch in batches for operation in batch.operations):
        # Not the port of the switch for BFD.
        if (
            isinstance(operation, Insert)
            and operation.table == LSP_TABLE
            and keys.TRANSIT_SWITCH in _map(operation, "external_ids")
        ):
            yield operation


def _operations(batches: tuple[Batch, ...], why: str) -> tuple[Operation, ...]:
    return next((batch.operations for batch in batches if batch.why == why), ())


def _as_made(port: Insert) -> SwitchPort:
    options = {**_map(port, "options"), keys.REQUESTED_TNL_KEY: "0"}
    name = str(port.columns["name"])
    return SwitchPort(
        f"(new {name})", name, "router", ("router",), options, _map(port, "external_ids")
    )


def _map(port: Insert, column: str) -> dict[str, str]:
    value = port.columns.get(column)
    return dict(value) if isinstance(value, dict) else {}
