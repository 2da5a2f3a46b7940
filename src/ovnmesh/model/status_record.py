"""The status record: a site's state and findings, kept as JSON in its own northbound database.

Written by `plan.rows.status`, read by `views.site` from anywhere the database is reached.
"""

import json

from ovnmesh.model.finding import Finding, finding_from_json


def encode_status(state: str, findings: tuple[Finding, ...]) -> str:
    """The record as compact, stable JSON, so that an unchanged status writes nothing."""
    return json.dumps(
        {"state": state, "findings": [finding.to_json() for finding in sorted(findings)]},
        separators=(",", ":"),
        sort_keys=True,
    )


def decode_status(raw: str) -> tuple[str, tuple[Finding, ...]] | None:
    """State and findings that `encode_status` wrote; None if they are missing or not ours."""
    try:
        found = json.loads(raw)
        return str(found["state"]), tuple(finding_from_json(f) for f in found["findings"])
    except (ValueError, KeyError, TypeError):
        return None
