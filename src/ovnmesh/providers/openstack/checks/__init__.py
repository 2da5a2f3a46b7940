"""What Neutron's API shows of a site that stops traffic: one file for each check."""

from pathlib import Path

from ovnmesh.model.check import Check
from ovnmesh.providers.openstack.checks.answer import ask_cloud
from ovnmesh.providers.openstack.checks.configuration import configuration_check
from ovnmesh.providers.openstack.checks.routers import routers_check
from ovnmesh.providers.openstack.checks.security import security_check

#: In the order in which their findings are shown.
CHECKS = (configuration_check, routers_check, security_check)


def read_checks(site_file: Path) -> tuple[Check, ...]:
    """Ask a cloud once, and give the checks of its answer.

    Args:
        site_file: path of the site file.
    """
    answer = ask_cloud(site_file)
    return tuple(make(answer) for make in CHECKS)
