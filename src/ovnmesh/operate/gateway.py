"""Who carries a site's traffic, and planned switch-overs.

Plans come from `plan.ask.gateway` and change only a record; the site's controller does the rest,
and this waits until it has. Must not write priorities.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ovnmesh.access.session import Session
from ovnmesh.access.sites import SiteAddress
from ovnmesh.errors import OvnmeshError, StalePlan
from ovnmesh.model.changes import Batch
from ovnmesh.model.desired import DEFAULT_POLICY
from ovnmesh.model.observed import Observed
from ovnmesh.operate.waiting import LOOK_AGAIN_S, Step, wait_until_done
from ovnmesh.plan.ask.gateway import plan_drain, plan_prefer, plan_reset, plan_undrain
from ovnmesh.views.serving_gateways import ServingLine, active_node, serving_gateways

#: Seconds for the controller to follow.
FOLLOW_S = 10.0
_ATTEMPTS = 5

_Plan = Callable[[Observed], Batch | None]
_Done = Callable[[Observed], bool]


@dataclass(frozen=True, slots=True)
class SwitchOver:
    """A wish that the controller has followed.

    Attributes:
        why: the wish, in words.
        lines: gateways of every transit switch afterwards.
    """

    why: str
    lines: tuple[ServingLine, ...]

    @property
    def active(self) -> str:
        """Who carries the traffic now, in words; "" if nobody does."""
        return ", ".join(f"{line.ts} on {line.node}" for line in self.lines if _is_active(line))


def list_gateways(address: SiteAddress) -> tuple[ServingLine, ...]:
    """Gateways of every transit switch of a site, the first in line first."""
    with Session(address) as session:
        return serving_gateways(session.observe())


def all_served(lines: Sequence[ServingLine]) -> bool:
    """Whether every transit switch has an active gateway."""
    return {line.ts for line in lines} <= {line.ts for line in lines if _is_active(line)}


def drain(address: SiteAddress, node: str, step: Step) -> SwitchOver | None:
    """Move traffic off a gateway node.

    Args:
        address: the site.
        node: the gateway node.
        step: told what is being done.

    Returns:
        What was done; None if it is so already.

    Raises:
        ConfigError: there is no such gateway, or no other.
        OvnmeshError: no controller runs, or it does not follow in time.
    """

    def gone(observed: Observed) -> bool:
        return all(line.node != node for line in serving_gateways(observed) if _is_active(line))

    return _change(address, lambda observed: plan_drain(observed, node), gone, step)


def undrain(address: SiteAddress, node: str, step: Step) -> SwitchOver | None:
    """Make a drained gateway node a reserve again; otherwise as `drain`."""
    return _change(address, lambda observed: plan_undrain(observed, node), lambda _: True, step)


def prefer(
    address: SiteAddress, node: str, switches: Sequence[str], step: Step
) -> SwitchOver | None:
    """Move traffic to a gateway node; otherwise as `drain`.

    Args:
        address: the site.
        node: the gateway node.
        switches: transit switches; none for all.
        step: told what is being done.
    """

    def plan(observed: Observed) -> Batch | None:
        record = observed.nb.record
        policy = record.gateways if record is not None else DEFAULT_POLICY
        return plan_prefer(observed, node, switches, policy)

    def moved(observed: Observed) -> bool:
        wanted = switches or sorted(observed.nb.served_switches())
        return all(active_node(observed, ts) == node for ts in wanted)

    return _change(address, plan, moved, step)


def reset(address: SiteAddress, step: Step) -> SwitchOver | None:
    """Go back to the configured order: forget failovers, preferences and drains."""
    return _change(address, plan_reset, _first_in_line, step)


def _is_active(line: ServingLine) -> bool:
    return line.state == "active"


def _first_in_line(observed: Observed) -> bool:
    """Whether the controller has chosen anew, and the traffic has followed."""
    lines = serving_gateways(observed) if observed.nb.gateway_state.leaders else ()
    first: dict[str, ServingLine] = {}
    for line in lines:
        first.setdefault(line.ts, line)
    return bool(first) and all(_is_active(line) for line in first.values())


def _change(address: SiteAddress, plan: _Plan, done: _Done, step: Step) -> SwitchOver | None:
    site = address.name
    with Session(address) as session:
        batch = _apply(session, plan)
        if batch is None:
            return None
        if not session.has_controller():
            raise OvnmeshError(
                f"site {site}: no controller runs, so the traffic does not move. The wish is "
                "recorded: start `ovnmesh controller`"
            )
        step(batch.why)
        if wait_until_done(
            lambda: "" if done(session.observe()) else "the controller", FOLLOW_S, step
        ):
            raise OvnmeshError(
                f"site {site}: the traffic has not moved within {FOLLOW_S:.0f} s. Expected: the "
                "controller, and ovn-controller on the gateways, follow. See: ovnmesh status "
                f"{site}. To take the wish back: ovnmesh gateway reset {site}"
            )
        return SwitchOver(batch.why, serving_gateways(session.observe()))


def _apply(session: Session, plan: _Plan) -> Batch | None:
    """Record the wish, again if something else changed the record meanwhile."""
    for attempt in range(_ATTEMPTS):
        batch = plan(session.observe())
        if batch is None:
            return None
        try:
            session.apply(batch)
        except StalePlan:
            if attempt == _ATTEMPTS - 1:
                raise
            time.sleep(LOOK_AGAIN_S)
            continue
        return batch
    return None
