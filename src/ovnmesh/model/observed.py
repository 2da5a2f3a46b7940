"""What a site is right now, as its databases tell it.

Put together by whoever is connected to the databases, of parts that `model.reading` builds; read by
planners, views and commands. What takes more than one database, or several rows, to tell is
resolved here, once for each observation: our port on each transit switch, the site's own networks,
what it has learned. Must not decide anything.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from ovnmesh import ovn_keys as keys
from ovnmesh.model.addresses import Address
from ovnmesh.model.capabilities import Capabilities, parse_capabilities
from ovnmesh.model.interconnect import Interconnect
from ovnmesh.model.northbound import Northbound, RouterPort
from ovnmesh.model.prefixes import Prefix, is_link_local
from ovnmesh.model.southbound import Southbound


@dataclass(frozen=True, slots=True)
class Hop:
    """Another site's address on a transit switch."""

    az: str
    switch: str


@dataclass(frozen=True, slots=True)
class Learned:
    """A prefix that this site has learned.

    Attributes:
        prefix: the prefix.
        az: the site that has it.
        switch: the transit switch by way of which that site is reached.
        hop: that site's address there.
    """

    prefix: Prefix
    az: str
    switch: str
    hop: Address


@dataclass(frozen=True)
class Observed:
    """One site and the mesh it is in.

    Attributes:
        ovn_ic: what the ovn-ic that the controller runs says of its version; "" if unknown.
        az: name after which ports are called that are ours and not tagged yet; "" for the name that
            the site has.
    """

    nb: Northbound
    sb: Southbound
    ic: Interconnect
    ovn_ic: str = ""
    az: str = ""

    @cached_property
    def capabilities(self) -> Capabilities:
        """What the site's OVN versions get wrong."""
        return parse_capabilities(self.nb.options.get(keys.NORTHD_VERSION, ""), self.ovn_ic)

    def under(self, az: str) -> "Observed":
        """The same site, whose untagged ports are called after that name."""
        return self if az == self.az else replace(self, az=az)

    @cached_property
    def ports(self) -> Mapping[str, RouterPort]:
        """Our port on each transit switch: the one tagged ours, else the one named as documented.

        The latter is to be adopted.
        """
        az = self.az or self.nb.name
        named = {ts: self.nb.named(ts, az) for ts in self.ic.transit_switches}
        return {ts: port for ts, port in named.items() if port is not None} | dict(self.nb.tagged)

    @cached_property
    def transit_ports(self) -> tuple[RouterPort, ...]:
        """All our ports on transit switches, tagged or to be adopted, each once."""
        found = (*self.nb.tagged_ports, *self.ports.values())
        return tuple({port.uuid: port for port in found}.values())

    @cached_property
    def other_ports(self) -> tuple[RouterPort, ...]:
        """Ports of the site's routers that are not our ports on transit switches."""
        transit = {port.uuid for port in self.transit_ports}
        return tuple(port for port in self.nb.router_ports if port.uuid not in transit)

    @cached_property
    def own_prefixes(self) -> frozenset[Prefix]:
        """Networks of the site's routers, without transit switches and link-local ones."""
        connected = (prefix for port in self.other_ports for prefix in port.prefixes)
        return frozenset(prefix for prefix in connected if not is_link_local(prefix))

    def carrier(self, ts: str) -> str:
        """Name of the chassis that our port on a transit switch is bound to; "" if to none."""
        port = self.ports.get(ts)
        return self.sb.active.get(port.name, "") if port is not None else ""

    @cached_property
    def hops(self) -> Mapping[Address, Hop]:
        """Addresses of other sites on the transit switches.

        From the site's own northbound database, where ovn-ic keeps a port for each (so that they
        are known while the interconnection databases do not answer), and from those.
        """
        found: dict[Address, Hop] = {}
        for port in self.nb.switch_ports.values():
            if port.endpoint is None:
                continue
            for ts in self.nb.switches:
                if port.name.startswith(f"{ts}-"):
                    hop = Hop(port.name.removeprefix(f"{ts}-"), ts)
                    found |= dict.fromkeys(port.endpoint.addresses, hop)
        for known in self.ic.ports:
            if known.az != self.nb.name and known.endpoint is not None:
                found |= dict.fromkeys(known.endpoint.addresses, Hop(known.az, known.ts))
        return found

    @cached_property
    def learned(self) -> tuple[Learned, ...]:
        """What the site has learned, as far as its learned routes are replicated."""
        return tuple(
            Learned(route.prefix, hop.az, hop.switch, route.nexthop)
            for route in self.nb.learned_routes
            if route.prefix is not None
            and route.nexthop is not None
            and (hop := self.hops.get(route.nexthop)) is not None
        )
