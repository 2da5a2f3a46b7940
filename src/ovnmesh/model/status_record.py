"""The status record: a site's state and findings, kept in its own northbound database.

Written by `plan.rows.status_record`, read by `views.site_overview` from anywhere the database is
reached.
"""

import msgspec

from ovnmesh.model.finding import Finding
from ovnmesh.model.records import Codec
from ovnmesh.model.report import SiteState


class _Record(msgspec.Struct, frozen=True):
    state: SiteState
    findings: tuple[Finding, ...]


_CODEC = Codec(_Record)


def encode_status(state: SiteState, findings: tuple[Finding, ...]) -> str:
    """The record; the findings in one order, so that an unchanged status writes nothing."""
    return _CODEC.encode(_Record(state, tuple(sorted(findings))))


def decode_status(raw: str) -> tuple[SiteState, tuple[Finding, ...]] | None:
    """State and findings that `encode_status` wrote; None if they are missing or not ours."""
    record = _CODEC.decode(raw)
    return (record.state, record.findings) if record is not None else None
