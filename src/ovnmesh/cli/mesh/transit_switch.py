"""`ovnmesh transit-switch`: transit switches listed, added and removed without losing a packet.

Called by `cli.main`. Writes one row of IC-NB and waits: each site's controller puts its own port in
service, or takes it out (`plan.decide.stages`). Interrupted, it is run again. Decides nothing.
"""

import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Annotated

import typer

from ovnmesh import ovn_keys as keys
from ovnmesh.access.mesh import MeshSession, open_mesh
from ovnmesh.cli import output
from ovnmesh.cli.arguments import OutputForm, SitesFile
from ovnmesh.cli.output import Output
from ovnmesh.errors import ConfigError, OvnmeshError, Problem
from ovnmesh.icdb.serve.switches import next_subnet, plan_switches
from ovnmesh.icdb.settings import parse_switch
from ovnmesh.model.changes import Batch, Content, Db, Delete, Expect, Insert, MergeKeys, Operation
from ovnmesh.model.interconnect import Interconnect, TransitSwitch
from ovnmesh.views.transit import Member, members, without_other

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Show, add and remove the mesh's transit switches, without losing a packet.",
    epilog="Example: ovnmesh transit-switch add ts1",
)

#: Seconds between two looks.
POLL_S = 0.1
SwitchName = Annotated[str, typer.Argument(metavar="NAME", help="Name of the transit switch.")]
Timeout = Annotated[float, typer.Option(help="Wait for the sites for this many seconds at most.")]


@app.command("list", epilog="Example: ovnmesh transit-switch list -o json")
def list_(form: OutputForm = Output.TABLE, sites_file: SitesFile = None) -> None:
    """Show each transit switch: its subnet, the sites on it, and the state of each there.

    A site is connecting (no port yet), warming (its port carries nothing yet), in service, or
    draining.
    """
    with open_mesh(sites_file) as mesh:
        ic = mesh.read()
    found = [(ts, members(ts, ic)) for ts in ic.transit_switches.values()]
    if form is Output.JSON:
        output.emit_json({"transit_switches": [_to_json(ts, on_it) for ts, on_it in found]})
        return
    output.table(
        "Transit switches",
        ("SWITCH", "SUBNET", "AZ", "STATE", "ADDRESS", "GATEWAY"),
        (
            (
                ts.name,
                ",".join(ts.written_subnets) or "-",
                member.az + ("" if member.managed else " (not run by ovnmesh)"),
                member.state,
                member.address or "-",
                member.gateway or "-",
            )
            for ts, on_it in found
            for member in on_it or (Member("-", "draining" if ts.draining else "unused"),)
        ),
    )


def _to_json(ts: TransitSwitch, on_it: tuple[Member, ...]) -> dict[str, object]:
    return {
        "name": ts.name,
        "subnets": list(ts.written_subnets),
        "draining": ts.draining,
        "sites": [asdict(member) for member in on_it],
    }


@app.command(epilog="Example: ovnmesh transit-switch add ts1 --cidr 169.254.101.0/24")
def add(
    name: SwitchName,
    cidr: Annotated[
        str | None,
        typer.Option(
            metavar="CIDR[,CIDR]",
            help="Subnet of the switch, one of each family at most; by default the next free one.",
        ),
    ] = None,
    timeout: Timeout = 60.0,
    sites_file: SitesFile = None,
) -> None:
    """Add a transit switch, and wait until every site uses it. No packet is lost.

    If it is interrupted, run it again: it goes on waiting. A switch that is being removed is put
    back into service.
    """
    with open_mesh(sites_file) as mesh, output.progress(f"transit-switch add {name}") as step:
        known = mesh.read().transit_switches
        stored = {ts.name: ",".join(ts.written_subnets) for ts in known.values()}
        ts = known.get(name)
        if ts is None:
            switch = parse_switch(name, cidr if cidr is not None else next_subnet(stored))
            plan_switches((switch,), stored)  # refuses a subnet that is another switch's
            row: dict[str, Content] = {
                "name": name,
                "external_ids": {keys.TS_SUBNET: switch.subnet},
            }
            _apply(mesh, "add a transit switch", Insert("Transit_Switch", row, "ts"))
        elif cidr is not None and set(cidr.split(",")) != set(ts.written_subnets):
            found = f"a transit switch {name} with subnet {','.join(ts.written_subnets)}"
            raise ConfigError([Problem("--cidr", found, "that subnet, or another NAME")])
        elif ts.draining:
            gone = frozenset({keys.DRAINING})
            mark = MergeKeys("Transit_Switch", ts.uuid, "external_ids", remove=gone)
            _apply(mesh, "put a transit switch back into service", mark)
        _wait(lambda: _not_in_service(name, mesh.read()), timeout, step, "in service")
        done = mesh.find(name)
    where = f" ({','.join(done.written_subnets)})" if done else ""
    output.stderr().print(f"transit switch {name}{where} is in service at every site")


