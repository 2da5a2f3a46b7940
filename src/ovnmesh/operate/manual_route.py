"""Manual routes of a site, added and removed.

Plans come from `plan.ask.manual_route`.
"""

from collections.abc import Callable

from ovnmesh.access.session import Session
from ovnmesh.access.sites import SiteAddress
from ovnmesh.errors import ConfigError, OvnmeshError, Problem
from ovnmesh.model.changes import Batch
from ovnmesh.model.observed import Observed
from ovnmesh.model.prefixes import Prefix, try_parse_prefix
from ovnmesh.plan.ask.manual_route import plan_route_add, plan_route_delete
from ovnmesh.views.site_overview import site_overview


def parse_route_prefix(text: str) -> Prefix:
    """The prefix of a route as somebody writes it.

    Raises:
        ConfigError: it is none.
    """
    prefix = try_parse_prefix(text)
    if prefix is None:
        raise ConfigError([Problem("PREFIX", f'"{text}"', "an IP prefix such as 10.17.0.0/24")])
    return prefix


def add_route(address: SiteAddress, prefix: Prefix, via: str) -> str:
    """Add a static route to a prefix of another site, over each transit switch.

    Args:
        address: the site that gets the route.
        prefix: where to.
        via: AZ name of the site that has the prefix.

    Returns:
        What was done; "" if there was nothing to do.

    Raises:
        OvnmeshError: the site is not connected, or cannot be reached, or has no such neighbour.
    """
    return _change(address, lambda observed: plan_route_add(observed, prefix, via))


def delete_route(address: SiteAddress, prefix: Prefix, via: str) -> str:
    """Remove a static route that was added by hand or by `add_route`; otherwise as that."""
    return _change(address, lambda observed: plan_route_delete(observed, prefix, via))


def _change(address: SiteAddress, plan: Callable[[Observed], Batch | None]) -> str:
    with Session(address) as session:
        observed = session.observe()
        if not site_overview(observed).az:
            raise OvnmeshError(
                f'site {address.name} is not connected; expected enable-ic: "true" first'
            )
        batch = plan(observed)
        if batch is None:
            return ""
        session.apply(batch)
    return batch.why
