"""What one pass of the controller comes to, and when the next one is due.

Made by every way out of a pass, read by the reconciler's loop. Pure.
"""

from dataclasses import dataclass

from ovnmesh.model.finding import Finding
from ovnmesh.model.northbound import Northbound
from ovnmesh.model.report import SiteState, SiteView


@dataclass(frozen=True, slots=True)
class Outcome:
    """One pass.

    Attributes:
        state: where the site stands.
        findings: what is worth telling.
        again_s: seconds after which to pass again unprompted; None to wait for an event.
        transactions: transactions made.
        input_ok: whether the input was usable.
        view: the site as it was when the pass began; None if it could not be seen whole.
        record: the northbound database in which state and findings are to be kept; None where
            another controller keeps them, or where the site is about to change again.
    """

    state: SiteState
    findings: tuple[Finding, ...] = ()
    again_s: float | None = None
    transactions: int = 0
    input_ok: bool = True
    view: SiteView | None = None
    record: Northbound | None = None


def soonest(*waits_s: float | None) -> float | None:
    """The shortest of some waits, in seconds; None if all of them wait for an event."""
    return min((each for each in waits_s if each is not None), default=None)
