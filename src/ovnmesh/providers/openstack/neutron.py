"""What Neutron's API shows of the routers of a site.

Made by `providers.openstack`; judged there and by `providers.openstack.checks`. Plain values: must
not know how they were read, nor what a site wants.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from ovnmesh.model.addresses import Address, Network

#: Tag on a subnet that is to be kept from the other sites.
OPT_OUT_TAG = "ovnmesh-no-interconnection"


@dataclass(frozen=True, slots=True)
class NeutronRouter:
    """A router.

    Attributes:
        id: its id.
        name: its name; neither set nor unique of necessity.
        enabled: its admin state.
        external_network: id of the network of its external gateway, "" without one.
        external_addresses: its addresses there, each with the id of its subnet.
        extra_routes: destinations of its extra routes, which OVN advertises like its subnets.
    """

    id: str
    name: str
    enabled: bool = True
    external_network: str = ""
    external_addresses: tuple[tuple[Address, str], ...] = ()
    extra_routes: tuple[Network, ...] = ()

    @property
    def ovn_name(self) -> str:
        """Name of its Logical_Router (neutron.common.ovn.utils.ovn_name)."""
        return f"neutron-{self.id}"

    @property
    def title(self) -> str:
        """What people call it."""
        return self.name or self.id


@dataclass(frozen=True, slots=True)
class NeutronSubnet:
    """A subnet.

    Attributes:
        id: its id.
        name: its name, which may be empty.
        cidr: its addresses.
        network: id of its network.
        opted_out: whether it is to be kept from the other sites.
    """

    id: str
    name: str
    cidr: Network
    network: str
    opted_out: bool = False

    @property
    def title(self) -> str:
        """What people call it."""
        return self.name or self.id


@dataclass(frozen=True, slots=True)
class Neutron:
    """One reading of the API.

    Attributes:
        routers: every router that bears a name or id that was asked for.
        interfaces: ids of the subnets each router has a port on, by router id, sorted.
        subnets: those subnets, and the ones of the routers' external networks, by id; those that
            the user may not see are left out.
        other_routers: names of further routers; only read if one was not found.
    """

    routers: tuple[NeutronRouter, ...] = ()
    interfaces: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    subnets: Mapping[str, NeutronSubnet] = field(default_factory=dict)
    other_routers: tuple[str, ...] = ()

    def of_router(self, router: NeutronRouter) -> tuple[NeutronSubnet, ...]:
        """The subnets that a router is attached to, those that can be seen."""
        ids = self.interfaces.get(router.id, ())
        return tuple(self.subnets[each] for each in ids if each in self.subnets)

    def external(self, router: NeutronRouter) -> tuple[NeutronSubnet, ...]:
        """The subnets of a router's external network, those that can be seen."""
        return tuple(
            subnet
            for subnet in self.subnets.values()
            if router.external_network and subnet.network == router.external_network
        )
