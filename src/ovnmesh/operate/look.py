"""What sites and the mesh look like now, to be shown.

Reads; the views say what it means. Must not judge.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from ovnmesh.access.mesh import MeshSession
from ovnmesh.access.session import Session
from ovnmesh.access.sites import SiteAddress, named_interconnect
from ovnmesh.errors import OvnmeshError
from ovnmesh.model.finding import Code, Finding
from ovnmesh.model.report import SiteState
from ovnmesh.operate.waiting import Step, wait_until_done
from ovnmesh.views.mesh_overview import MeshOverview, mesh_overview
from ovnmesh.views.site_overview import SiteOverview, site_overview

NO_CONTROLLER = Finding(
    Code.CONTROLLER_MISSING,
    "controller",
    "no ovnmesh controller runs for this site. What is shown may be out of date, and nothing is "
    "kept in order. Traffic is not affected. Start `ovnmesh controller`.",
)

#: Seconds between two looks at all sites: each connects anew.
LOOK_AGAIN_S = 0.2


def look_closely(address: SiteAddress) -> SiteOverview:
    """One site as its databases tell it.

    Raises:
        OvsdbUnavailable: its own databases do not answer.
    """
    with Session(address) as session:
        return site_overview(session.observe())


def look_at(address: SiteAddress) -> SiteOverview:
    """One site, and who keeps it in order; that it does not answer is a finding."""
    try:
        with Session(address) as session:
            seen = site_overview(session.observe())
            if seen.az and not session.has_controller():
                seen = _with(seen, NO_CONTROLLER)
            if session.ic_error:
                lost = Finding(Code.IC_UNREACHABLE, "IC-NB, IC-SB", session.ic_error)
                return _with(seen, lost)
            return seen
    except OvnmeshError as error:
        finding = Finding(Code.SITE_UNREACHABLE, address.name, str(error))
        return SiteOverview("", SiteState.UNREACHABLE, (), (), (), (finding,))


def look_at_all(addresses: Sequence[SiteAddress]) -> dict[str, SiteOverview]:
    """Several sites, by name."""
    return {address.name: look_at(address) for address in addresses}


def wait_connected(
    addresses: Sequence[SiteAddress], timeout_s: float, step: Step
) -> dict[str, SiteOverview]:
    """Several sites, once all are connected or the time is over.

    Args:
        addresses: the sites.
        timeout_s: seconds to wait at most.
        step: told who is waited for.
    """
    seen: dict[str, SiteOverview] = {}

    def pending() -> str:
        seen.update(look_at_all(addresses))
        return ", ".join(name for name, site in seen.items() if not is_connected(site))

    wait_until_done(pending, timeout_s, step, LOOK_AGAIN_S)
    return seen


def all_connected(seen: Mapping[str, SiteOverview]) -> bool:
    """Whether every site is connected."""
    return all(is_connected(site) for site in seen.values())


def is_connected(site: SiteOverview) -> bool:
    """Whether a site is healthy and sees another one."""
    peers = any(port.az != site.az for port in site.ports)
    return site.healthy and site.state is SiteState.JOINED and peers


def look_at_mesh(addresses: Sequence[SiteAddress]) -> MeshOverview | None:
    """The mesh, if the interconnection databases are named and answer."""
    ic_nb, ic_sb = named_interconnect(addresses)
    if not ic_nb:
        return None
    try:
        with MeshSession(ic_nb, ic_sb) as mesh:
            return mesh_overview(mesh.read())
    except OvnmeshError:
        return None  # the sites' own findings say so


def _with(seen: SiteOverview, finding: Finding) -> SiteOverview:
    if any(known.code == finding.code for known in seen.findings):
        return seen
    return replace(seen, findings=(*seen.findings, finding))
