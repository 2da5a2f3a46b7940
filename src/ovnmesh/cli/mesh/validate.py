"""`ovnmesh site`: the configuration of a site, before a controller sees it."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ovnmesh.cli import output
from ovnmesh.cli.arguments import OutputForm
from ovnmesh.cli.output import Output

if TYPE_CHECKING:
    from ovnmesh.operate.validate import Verdict

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Check the configuration of a site.",
    epilog="Example: ovnmesh site validate /etc/ovnmesh/site",
)


@app.callback()
def _group() -> None:
    """Keeps `validate` a command of its own while there is no other."""


@app.command(epilog="Example: ovnmesh site validate /etc/ovnmesh/openstack.yaml --cloud")
def validate(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE...", help="Site files of OpenStack clouds, or folders of manifests."
        ),
    ],
    cloud: Annotated[
        bool, typer.Option("--cloud", help="Also ask the cloud for routers, subnets and rights.")
    ] = False,
    form: OutputForm = Output.TABLE,
) -> None:
    """Check site files and folders of manifests as the controller would; change nothing.

    The exit status is 2 if anything is wrong, 1 if a cloud cannot be asked.
    """
    from ovnmesh.operate.validate import judge

    verdicts = [judge(path, cloud) for path in files]
    if form is Output.JSON:
        output.emit_json([_to_json(verdict) for verdict in verdicts])
    else:
        _print(verdicts, cloud)
    wrong = any(verdict.problems for verdict in verdicts)
    raise typer.Exit(2 if wrong else 1 if any(verdict.error for verdict in verdicts) else 0)


def _print(verdicts: "list[Verdict]", cloud: bool) -> None:
    output.table(
        "Sites",
        ("FILE", "AZ", "VERDICT"),
        ((verdict.path, verdict.az, verdict.word) for verdict in verdicts),
    )
    routers = [
        (v.az, router.ports_named_after, router.name, ",".join(router.transit_switches) or "any")
        for v in verdicts
        for router in v.named_routers
    ]
    if routers:
        columns = ("AZ", "ROUTER", "LOGICAL ROUTER", "TRANSIT SWITCHES")
        output.table("Routers", columns, routers)
    networks = [(v.az, x.network, x.state, x.what) for v in verdicts for x in v.networks]
    if networks and cloud:
        output.table("Networks", ("AZ", "NETWORK", "STATE", "WHAT"), networks)
    for verdict in verdicts:
        folder = f"{verdict.path}: " if verdict.path.is_dir() else ""
        for said in (*map(str, verdict.problems), verdict.error):
            if said:
                output.stderr().print(said if said.startswith(folder) else f"{folder}{said}")


def _to_json(verdict: "Verdict") -> dict[str, Any]:
    return {
        "file": str(verdict.path),
        "az": verdict.az,
        "verdict": verdict.word,
        "problems": [
            {"where": each.where, "found": each.found, "expected": each.expected}
            for each in verdict.problems
        ],
        "error": verdict.error,
        "routers": [
            {
                "label": r.ports_named_after,
                "logical_router": r.name,
                "transit_switches": r.transit_switches,
            }
            for r in verdict.named_routers
        ],
        "networks": [asdict(line) for line in verdict.networks],
    }
