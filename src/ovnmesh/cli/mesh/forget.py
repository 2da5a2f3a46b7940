"""`ovnmesh forget`: what a site that is gone for good has left is removed."""

from typing import Annotated

import typer

from ovnmesh.cli import output
from ovnmesh.cli.arguments import SitesFile, Yes


def forget(
    az: Annotated[
        str, typer.Argument(metavar="AZ", help="AZ name of the site that is gone for good.")
    ],
    yes: Yes = False,
    sites_file: SitesFile = None,
) -> None:
    """Remove what a site that is gone for good has left in the interconnection databases.

    The other sites then withdraw its routes, and its name is free. First make sure that no ovn-ic
    of that site runs: it would write its rows again.

    Example: ovnmesh forget az3
    """
    from ovnmesh.access.mesh import open_mesh
    from ovnmesh.operate.forget import count_leftovers, find_leftovers
    from ovnmesh.operate.forget import forget as remove

    with open_mesh(sites_file) as mesh:
        batches = find_leftovers(mesh, az)
        if not batches:
            output.stderr().print(f"nothing is left of {az}; nothing to do")
            return
        if not yes:
            asked = f"Remove {count_leftovers(batches)} rows and claims of {az}?"
            typer.confirm(asked, abort=True, err=True)
        remove(mesh, batches)
    output.stderr().print(f"{az} is forgotten")
