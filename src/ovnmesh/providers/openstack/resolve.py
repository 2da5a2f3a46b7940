"""A site file and what Neutron shows of its routers -> the state a provider reports.

Called by the provider and by `ovnmesh site validate`. Pure.
"""

from collections import Counter
from collections.abc import Iterator

from ovnmesh.config import Network, quote
from ovnmesh.config.fields import did_you_mean
from ovnmesh.errors import Problem
from ovnmesh.model.desired import Router
from ovnmesh.providers.base import ProviderState
from ovnmesh.providers.cluster import Subnet
from ovnmesh.providers.openstack.neutron import OPT_OUT_TAG, Neutron, NeutronRouter, NeutronSubnet
from ovnmesh.providers.openstack.site_file import SiteFile
from ovnmesh.providers.openstack.site_spec import RouterChoice, safe_label

_SHOWN = 8


def resolve(file: SiteFile, neutron: Neutron) -> ProviderState:
    """Find the file's routers in Neutron, with their subnets and what must stay inside.

    Args:
        file: the site file.
        neutron: what Neutron shows; not looked at if the file says to leave.
    """
    site = file.site
    if not site.config.enable_ic:
        return ProviderState(site.config, True, (), (), ())
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
    denied: dict[Network, str] = dict.fromkeys(site.deny, f"deny of {file.name}")
    subnets: list[Subnet] = []
    for router, _ in chosen:
        for subnet in neutron.external(router):
            denied.setdefault(
                subnet.cidr, f"subnet {subnet.title} of the external network of {router.title}"
            )
        subnets += (
            Subnet(subnet.title, (subnet.cidr,), _kept_out(subnet), router.ovn_name)
            for subnet in neutron.of_router(router)
        )
        subnets += (
            Subnet(f"route of {router.title}", (route,), vpc=router.ovn_name)
            for route in router.extra_routes
        )
        problems += _invisible(file, router, neutron, denied)
    subnets.sort(key=lambda each: (each.name, each.vpc, str(each.cidrs)))
    return ProviderState(
        site.config,
        True,
        tuple(subnets),
        (),
        tuple(problems),
        routers,
        denied,
        shared_database=True,
    )


def _kept_out(subnet: NeutronSubnet) -> str:
    return f"subnet {subnet.title}: tag {OPT_OUT_TAG}" if subnet.opted_out else ""


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
    file: SiteFile, router: NeutronRouter, neutron: Neutron, denied: dict[Network, str]
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
