"""What a site should be: configuration and cluster facts, reduced to what the planner needs.

Built by the controller from a provider's reading; kept in the site's own northbound database
(`model.site_record`), so that a controller that starts while the input is unreadable carries on
with the last good state. Must not know where the input came from.
"""

from dataclasses import dataclass, field

from ovnmesh import ovn_keys as keys
from ovnmesh.model.denied import Reasons
from ovnmesh.model.prefixes import Prefix
from ovnmesh.model.remote import NOWHERE, Remote

#: BFD timers with which a gateway's death is noticed after 0.3 s; shorter ones flap where gateways
#: share busy processors (measured: docs/benchmarks.md).
BFD_INTERVAL_MS = 100
BFD_MULT = 3


@dataclass(frozen=True, slots=True)
class GatewayPolicy:
    """How gateways serve.

    Attributes:
        active_active: spread the transit switches over the gateways.
        preempt: let a gateway that returns take over what it had.
        bfd_min_rx_ms: shortest interval at which a gateway wants to receive BFD packets.
        bfd_min_tx_ms: shortest interval at which it sends them.
        bfd_mult: missed packets after which a gateway counts as dead.
        mtu_bytes: largest packet towards other sites; None to find out, 0 not to limit it.
    """

    active_active: bool = False
    preempt: bool = False
    bfd_min_rx_ms: int = BFD_INTERVAL_MS
    bfd_min_tx_ms: int = BFD_INTERVAL_MS
    bfd_mult: int = BFD_MULT
    mtu_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Router:
    """A logical router of the site that is to be connected.

    Attributes:
        name: its name in the northbound database, such as ``ovn-cluster`` or ``neutron-<id>``.
        ports_named_after: ``x`` for ports ``lrp-x-<ts>`` and ``lsp-<ts>-x``; "" for ports named
            after the availability zone, ``<az>-<ts>`` and ``<ts>-<az>``.
        transit_switches: the only ones it may use; empty for whichever it is given.
        bypass_policy: whether traffic has to be let past policies of its own, as Kube-OVN's
            gateways have (`ovn_keys.POLICY_PRIORITY`).
    """

    name: str
    ports_named_after: str = ""
    transit_switches: tuple[str, ...] = ()
    bypass_policy: bool = False

    @property
    def title(self) -> str:
        """What people call it."""
        return self.ports_named_after or self.name

    def lrp_name(self, az: str, ts: str) -> str:
        """Name of its port on a transit switch."""
        after = self.ports_named_after
        return f"lrp-{after}-{ts}" if after else keys.lrp_name(az, ts)

    def lsp_name(self, az: str, ts: str) -> str:
        """Name of the transit switch's port towards it."""
        after = self.ports_named_after
        return f"lsp-{ts}-{after}" if after else keys.lsp_name(az, ts)


#: What the documents describe.
DEFAULT_POLICY = GatewayPolicy()


@dataclass(frozen=True, slots=True)
class Desired:
    """The wish for one site.

    Attributes:
        az_name: availability zone name.
        gw_nodes: gateway nodes, most preferred first.
        auto_route: advertise and learn routes.
        denied: prefixes never to be advertised or learned, each with the reasons.
        local: prefixes of the cluster's own subnets, whether or not OVN has them yet.
        gateways: how gateways serve.
        routers: logical routers to connect.
        shared_database: whether strangers' routers are in the northbound database as well: their
            networks, and routes that somebody wrote, may be the site's own by their looks only,
            and what ovn-ic left on routers may have been changed meanwhile.
        ic_nb: where the interconnection northbound database is.
        ic_sb: the same, southbound.
    """

    az_name: str
    gw_nodes: tuple[str, ...]
    auto_route: bool
    denied: Reasons = field(default_factory=dict)
    local: frozenset[Prefix] = frozenset()
    gateways: GatewayPolicy = DEFAULT_POLICY
    routers: tuple[Router, ...] = ()
    shared_database: bool = False
    ic_nb: Remote = NOWHERE
    ic_sb: Remote = NOWHERE
