"""The status record: state and findings, kept in the site's own northbound database.

Called by the reconciler and by `plan.leave`. Must not write when nothing changed.
"""

from ovnmesh import ovn_keys as keys
from ovnmesh.model.changes import Batch, Db, Operation, merge
from ovnmesh.model.finding import Finding
from ovnmesh.model.northbound import Northbound
from ovnmesh.model.report import SiteState
from ovnmesh.model.status_record import encode_status

OWNS = (f"NB_Global.external_ids:{keys.STATUS}",)


def plan_status(nb: Northbound, state: SiteState, findings: tuple[Finding, ...]) -> Batch | None:
    """The transaction that records state and findings in the site's own database, if needed.

    A site that never joined, or has left, keeps no record unless something is wrong.
    """
    silent = state is SiteState.IDLE and not findings
    wanted = {} if silent else {keys.STATUS: encode_status(state, findings)}
    gone = frozenset({keys.STATUS}) if silent else frozenset()
    operations = merge("NB_Global", nb.global_uuid, "external_ids", nb.external_ids, wanted, gone)
    return Batch(Db.NB, operations, "record status") if operations else None


def plan_status_removal(nb: Northbound) -> tuple[Operation, ...]:
    """Remove the record."""
    gone = frozenset({keys.STATUS})
    return merge("NB_Global", nb.global_uuid, "external_ids", nb.external_ids, {}, gone)
