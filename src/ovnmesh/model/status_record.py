"""The status record: a site's state and findings, kept as JSON in its own northbound database.

Written by `plan.rows.status`, read by `views.site` from anywhere the database is reached.
"""

import json

from ovnmesh.model.finding import Finding, finding_from_json
from ovnmesh.model.report import SiteState


def encode_status(state: SiteState, findings: tuple[Finding, ...]) -> str:
    """The record as compact, stable JSON, so that an unchanged status writes nothing."""
    return json.dumps(
        {"state": str(state), "findings": [finding.to_json() for finding in sorted(findings)]},
        separators=(",", ":"),
        sort_keys=True,
    )


def decode_status(raw: str) -> tuple[SiteState, tuple[Finding, ...]] | None:
    """State and findings that `encode_status` wrote; None if they are missing or not ours."""
    try:
        found = json.loads(raw)
        return SiteState(found["state"]), tuple(finding_from_json(f) for f in found["findings"])
    except (ValueError, KeyError, TypeError):
        return None
