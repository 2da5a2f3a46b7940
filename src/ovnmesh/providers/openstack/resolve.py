"""A site file and what Neutron shows of its routers -> the wish that they express.

Called by the provider and by `ovnmesh site validate`. Pure.
"""

from collections import Counter
from collections.abc import Collection, Iterator

from ovnmesh.config import quote
from ovnmesh.config.fields import did_you_mean
from ovnmesh.errors import Problem
from ovnmesh.model.addresses import Network
from ovnmesh.model.denied import collect_reasons
from ovnmesh.model.desired import Router
from ovnmesh.model.prefixes import from_network
from ovnmesh.providers.base import Wish
from ovnmesh.providers.openstack.neutron import OPT_OUT_TAG, Neutron, NeutronRouter
from ovnmesh.providers.openstack.site_file import SiteFile
from ovnmesh.providers.openstack.site_spec import RouterChoice, safe_label

_SHOWN = 8


def resolve(file: SiteFile, neutron: Neutron) -> Wish:
    """Find the file's routers in Neutron, with their subnets and what must stay inside.

    Args:
        file: the site file.
        neutron: what Neutron shows; not looked at if the file says to leave.
    """
    site = file.site
    if not site.config.enable_ic:
        return Wish(config=site.config)
    chosen, problems = choose_routers(file, neutron)
    names = Counter(router.name for router, _ in chosen)
    routers = tuple(
        Router(
            router.ovn_name,
            router.name if names[router.name] == 1 and safe_label(router.name) else router.id,
            choice.transit_switches,
        )
        for router, choice in chosen
    )
    local: list[tuple[Network, str]] = []
    denied = [(network, f"deny of {file.name}") for network in site.deny]
    for router, _ in chosen:
        denied += (
            (subnet.cidr, f"subnet {subnet.title} of the external network of {router.title}")
            for subnet in neutron.external(router)
        )
        for subnet in neutron.of_router(router):
            if subnet.opted_out:
                denied.append((subnet.cidr, f"subnet {subnet.title}: tag {OPT_OUT_TAG}"))
            else:
                local.append((subnet.cidr, f"subnet {subnet.title}"))
        local += ((route, f"route of {router.title}") for route in router.extra_routes)
    networks = [network for network, _ in denied]
    for router, _ in chosen:
        problems += _invisible(file, router, neutron, networks)
    return Wish(
        config=site.config,
        routers=routers,
        local=collect_reasons((from_network(network), what) for network, what in local),
        denied=collect_reasons((from_network(network), why) for network, why in denied),
        shared_database=True,
        problems=tuple(problems),
    )


def choose_routers(
    file: SiteFile, neutron: Neutron
) -> tuple[list[tuple[NeutronRouter, RouterChoice]], list[Problem]]:
    """The router that each entry of the file means, and what is wrong with the other entries."""
    chosen: dict[str, tuple[NeutronRouter, RouterChoice]] = {}
    problems: list[Problem] = []
    where = file.place("routers")
    for choice in file.site.routers:
        by_id = [router for router in neutron.routers if router.id == choice.name]
        found = by_id or [router for router in neutron.routers if router.name == choice.name]
        if len(found) > 1:
            ids = ", ".join(sorted(router.id for router in found))
            said = f"{quote(choice.name)}, a name of {len(found)} routers ({ids})"
            problems.append(Problem(where, said, "the id of the one that is meant"))
        elif not found:
            said = f"{quote(choice.name)}, which is no router of cloud {quote(file.site.cloud)}"
            problems.append(Problem(where, said, _existing(choice.name, neutron)))
        elif found[0].id in chosen:
            other = chosen[found[0].id][1].name
            said = f"{quote(choice.name)}, the same router as {quote(other)}"
            problems.append(Problem(where, said, "each router only once"))
        else:
            chosen[found[0].id] = (found[0], choice)
    return list(chosen.values()), problems


def _existing(name: str, neutron: Neutron) -> str:
    names = sorted({*neutron.other_routers, *(router.title for router in neutron.routers)})
    some = ", ".join(quote(each) for each in names[:_SHOWN])
    some += ", ..." if len(names) > _SHOWN else ""
    visible = "a router that this user may see (`openstack router list`)"
    if not names:
        return f"{visible}; there is none"
    return f"{visible}: {did_you_mean(name, names) or f'one of {some}'}"


def _invisible(
    file: SiteFile, router: NeutronRouter, neutron: Neutron, denied: Collection[Network]
) -> Iterator[Problem]:
    """What a user with too few rights does not see, and must not be guessed."""
    where = file.place("cloud")
    for subnet in neutron.interfaces.get(router.id, ()):
        if subnet not in neutron.subnets:
            yield Problem(
                where,
                f"a user who may not see subnet {subnet} of router {quote(router.title)}",
                "the role reader in the project that owns the subnet, or in all",
            )
    for address, subnet in router.external_addresses:
        if not any(address in network for network in denied):
            yield Problem(
                where,
                f"a user who may not see subnet {subnet} of the external network of router "
                f"{quote(router.title)}",
                f"its network, which has {address}, in the list `deny`; or a role that may see it",
            )
