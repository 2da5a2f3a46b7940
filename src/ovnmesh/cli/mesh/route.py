"""`ovnmesh route`: manual routes, for sites whose auto-route is "false"."""

from typing import Annotated

import typer

from ovnmesh.access.sites import pick_sites
from ovnmesh.cli import output
from ovnmesh.cli.arguments import SiteName, SitesFile

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Add and remove manual routes to other sites.",
    epilog="Example: ovnmesh route add az1 10.17.0.0/24 --via az2",
)

Prefix_ = Annotated[
    str, typer.Argument(metavar="PREFIX", help="Remote prefix, for example 10.17.0.0/24.")
]
Via = Annotated[str, typer.Option(help="AZ name of the site that has the prefix.")]


@app.command("add", epilog="Example: ovnmesh route add az1 10.17.0.0/24 --via az2")
def route_add(site: SiteName, prefix: Prefix_, via: Via, sites_file: SitesFile = None) -> None:
    """Add a static route to a prefix of another site, over each transit switch.

    The next hop is that site's address on the switch. Add a route back in the other site too. Use
    this where auto-route is "false"; with auto-route "true" the manual route replaces the learned
    one.
    """
    from ovnmesh.operate.manual_route import add_route, parse_route_prefix

    found = parse_route_prefix(prefix)
    (address,) = pick_sites([site], sites_file)
    _tell(add_route(address, found, via), "is there already", found, via)


@app.command("del", epilog="Example: ovnmesh route del az1 10.17.0.0/24 --via az2")
def route_del(site: SiteName, prefix: Prefix_, via: Via, sites_file: SitesFile = None) -> None:
    """Remove a manual route, whether `route add` or a hand has added it."""
    from ovnmesh.operate.manual_route import delete_route, parse_route_prefix

    found = parse_route_prefix(prefix)
    (address,) = pick_sites([site], sites_file)
    _tell(delete_route(address, found, via), "does not exist", found, via)


def _tell(done: str, otherwise: str, prefix: object, via: str) -> None:
    if done:
        output.stderr().print(f"{done}: {prefix} via {via}")
    else:
        output.stderr().print(f"route {prefix} via {via} {otherwise}; nothing to do")
