"""Security groups and routers in Neutron: read, made, removed.

Called by `ovnmesh openstack` and `ovnmesh diagnose`. Makes and removes one object at a time, each
with our mark as its description. Must not decide.
"""

import ipaddress
from collections.abc import Iterable, Iterator
from typing import Any

from openstack import exceptions as sdk

from ovnmesh.model.prefixes import Prefix, from_network
from ovnmesh.providers.openstack.api import Api, asking, listed
from ovnmesh.providers.openstack.security import SecuredPort, Security, SecurityGroup, SecurityRule

# Ports of Neutron itself, such as routers', which it does not filter.
_OWN_PORTS = ("network:", "neutron:")


def read_security(api: Api, networks: Iterable[str], subnets: Iterable[str]) -> Security:
    """What filters traffic to some subnets.

    Args:
        api: the cloud.
        networks: ids of the subnets' networks.
        subnets: ids of the subnets.

    Raises:
        ProviderError: Neutron cannot be asked.
    """
    with asking(api) as network:
        ports = tuple(_ports(network, sorted(set(networks)), set(subnets)))
        ids = sorted({group for port in ports for group in port.groups})
        rules = list(_rules(network, security_group_id=ids))
        groups = {
            each.id: SecurityGroup(
                each.id, each.name or "", tuple(rule for rule in rules if rule.group == each.id)
            )
            for each in listed(network.security_groups, "id", ids, fields=["id", "name"])
        }
    return Security(ports, groups)


def read_own_rules(api: Api, mark: str) -> tuple[SecurityRule, ...]:
    """Every rule that bears our mark.

    Raises:
        ProviderError: Neutron cannot be asked.
    """
    with asking(api) as network:
        return tuple(_rules(network, description=[mark]))


def _ports(network: Any, networks: list[str], subnets: set[str]) -> Iterator[SecuredPort]:
    for port in listed(network.ports, "network_id", networks):
        inside = frozenset(fixed["subnet_id"] for fixed in port.fixed_ips or ()) & subnets
        filtered = port.is_port_security_enabled is not False
        if inside and filtered and not (port.device_owner or "").startswith(_OWN_PORTS):
            groups = frozenset(port.security_group_ids or ())
            yield SecuredPort(port.id, port.name or "", inside, groups)


def _rules(network: Any, **wanted: list[str]) -> Iterator[SecurityRule]:
    ((key, values),) = wanted.items()
    for each in listed(network.security_group_rules, key, values, direction="ingress"):
        source = each.remote_ip_prefix
        yield SecurityRule(
            each.id,
            each.security_group_id,
            6 if each.ether_type == "IPv6" else 4,
            from_network(ipaddress.ip_network(source, strict=False)) if source else None,
            each.protocol or "",
            bool(each.remote_group_id),
            each.description or "",
        )


def create_rule(api: Api, group: str, source: Prefix, mark: str) -> None:
    """Let a security group take everything from a prefix; one that is there already will do.

    Raises:
        ProviderError: Neutron refuses, or cannot be asked.
    """
    with asking(api) as network:
        try:
            network.create_security_group_rule(
                security_group_id=group,
                direction="ingress",
                ether_type=f"IPv{source.version}",
                remote_ip_prefix=str(source),
                description=mark,
            )
        except sdk.ConflictException:
            return


def delete_rule(api: Api, rule: SecurityRule) -> None:
    """Remove a rule; one that is gone already will do.

    Raises:
        ProviderError: Neutron refuses, or cannot be asked.
    """
    with asking(api) as network:
        network.delete_security_group_rule(rule.id, ignore_missing=True)


def create_router(api: Api, name: str, mark: str) -> None:
    """Make a router.

    Raises:
        ProviderError: Neutron refuses, or cannot be asked.
    """
    with asking(api) as network:
        network.create_router(name=name, description=mark)


def read_own_routers(api: Api, mark: str) -> tuple[tuple[str, str], ...]:
    """Id and name of every router that bears our mark.

    Raises:
        ProviderError: Neutron cannot be asked.
    """
    with asking(api) as network:
        # Neutron filters by description; openstacksdk does not know that it can.
        return tuple(
            (each.id, each.name or "")
            for each in network.routers(fields=["id", "name", "description"])
            if each.description == mark
        )


def delete_router(api: Api, router: str) -> bool:
    """Remove a router unless something is attached to it.

    Returns:
        Whether it is gone.

    Raises:
        ProviderError: Neutron refuses, or cannot be asked.
    """
    with asking(api) as network:
        found = network.find_router(router, ignore_missing=True)
        if found is None:
            return True
        if found.external_gateway_info or any(network.ports(device_id=router)):
            return False
        try:
            network.delete_router(found, ignore_missing=True)
        except sdk.ConflictException:
            return False
    return True
