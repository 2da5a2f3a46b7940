"""One thing worth telling about a site, the same for log, status, metric and events.

Made by planners and checks; shown by everybody. Must not format for one medium.
"""

import enum
from dataclasses import dataclass


class Severity(enum.StrEnum):
    """How bad it is: errors make a site unhealthy, warnings do not."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """A finding.

    Attributes:
        code: stable, kebab-case identifier that monitoring may match.
        subject: what it is about: a node, a prefix, a transit switch.
        message: where, what was found, what was expected, what to do next.
        severity: see `Severity`.
    """

    code: str
    subject: str
    message: str
    severity: Severity = Severity.ERROR

    def to_json(self) -> dict[str, str]:
        """As plain JSON data."""
        return {
            "severity": str(self.severity),
            "code": self.code,
            "subject": self.subject,
            "message": self.message,
        }


def finding_from_json(data: dict[str, str]) -> Finding:
    """What `Finding.to_json` wrote.

    Raises:
        KeyError, ValueError: not a finding.
    """
    return Finding(data["code"], data["subject"], data["message"], Severity(data["severity"]))
