"""What `ovnmesh lab` asks about OpenStack sites: options of ``lab up``, and ``lab install``.

Called by `lab`. Reads arguments, calls `ovnmesh.lab`, prints.
"""

from pathlib import Path
from typing import Annotated

import typer

from ovnmesh.cli import output
from ovnmesh.lab.openstack import install
from ovnmesh.lab.values.spec import LabSpec, with_openstack

OpenStackNames = Annotated[
    list[str] | None,
    typer.Option(
        "--openstack",
        metavar="NAME",
        help="Also start an OpenStack site of this name; may be repeated, or name several, "
        "separated by commas. The first use installs MariaDB and Neutron.",
    ),
]
Keystone = Annotated[bool, typer.Option("--keystone", help="Give OpenStack sites a real Keystone.")]
Cache = Annotated[
    Path,
    typer.Option(
        "--cache",
        envvar=install.CACHE_VARIABLE,
        help="Folder in which OpenStack is installed, once.",
    ),
]


def add_openstack(spec: LabSpec, names: list[str] | None, *, keystone: bool) -> LabSpec:
    """Add the sites that options name to a topology."""
    if not names and not keystone:
        return spec
    split = [name.strip() for value in names or () for name in value.split(",")]
    return with_openstack(spec, split, keystone=keystone)


def install_openstack(keystone: Keystone = False, cache: Cache = install.CACHE) -> None:
    """Install what OpenStack sites need, as the first `lab up --openstack` would."""
    with output.progress("lab install") as step:
        installed = install.ensure_installed(cache, keystone=keystone, progress=step)
    output.stderr().print(f"installed: {installed.venv}")
