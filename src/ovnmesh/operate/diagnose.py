"""Everything that is known to be wrong with a site, and what to do about it.

Looks once, asks every check of `operate.checks` and those of the site's cloud, and goes on where
one of them fails.
"""

from collections.abc import Sequence

from ovnmesh.access.session import Session
from ovnmesh.access.sites import SiteAddress
from ovnmesh.errors import OvnmeshError, OvsdbUnavailable
from ovnmesh.model.check import Check, Examined
from ovnmesh.model.finding import Code, Finding
from ovnmesh.operate.checks import CHECKS


def diagnose(address: SiteAddress) -> tuple[Finding, ...]:
    """Look at a site and ask every check.

    Args:
        address: the site.

    Returns:
        What was found; of two findings about the same, the later.
    """
    return ask(examine(address), (*CHECKS, *_checks_of_cloud(address)))


def examine(address: SiteAddress) -> Examined:
    """See of a site what can be seen."""
    name = address.name
    observed, ic_error, has_controller = None, "", True
    try:
        with Session(address) as session:
            observed, ic_error = session.observe(), session.ic_error
            has_controller = session.has_controller()
    except OvsdbUnavailable as error:
        return Examined(name, observed, str(error), ic_error, has_controller)
    return Examined(name, observed, "", ic_error, has_controller)


def ask(site: Examined, checks: Sequence[Check]) -> tuple[Finding, ...]:
    """Make checks; one that fails is a finding, too.

    Args:
        site: what can be seen of the site.
        checks: the checks, in order.
    """
    found = [finding for check in checks for finding in _make(check, site)]
    # A controller and a cloud's API may have noticed the same.
    return tuple({(each.code, each.subject): each for each in found}.values())


def _make(check: Check, site: Examined) -> list[Finding]:
    try:
        return list(check.run(site))
    except OvnmeshError as error:
        said = (
            f'site {site.name}: check "{check.name}" could not be made: {error}; the other checks '
            f"were made. Mend that and run again: ovnmesh diagnose {site.name}"
        )
        return [Finding(Code.CHECK_FAILED, check.name, said)]


def _checks_of_cloud(address: SiteAddress) -> Sequence[Check]:
    if address.openstack is None:
        return ()
    from ovnmesh.providers.openstack.checks import read_checks

    return read_checks(address.openstack)
