"""One thing worth telling about a site, the same for log, status, metric and events.

Made by planners and checks; shown by everybody. Must not format for one medium.
"""

import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace


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


def with_advice(findings: Iterable[Finding], advice: Mapping[str, str]) -> tuple[Finding, ...]:
    """The findings, each with what to do about it in the words of the site's cloud.

    Args:
        findings: as planners make them, which know no cloud.
        advice: what to add, by code; a sentence, in which {subject} stands for the subject.
    """
    return tuple(
        replace(each, message=f"{each.message.rstrip('.')}. {_advice(each, advice)}")
        if each.code in advice
        else each
        for each in findings
    )


def _advice(finding: Finding, advice: Mapping[str, str]) -> str:
    return advice[finding.code].replace("{subject}", finding.subject)
