"""`ovnmesh diagnose`: everything that is known to be wrong with sites, and what to do about it."""

from typing import Annotated

import typer

from ovnmesh.access.sites import complete_site, pick_sites
from ovnmesh.cli import output
from ovnmesh.cli.arguments import OutputForm, SitesFile
from ovnmesh.cli.output import Output


def diagnose(
    sites: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[SITE]...",
            help="Sites to diagnose; all by default.",
            autocompletion=complete_site,
        ),
    ] = None,
    form: OutputForm = Output.TABLE,
    sites_file: SitesFile = None,
) -> None:
    """Show everything that is wrong with sites; for OpenStack sites also ask Neutron.

    For an OpenStack site the sites file must name the site file. Neutron tells of disabled routers,
    routers without a subnet, and security groups that let nothing in from other sites.

    The exit status is 1 if any finding is an error.

    Examples: ovnmesh diagnose; ovnmesh diagnose os1 -o json
    """
    from ovnmesh.model.finding import Severity
    from ovnmesh.operate.diagnose import diagnose as find_wrong

    found = {address.name: find_wrong(address) for address in pick_sites(sites or [], sites_file)}
    if form is Output.JSON:
        output.emit_json(
            {name: [finding.to_json() for finding in each] for name, each in found.items()}
        )
    else:
        lines = [
            (name, finding.severity, finding.code, finding.message)
            for name, each in found.items()
            for finding in each
        ]
        if lines:
            output.table("Findings", ("SITE", "SEVERITY", "CODE", "WHAT"), lines)
        else:
            output.stderr().print(f"nothing is wrong with {', '.join(found) or 'no site'}")
    errors = any(f.severity is Severity.ERROR for each in found.values() for f in each)
    raise typer.Exit(1 if errors else 0)
