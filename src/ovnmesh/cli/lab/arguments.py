"""Arguments that commands of ``ovnmesh lab`` share.

Called by the files beside it. Declares, decides nothing.
"""

from pathlib import Path
from typing import Annotated

import typer

Directory = Annotated[
    Path,
    typer.Option(
        "--dir",
        envvar="OVNMESH_LAB_DIR",
        help="The lab's run directory. Labs in different directories coexist.",
    ),
]
DIRECTORY = Path("/run/ovnmesh-lab")
SiteName = Annotated[str, typer.Argument(metavar="SITE", help="Name of the site, for example az1.")]
