"""`ovnmesh gateway`: who carries a site's traffic, and planned switch-overs.

Called by `cli.main`. Plans come from `plan.ask.gateway`; the site's controller does the rest,
and these commands wait for it. Must not write priorities.
"""

import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Annotated

import typer

from ovnmesh.access.interconnect import taken_config
from ovnmesh.access.session import Session
from ovnmesh.access.sites import pick_sites
from ovnmesh.cli import output
from ovnmesh.cli.arguments import NodeName, OutputForm, SiteName, SitesFile
from ovnmesh.cli.output import Output
from ovnmesh.errors import OvnmeshError, StalePlan
from ovnmesh.model.changes import Batch
from ovnmesh.model.desired import DEFAULT_POLICY
from ovnmesh.model.observed import Observed
from ovnmesh.plan.ask.gateway import plan_drain, plan_prefer, plan_reset, plan_undrain
from ovnmesh.views.gateways import ServingLine, active_node, serving

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Show a site's gateway nodes, and move traffic from one to another.",
    epilog="Example: ovnmesh gateway drain az1 az1-gw",
)

#: Seconds for the controller to follow, and how often it is looked at.
FOLLOW_S = 10.0
POLL_S = 0.05
_ATTEMPTS = 5

Plan = Callable[[Observed], Batch | None]


@app.command("list", epilog="Example: ovnmesh gateway list az1 -o json")
def list_(
    site: SiteName,
    form: OutputForm = Output.TABLE,
    sites_file: SitesFile = None,
) -> None:
    """Show the gateways of each transit switch, in the order in which they take over.

    The exit status is 1 if a transit switch has no active gateway, in every format.
    """
    (address,) = pick_sites([site], sites_file)
    with Session(address) as session:
        lines = serving(session.observe())
    if form is Output.JSON:
        output.emit_json([asdict(line) for line in lines])
    else:
        rows = [(line.ts, line.priority, line.node, line.state) for line in lines]
        output.table("GATEWAYS", ("TS", "PRIORITY", "NODE", "STATE"), rows)
    served = {line.ts for line in lines if line.state == "active"}
    raise typer.Exit(0 if {line.ts for line in lines} <= served else 1)


@app.command(epilog="Example: ovnmesh gateway drain az1 az1-gw")
def drain(site: SiteName, node: NodeName, sites_file: SitesFile = None) -> None:
    """Move traffic off a gateway node, for example before its maintenance.

    The node stays last in line: it serves if all others fail. `undrain` makes it a reserve again.
    """
    _change(site, sites_file, lambda observed: plan_drain(observed, node), _none_on(node))


@app.command(epilog="Example: ovnmesh gateway undrain az1 az1-gw")
def undrain(site: SiteName, node: NodeName, sites_file: SitesFile = None) -> None:
    """Make a drained gateway node a reserve again; traffic stays where it is."""
    _change(site, sites_file, lambda observed: plan_undrain(observed, node), lambda _: True)


@app.command(epilog="Example: ovnmesh gateway prefer az1 az1-n1 --ts ts1")
def prefer(
    site: SiteName,
    node: NodeName,
    switch: Annotated[
        list[str] | None,
        typer.Option("--ts", metavar="TS", help="Only this transit switch; may be repeated."),
    ] = None,
    sites_file: SitesFile = None,
) -> None:
    """Move traffic to a gateway node. It stays there until that node fails.

    Undo it with `ovnmesh gateway reset`.
    """

    def moved(observed: Observed) -> bool:
        wanted = switch or sorted(observed.nb.served_switches())
        return all(active_node(observed, ts) == node for ts in wanted)

    def plan(observed: Observed) -> Batch | None:
        config = taken_config(observed.nb)
        policy = config.gateways if config is not None else DEFAULT_POLICY
        return plan_prefer(observed, node, switch or (), policy)

    _change(site, sites_file, plan, moved)


@app.command(epilog="Example: ovnmesh gateway reset az1")
def reset(site: SiteName, sites_file: SitesFile = None) -> None:
    """Move traffic back to the order of gw-nodes; forget failovers, preferences and drains."""
    _change(site, sites_file, plan_reset, _first_in_line)


def _none_on(node: str) -> Callable[[Observed], bool]:
    return lambda observed: all(
        line.node != node for line in serving(observed) if line.state == "active"
    )


def _first_in_line(observed: Observed) -> bool:
    """Whether the controller has chosen anew, and the traffic has followed."""
    lines = serving(observed) if observed.nb.gateway_state.leaders else ()
    first: dict[str, ServingLine] = {}
    for line in lines:
        first.setdefault(line.ts, line)
    return bool(first) and all(line.state == "active" for line in first.values())


def _change(site: str, sites_file: object, plan: Plan, done: Callable[[Observed], bool]) -> None:
    (address,) = pick_sites([site], sites_file)  # type: ignore[arg-type]
    with Session(address) as session, output.progress(f"gateway {site}") as step:
        batch = _apply(session, plan)
        if batch is None:
            output.stderr().print(f"{site}: so already; nothing to do")
            return
        if not session.has_controller():
            raise OvnmeshError(
                f"site {site}: found no running controller; expected one, which would move the "
                "traffic. The wish is recorded; start `ovnmesh controller`"
            )
        step(f"{batch.why}: waiting for the controller")
        deadline = time.monotonic() + FOLLOW_S
        while not done(session.observe()):
            if time.monotonic() > deadline:
                raise OvnmeshError(
                    f"site {site}: the traffic has not moved within {FOLLOW_S:.0f} s; expected the "
                    "controller and ovn-controller on the gateways to follow. See: ovnmesh status "
                    f"{site}; to take the wish back: ovnmesh gateway reset {site}"
                )
            time.sleep(POLL_S)
        lines = serving(session.observe())
    where = ", ".join(f"{line.ts} on {line.node}" for line in lines if line.state == "active")
    output.stderr().print(f"{site}: {batch.why}; active: {where or 'none'}")


def _apply(session: Session, plan: Plan) -> Batch | None:
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
            time.sleep(POLL_S)
            continue
        return batch
    return None
