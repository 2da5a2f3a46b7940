"""Routers of the site file that carry nothing, although all rows are right."""

from collections.abc import Iterable, Iterator

from ovnmesh.model.check import Check, Examined
from ovnmesh.model.finding import Code, Finding, Severity
from ovnmesh.providers.openstack.checks.answer import CloudAnswer
from ovnmesh.providers.openstack.neutron import Neutron, NeutronRouter


def routers_check(cloud: CloudAnswer) -> Check:
    """The check, of what a cloud has answered."""

    def run(_: Examined) -> Iterator[Finding]:
        yield from check_routers(cloud.routers, cloud.neutron)

    return Check("routers", "Can the routers of the site file carry anything?", run)


def check_routers(routers: Iterable[NeutronRouter], neutron: Neutron) -> Iterator[Finding]:
    """Routers that carry nothing.

    Args:
        routers: those of the site file.
        neutron: what Neutron shows of them.
    """
    for router in routers:
        if not router.enabled:
            yield Finding(
                Code.ROUTER_DISABLED,
                router.title,
                f"router {router.title} is disabled in Neutron, so no traffic passes it. Enable "
                f"it: openstack router set --enable {router.title}",
                Severity.WARNING,
            )
        if not neutron.of_router(router):
            yield Finding(
                Code.ROUTER_WITHOUT_SUBNET,
                router.title,
                f"router {router.title} is attached to no subnet, so no VM reaches other sites, or "
                "is reached. Attach one: openstack router add subnet "
                f"{router.title} SUBNET",
                Severity.WARNING,
            )