@app.command(epilog="Example: ovnmesh transit-switch remove ts1")
def remove(
    name: SwitchName,
    force: Annotated[
        bool,
        typer.Option(
            "--force",
            help="Remove it even if sites do not answer within --timeout, or have no other switch.",
        ),
    ] = False,
    timeout: Timeout = 60.0,
    sites_file: SitesFile = None,
) -> None:
    """Take a transit switch out of service at every site, then remove it. No packet is lost.

    The command refuses if a site has no other switch in service. If it is interrupted, run it
    again, or put the switch back into service with `transit-switch add`.
    """
    with open_mesh(sites_file) as mesh, output.progress(f"transit-switch remove {name}") as step:
        ic = mesh.read()
        ts = ic.transit_switches.get(name)
        if ts is None:
            output.stderr().print(f"there is no transit switch {name}; nothing to do")
            return
        if not ts.draining:
            if not force:
                _refuse_last(ts, ic)
            mark = MergeKeys("Transit_Switch", ts.uuid, "external_ids", {keys.DRAINING: "true"})
            _apply(mesh, "drain a transit switch", mark)
        try:
            _wait(lambda: _still_there(name, mesh.read()), timeout, step, "to leave it")
        except OvnmeshError as exc:
            if not force:
                raise
            output.stderr().print(f"{exc}; removing it all the same")
        _delete(name, mesh, force)
    output.stderr().print(
        f"transit switch {name} is removed; if ovnmesh ic-db was told to make it, lower --ts-count"
    )


def _apply(mesh: MeshSession, why: str, *operations: Operation) -> None:
    mesh.apply(Batch(Db.IC_NB, operations, why))


def _delete(name: str, mesh: MeshSession, force: bool) -> None:
    ts = mesh.find(name)
    if ts is None:
        return
    seen = Expect("Transit_Switch", ts.uuid, "external_ids", dict(ts.external_ids))
    row = Delete("Transit_Switch", ts.uuid)
    _apply(mesh, "remove a transit switch", *(() if force else (seen,)), row)


def _refuse_last(ts: TransitSwitch, ic: Interconnect) -> None:
    lost = without_other(ts, ic)
    if lost:
        raise OvnmeshError(
            f"transit switch {ts.name}: no other one is in service at {', '.join(lost)}; expected "
            "one, or its traffic to other sites ends. See `ovnmesh transit-switch list`, add one "
            "first, or use --force."
        )


def _not_in_service(name: str, ic: Interconnect) -> list[str]:
    ts = ic.transit_switches.get(name)
    if ts is None:
        raise OvnmeshError(f"transit switch {name} was removed meanwhile")
    states = {m.az: m.state for m in members(ts, ic) if m.managed}
    return [f"{az} ({state})" for az, state in states.items() if state != "in service"]


def _still_there(name: str, ic: Interconnect) -> list[str]:
    ts = ic.transit_switches.get(name)
    on_it = members(ts, ic) if ts is not None else ()
    return [m.az + ("" if m.managed else " (not run by ovnmesh)") for m in on_it]


def _wait(
    left: Callable[[], list[str]], timeout_s: float, step: Callable[[str], None], what: str
) -> None:
    """Wait until nobody is left, naming who is.

    Raises:
        OvnmeshError: somebody still is.
    """
    deadline = time.monotonic() + timeout_s
    while names := left():
        step(f"waiting for {', '.join(names)}")
        if time.monotonic() >= deadline:
            raise OvnmeshError(
                f"waited {timeout_s:g} s for {', '.join(names)} {what}; expected their controllers "
                "to run and their gateways to be up (ovnmesh status). A site that ovnmesh does not "
                "run must be changed by hand; for one that is gone for good: ovnmesh forget AZ"
            )
        time.sleep(POLL_S)
