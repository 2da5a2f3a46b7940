"""Arguments that more than one command takes, so that each is named and explained the same.

Declares; decides nothing. Names of sites are completed, which looks at the sites file.
"""

from pathlib import Path
from typing import Annotated

import typer

from ovnmesh.access.sites import complete_site
from ovnmesh.cli.output import Output

SiteName = Annotated[
    str, typer.Argument(metavar="SITE", help="Name of the site.", autocompletion=complete_site)
]
NodeName = Annotated[str, typer.Argument(metavar="NODE", help="A gateway node of the site.")]
SitesFile = Annotated[
    Path | None,
    typer.Option(
        "--sites-file",
        envvar="OVNMESH_SITES",
        help="File that says where each SITE's databases are.",
    ),
]
OutputForm = Annotated[Output, typer.Option("--output", "-o", help="Format of the result.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Remove without asking.")]
LeaveAnyway = Annotated[
    bool,
    typer.Option("--force", help="Leave although the interconnection databases cannot be reached."),
]
