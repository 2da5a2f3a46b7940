"""What a cloud answers to all of its checks together, asked once.

That it does not answer is a finding, too. Must not judge.
"""

from dataclasses import dataclass, field
from pathlib import Path

from ovnmesh.errors import ConfigError, OvnmeshError, Problem
from ovnmesh.model.finding import Code, Finding
from ovnmesh.providers.openstack.api import Api, read_neutron
from ovnmesh.providers.openstack.neutron import Neutron, NeutronRouter
from ovnmesh.providers.openstack.objects import read_security
from ovnmesh.providers.openstack.resolve import choose_routers, resolve
from ovnmesh.providers.openstack.security import Security
from ovnmesh.providers.openstack.site_file import SiteFile, read_site_file


@dataclass(frozen=True, slots=True)
class CloudAnswer:
    """One whole answer; empty where the site file keeps the site out of the mesh.

    Attributes:
        site_file: path of the site file.
        findings: what is wrong with the site file, or why the cloud does not answer.
        routers: routers of the site file.
        neutron: what Neutron shows of them.
        security: ports of the site's subnets, and their security groups.
    """

    site_file: Path
    findings: tuple[Finding, ...] = ()
    routers: tuple[NeutronRouter, ...] = ()
    neutron: Neutron = field(default_factory=Neutron)
    security: Security = field(default_factory=Security)


def ask_cloud(site_file: Path) -> CloudAnswer:
    """Read the site file and ask its cloud.

    Args:
        site_file: path of the site file.
    """
    try:
        file = read_site_file(site_file)
        return _ask(file, site_file) if file.site.config.enable_ic else CloudAnswer(site_file)
    except ConfigError as error:
        return CloudAnswer(site_file, _invalid(error.problems))
    except OvnmeshError as error:
        unreadable = Finding(Code.CONFIG_UNREADABLE, str(site_file), str(error))
        return CloudAnswer(site_file, (unreadable,))


def _ask(file: SiteFile, site_file: Path) -> CloudAnswer:
    api = Api(file.site)
    try:
        neutron = read_neutron(api, [choice.name for choice in file.site.routers])
        routers = tuple(router for router, _ in choose_routers(file, neutron)[0])
        subnets = [
            subnet
            for router in routers
            for subnet in neutron.of_router(router)
            if not subnet.opted_out
        ]
        security = read_security(api, [s.network for s in subnets], [s.id for s in subnets])
    finally:
        api.close()
    problems = _invalid(resolve(file, neutron).problems)
    return CloudAnswer(site_file, problems, routers, neutron, security)


def _invalid(problems: tuple[Problem, ...]) -> tuple[Finding, ...]:
    return tuple(Finding(Code.CONFIG_INVALID, each.where, str(each)) for each in problems)
