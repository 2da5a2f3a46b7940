"""A transit switch added, taken out of service, put back, and removed: one row of IC-NB.

Pure. What sites do about it is decided by each site's own planner (`plan.decide.stages`).
"""

from ovnmesh import ovn_keys as keys
from ovnmesh.model.changes import Batch, Content, Db, Delete, Expect, Insert, MergeKeys, Operation
from ovnmesh.model.interconnect import TransitSwitch

_TABLE = "Transit_Switch"
OWNS = (
    f"{_TABLE}[as a whole]",
    f"{_TABLE}.external_ids:{keys.DRAINING}",
    f"{_TABLE}.external_ids:{keys.TS_SUBNET}",
)


def plan_switch_add(name: str, subnet: str) -> Batch:
    """A new transit switch.

    Args:
        name: its name, of which there is none.
        subnet: its subnets, comma-separated, which overlap no other's.
    """
    row: dict[str, Content] = {"name": name, "external_ids": {keys.TS_SUBNET: subnet}}
    # Unique within a transaction, and an <id> (RFC 7047, section 3.1), which a name need not be.
    return _batch("add a transit switch", Insert(_TABLE, row, f"ts_{name.encode().hex()}"))


def plan_switch_complete(uuid: str, subnet: str) -> Batch:
    """A subnet for a transit switch that has none.

    Args:
        uuid: of its row.
        subnet: its subnets, comma-separated, which overlap no other's.
    """
    mark = MergeKeys(_TABLE, uuid, "external_ids", {keys.TS_SUBNET: subnet})
    return _batch("give a transit switch a subnet", mark)


def plan_switch_drain(ts: TransitSwitch) -> Batch:
    """Have every site take its port out of service, and then away."""
    mark = MergeKeys(_TABLE, ts.uuid, "external_ids", {keys.DRAINING: "true"})
    return _batch("drain a transit switch", mark)


def plan_switch_return(ts: TransitSwitch) -> Batch:
    """Have every site use a transit switch again that was to be removed."""
    mark = MergeKeys(_TABLE, ts.uuid, "external_ids", remove=frozenset({keys.DRAINING}))
    return _batch("put a transit switch back into service", mark)


def plan_switch_remove(ts: TransitSwitch, force: bool) -> Batch:
    """Remove the row.

    Args:
        ts: the transit switch.
        force: even if a site has claimed an address on it meanwhile.
    """
    seen = Expect(_TABLE, ts.uuid, "external_ids", dict(ts.external_ids))
    return _batch("remove a transit switch", *(() if force else (seen,)), Delete(_TABLE, ts.uuid))


def _batch(why: str, *operations: Operation) -> Batch:
    return Batch(Db.IC_NB, operations, why)
