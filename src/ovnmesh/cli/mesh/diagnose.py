"""`ovnmesh diagnose`: everything that is known to be wrong with sites, and what to do about it.

Called by `cli.main`. Findings come from `views`; this collects and shows them, and goes on where
one source does not answer.
"""

from typing import Annotated

import typer

from ovnmesh.access.session import Session
from ovnmesh.access.sites import SiteAddress, complete_site, pick_sites
from ovnmesh.cli import output
from ovnmesh.cli.arguments import OutputForm, SitesFile
from ovnmesh.cli.mesh.status import NO_CONTROLLER
from ovnmesh.cli.output import Output
from ovnmesh.errors import ConfigError, OvnmeshError, OvsdbUnavailable, ProviderError
from ovnmesh.model.finding import Code, Finding, Severity
from ovnmesh.model.prefixes import Prefix
from ovnmesh.providers.openstack.checks import check_routers, check_security
from ovnmesh.views.site import overview


def diagnose(
    sites: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[SITE]...",
            help="Sites to diagnose; all by default.",
            autocompletion=complete_site,
        ),
    ] = None,
    form: OutputForm = Output.TABLE,
    sites_file: SitesFile = None,
) -> None:
    """Show everything that is wrong with sites; for OpenStack sites also ask Neutron.

    For an OpenStack site the sites file must name the site file. Neutron tells of disabled routers,
    routers without a subnet, and security groups that let nothing in from other sites.

    The exit status is 1 if any finding is an error.

    Examples: ovnmesh diagnose; ovnmesh diagnose os1 -o json
    """
    found = {address.name: _judge(address) for address in pick_sites(sites or [], sites_file)}
    if form is Output.JSON:
        output.emit_json(
            {name: [finding.to_json() for finding in each] for name, each in found.items()}
        )
    else:
        lines = [
            (name, finding.severity, finding.code, finding.message)
            for name, each in found.items()
            for finding in each
        ]
        if lines:
            output.table("Findings", ("SITE", "SEVERITY", "CODE", "WHAT"), lines)
        else:
            output.stderr().print(f"nothing is wrong with {', '.join(found) or 'no site'}")
    errors = any(f.severity is Severity.ERROR for each in found.values() for f in each)
    raise typer.Exit(1 if errors else 0)


def _judge(address: SiteAddress) -> list[Finding]:
    findings: list[Finding] = []
    mesh: tuple[Prefix, ...] = ()
    try:
        with Session(address) as session:
            observed = session.observe()
            findings += overview(observed).findings
            az = observed.nb.name
            mesh = tuple(sorted({r.prefix for r in observed.ic.routes if r.az != az}))
            if session.ic_error:
                said = f"{session.ic_error}; nothing is known of other sites"
                findings.append(Finding(Code.IC_UNREACHABLE, address.name, said))
            if not session.has_controller():
                findings.append(NO_CONTROLLER)
    except OvsdbUnavailable as error:
        findings.append(Finding(Code.SITE_UNREACHABLE, address.name, str(error)))
    if address.openstack is not None:
        findings += _ask_cloud(address, mesh)
    # The controller and the API may have noticed the same.
    return list({(each.code, each.subject): each for each in findings}.values())


def _ask_cloud(address: SiteAddress, mesh: tuple[Prefix, ...]) -> list[Finding]:
    """What the API shows; that it does not answer is a finding, too."""
    from ovnmesh.providers.openstack.api import Api, read_neutron
    from ovnmesh.providers.openstack.objects import read_security
    from ovnmesh.providers.openstack.resolve import choose_routers, resolve
    from ovnmesh.providers.openstack.site_file import read_site_file

    path = address.openstack
    assert path is not None
    try:
        file = read_site_file(path)
        if not file.site.config.enable_ic:
            return []
        api = Api(file.site)
        try:
            neutron = read_neutron(api, [choice.name for choice in file.site.routers])
            routers = [router for router, _ in choose_routers(file, neutron)[0]]
            subnets = [
                subnet
                for router in routers
                for subnet in neutron.of_router(router)
                if not subnet.opted_out
            ]
            security = read_security(api, [s.network for s in subnets], [s.id for s in subnets])
        finally:
            api.close()
    except ConfigError as error:
        return [
            Finding(Code.CONFIG_INVALID, problem.where, str(problem)) for problem in error.problems
        ]
    except (ProviderError, OvnmeshError) as error:
        return [Finding(Code.CONFIG_UNREADABLE, str(path), str(error))]
    problems = resolve(file, neutron).problems
    return [
        *(Finding(Code.CONFIG_INVALID, problem.where, str(problem)) for problem in problems),
        *check_routers(routers, neutron),
        *check_security(security, mesh, str(path)),
    ]
