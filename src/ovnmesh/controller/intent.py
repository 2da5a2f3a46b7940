"""What the input asks for: join as described, leave, or carry on as before.

Called by the reconciler. Pure. Missing or wrong input never means "leave": then the record of the
last good state, kept in the site's own northbound database, stays in force.
"""

from dataclasses import dataclass

from ovnmesh.config import InterconnectConfig
from ovnmesh.errors import Problem
from ovnmesh.model.desired import Desired
from ovnmesh.model.finding import Code, Finding, Severity
from ovnmesh.model.remote import NOWHERE, Remote
from ovnmesh.providers.base import Wish


@dataclass(frozen=True, slots=True)
class Intent:
    """The decision.

    Attributes:
        desired: join, or stay joined, as described; None otherwise.
        leave: leave the mesh.
        ic_nb: where the interconnection northbound database is, `NOWHERE` if that is not known.
        ic_sb: the same, southbound.
        findings: what is wrong with the input.
        input_ok: whether the input was usable.
    """

    desired: Desired | None
    leave: bool
    ic_nb: Remote
    ic_sb: Remote
    findings: tuple[Finding, ...]
    input_ok: bool


def decide_intent(wish: Wish | None, unreadable: str, record: Desired | None) -> Intent:
    """Decide from the input as read and from the site's record.

    Args:
        wish: the provider's reading; None if it could not be read.
        unreadable: why it could not be read; "" while it is being read for the first time.
        record: last good state; None if the site never joined.
    """
    if wish is not None and wish.config is not None and not wish.problems:
        desired = make_desired(wish, wish.config)
        if wish.config.enable_ic:
            return Intent(desired, False, desired.ic_nb, desired.ic_sb, (), True)
        last = record or desired
        return Intent(None, True, last.ic_nb, last.ic_sb, (), True)
    findings = _input_findings(wish, unreadable, record is not None)
    if record is None:
        return Intent(None, False, NOWHERE, NOWHERE, findings, False)
    return Intent(record, False, record.ic_nb, record.ic_sb, findings, False)


def make_desired(wish: Wish, config: InterconnectConfig) -> Desired:
    """What the planner is to bring about where a reading is good.

    Args:
        wish: the reading.
        config: its configuration.
    """
    return Desired(
        az_name=config.az_name,
        gw_nodes=config.gw_nodes,
        auto_route=config.auto_route,
        denied=wish.denied,
        local=frozenset(wish.local),
        gateways=config.gateways,
        routers=wish.routers,
        shared_database=wish.shared_database,
        ic_nb=config.ic_nb_remote(),
        ic_sb=config.ic_sb_remote(),
    )


def _input_findings(wish: Wish | None, unreadable: str, joined: bool) -> tuple[Finding, ...]:
    if wish is None:
        if not unreadable:
            return ()
        return (_finding(Code.CONFIG_UNREADABLE, "configuration", unreadable, joined),)
    if wish.problems:
        return tuple(_problem(problem, joined) for problem in wish.problems)
    if not joined:
        return ()  # never configured: nothing to say
    return (
        _finding(
            Code.CONFIG_MISSING,
            "configuration",
            "the configuration is gone, which does not mean leaving. Put it back, or set "
            "enable-ic: false in it to leave",
            joined,
        ),
    )


def _problem(problem: Problem, joined: bool) -> Finding:
    return _finding(Code.CONFIG_INVALID, problem.where, str(problem), joined)


def _finding(code: str, subject: str, message: str, joined: bool) -> Finding:
    kept = "; the last good state stays in force" if joined else ""
    return Finding(code, subject, message + kept, Severity.ERROR)
