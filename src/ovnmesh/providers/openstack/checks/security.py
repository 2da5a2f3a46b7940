"""Security groups that let nothing in from other sites, although all rows are right."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from ovnmesh.model.check import Check, Examined
from ovnmesh.model.finding import Code, Finding, Severity
from ovnmesh.model.prefixes import Prefix, minimal
from ovnmesh.providers.openstack.checks.answer import CloudAnswer
from ovnmesh.providers.openstack.security import Security
from ovnmesh.views.mesh_overview import foreign_prefixes

_SHOWN = 4


def security_check(cloud: CloudAnswer) -> Check:
    """The check, of what a cloud has answered."""

    def run(site: Examined) -> Iterator[Finding]:
        seen = site.observed
        mesh = foreign_prefixes(seen.ic, seen.nb.name) if seen is not None else ()
        yield from check_security(cloud.security, mesh, str(cloud.site_file))

    return Check("security-groups", "Do security groups let other sites in?", run)


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
            "other sites advertise. Expected: a rule of direction ingress. Add the rules: ovnmesh "
            f"openstack join {site_file} --allow-from-mesh",
            Severity.WARNING,
        )


def _some(words: Sequence[str]) -> str:
    return ", ".join(words[:_SHOWN]) + (", ..." if len(words) > _SHOWN else "")
