"""What Neutron's API shows of a site that stops traffic, although all rows are right.

Called by `ovnmesh diagnose`. Pure.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from ovnmesh.model.finding import Code, Finding, Severity
from ovnmesh.model.prefixes import Prefix, minimal
from ovnmesh.providers.openstack.neutron import Neutron, NeutronRouter
from ovnmesh.providers.openstack.security import Security

_SHOWN = 4


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
                f"router {router.title} is disabled in Neutron: nothing passes it. Expected admin "
                f"state up: openstack router set --enable {router.title}",
                Severity.WARNING,
            )
        if not neutron.of_router(router):
            yield Finding(
                Code.ROUTER_WITHOUT_SUBNET,
                router.title,
                f"router {router.title} is attached to no subnet: no VM can be reached, and none "
                "can reach other sites. Attach one: openstack router add subnet "
                f"{router.title} SUBNET",
                Severity.WARNING,
            )


def check_security(security: Security, mesh: Iterable[Prefix], site_file: str) -> Iterator[Finding]:
    """Ports that let nothing in from other sites.

    A port that lets something pass, a protocol or a part of the prefix, is taken for meant so.

    Args:
        security: the ports of the site's subnets.
        mesh: prefixes of the other sites.
        site_file: path of the site file, for the command that helps.
    """
    prefixes = minimal(mesh)
    closed: dict[frozenset[str], set[Prefix]] = defaultdict(set)
    ports: dict[frozenset[str], list[str]] = defaultdict(list)
    for port in security.ports:
        rules = [
            rule
            for group in port.groups
            if group in security.groups
            for rule in security.groups[group].rules
        ]
        shut = [prefix for prefix in prefixes if not any(rule.touches(prefix) for rule in rules)]
        if shut:
            closed[port.groups] |= set(shut)
            ports[port.groups].append(port.name or port.id)
    for groups in sorted(closed, key=sorted):
        names = sorted(
            f"{security.groups[group].name} ({group})" if group in security.groups else group
            for group in groups
        )
        title = ", ".join(names) or "no security group"
        yield Finding(
            Code.SECURITY_GROUP_CLOSED,
            title,
            f"{len(ports[groups])} ports ({_some(ports[groups])}) of security group {title} let "
            f"nothing in from {_some([str(prefix) for prefix in sorted(closed[groups])])}, which "
            "other sites advertise; expected a rule of direction ingress. Add the rules: ovnmesh "
            f"openstack join {site_file} --allow-from-mesh",
            Severity.WARNING,
        )


def _some(words: Sequence[str]) -> str:
    return ", ".join(words[:_SHOWN]) + (", ..." if len(words) > _SHOWN else "")
