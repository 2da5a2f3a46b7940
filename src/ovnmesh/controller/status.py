"""The status record: state and findings, kept in the site's own northbound database.

Called by the reconciler; `ovnmesh status` reads the record from anywhere the database is reached.
Must not write when nothing changed.
"""

import json

from ovnmesh import ovn_keys as keys
from ovnmesh.model.finding import Finding
from ovnmesh.model.observed import Northbound
from ovnmesh.plan.northbound import merge
from ovnmesh.plan.operations import Batch, Db


def encode_status(state: str, findings: tuple[Finding, ...]) -> str:
    """The status record: stable, so that an unchanged status writes nothing."""
    return json.dumps(
        {"state": state, "findings": [finding.to_json() for finding in sorted(findings)]},
        separators=(",", ":"),
        sort_keys=True,
    )


def plan_status(nb: Northbound, state: str, findings: tuple[Finding, ...]) -> Batch | None:
    """The transaction that records state and findings in the site's own database, if needed.

    A site that never joined, or has left, keeps no record unless something is wrong.
    """
    silent = state == "idle" and not findings
    wanted = {} if silent else {keys.STATUS: encode_status(state, findings)}
    gone = frozenset({keys.STATUS}) if silent else frozenset()
    operations = merge("NB_Global", nb.global_uuid, "external_ids", nb.external_ids, wanted, gone)
    return Batch(Db.NB, operations, "record status") if operations else None
