"""The status of the Interconnection: what `kubectl get`, `describe` and `wait` show.

Called by the publisher. Pure. Conditions follow the Kubernetes API conventions: `Ready` is what to
wait for, `Degraded` says that something is not as it should be, `Progressing` that changes are
under way. An unchanged situation gives an equal status, so that nothing is written.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ovnmesh.model.finding import Finding, Severity
from ovnmesh.model.report import PassReport, SiteState, SiteView

MAX_FINDINGS = 50
"""As many as the schema allows (deploy/base/crd)."""
_PROGRESSING = (SiteState.JOINING, SiteState.LEAVING, SiteState.CONNECTING)
_REASONS = {
    SiteState.IDLE: ("NotConnected", "the cluster is not connected to others"),
    SiteState.JOINED: ("Joined", "connected"),
    SiteState.JOINING: ("Joining", "the cluster is being connected"),
    SiteState.LEAVING: ("Leaving", "the cluster is being disconnected"),
    SiteState.REFUSED: ("Refused", "nothing is changed until the findings are mended"),
    SiteState.DISCONNECTED: (
        "Disconnected",
        "databases cannot be reached; traffic is not affected",
    ),
    SiteState.ERROR: ("Failed", "the last pass failed"),
}
Status = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Reading:
    """What the configuration was when the pass was made.

    Attributes:
        generation: metadata.generation of the Interconnection, 0 if there was none.
        source: "ConfigMap" or "Interconnection", "" if there was no configuration.
        now: the time, RFC 3339 in UTC.
    """

    generation: int
    source: str
    now: str


def make_status(report: PassReport, previous: Status, reading: Reading) -> dict[str, Any]:
    """The status after a pass.

    Args:
        report: the pass, of the controller that acts.
        previous: the status as it stands; what the pass could not see is kept of it.
        reading: the configuration of that time, and the time.
    """
    status = {**_site(report.view, previous)}
    status["state"] = report.state
    status["enabled"] = report.state not in (SiteState.IDLE, SiteState.LEAVING)
    status["source"] = reading.source
    status["observedGeneration"] = reading.generation
    status["findings"] = [f.to_json() for f in sorted(report.findings)[:MAX_FINDINGS]]
    status["conditions"] = _conditions(report, status, previous, reading)
    # Servers before 1.22 or so turn empty text in an applied object into null, and refuse that.
    return {key: value for key, value in status.items() if value != ""}


def same_status(one: Status, other: Status) -> bool:
    """Whether two statuses say the same; fields that are absent and empty ones are equal."""

    def plain(status: Status) -> dict[str, Any]:
        return {key: value for key, value in status.items() if value not in ("", [], None)}

    return plain(one) == plain(other)


def _site(view: SiteView | None, previous: Status) -> dict[str, Any]:
    if view is None:
        kept = ("availabilityZone", "activeGateway", "gateways", "peers", "peerCount", "routes")
        return {key: previous[key] for key in kept if key in previous}
    return {
        "availabilityZone": view.az,
        "activeGateway": ",".join(view.active),
        "gateways": list(view.gateways),
        "peers": list(view.peers),
        "peerCount": len(view.peers),
        "routes": {"advertised": view.advertised, "remote": view.remote},
    }


def _conditions(
    report: PassReport, status: Status, previous: Status, reading: Reading
) -> list[dict[str, Any]]:
    reason, message = _REASONS.get(report.state, ("Unknown", report.state))
    errors = [f for f in report.findings if f.severity is Severity.ERROR]
    ready = report.state is SiteState.JOINED and not errors
    if report.state is SiteState.JOINED:
        message = _connected(status)
    if errors and report.state in (SiteState.JOINED, SiteState.IDLE):
        reason, message = "FindingsOpen", _codes(errors)
    progressing = report.state in _PROGRESSING
    open_findings = "FindingsOpen" if report.findings else "AsExpected"
    wanted = (
        ("Ready", ready, reason, message),
        ("Degraded", bool(report.findings), open_findings, _codes(report.findings)),
        ("Progressing", progressing, reason if progressing else "AsExpected", ""),
    )
    known = {c.get("type"): c for c in previous.get("conditions") or ()}
    conditions = []
    for kind, value, why, text in wanted:
        word = "True" if value else "False"
        old = known.get(kind, {})
        since = old.get("lastTransitionTime") if old.get("status") == word else None
        conditions.append(
            {
                "type": kind,
                "status": word,
                "reason": why,
                "message": text or "nothing to report",
                "lastTransitionTime": since or reading.now,
                "observedGeneration": reading.generation,
            }
        )
    return conditions


def _connected(status: Status) -> str:
    peers = ", ".join(status.get("peers") or ()) or "nobody yet"
    gateway = status.get("activeGateway") or "none yet"
    return f"{status.get('availabilityZone', '')} is connected to {peers}; gateway: {gateway}"


def _codes(findings: Iterable[Finding]) -> str:
    """The findings in one line; the whole messages are in ``findings``."""
    return "; ".join(f"{finding.code} ({finding.subject})" for finding in sorted(findings))
