"""`ovnmesh leave`: a site leaves the mesh."""

from ovnmesh.access.sites import pick_sites
from ovnmesh.cli import output
from ovnmesh.cli.arguments import LeaveAnyway, SiteName, SitesFile


def leave(
    site: SiteName,
    force: LeaveAnyway = False,
    sites_file: SitesFile = None,
) -> None:
    """Take a site out of the mesh, and put its databases back as they were before it joined.

    If the sites file names the site's folder of manifests or its site file, the command sets
    enable-ic to false there, and the running controller leaves. If no controller runs, the command
    leaves by itself. Traffic inside the site, and between the other sites, is not touched.

    Example: ovnmesh leave az1
    """
    from ovnmesh.operate.leave import leave as leave_site

    (address,) = pick_sites([site], sites_file)
    with output.progress(f"leave {site}") as step:
        left = leave_site(address, force, step)
    output.stderr().print(str(left))
