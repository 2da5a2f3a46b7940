"""What a site should be: configuration and cluster facts, reduced to what the planner needs.

Built by the controller from a provider's reading; kept in the site's own northbound database
(`model.site_record`), so that a controller that starts while the input is unreadable carries on
with the last good state. Must not know where the input came from.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from ovnmesh import ovn_keys as keys
from ovnmesh.model.addresses import Address
from ovnmesh.model.denied import Reasons
from ovnmesh.model.prefixes import Prefix

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
        label: what its ports are named after: ``lrp-<label>-<ts>`` and ``lsp-<ts>-<label>``; ""
            for names after the availability zone, ``<az>-<ts>`` and ``<ts>-<az>``.
        transit_switches: the only ones it may use; empty for whichever it is given.
    """

    name: str
    label: str = ""
    transit_switches: tuple[str, ...] = ()

    def lrp_name(self, az: str, ts: str) -> str:
        """Name of its port on a transit switch."""
        return f"lrp-{self.label}-{ts}" if self.label else keys.lrp_name(az, ts)

    def lsp_name(self, az: str, ts: str) -> str:
        """Name of the transit switch's port towards it."""
        return f"lsp-{ts}-{self.label}" if self.label else keys.lsp_name(az, ts)


#: What the documents describe.
DEFAULT_POLICY = GatewayPolicy()
#: Kube-OVN's router of the default VPC (``--cluster-router``).
CLUSTER_ROUTER = Router("ovn-cluster")


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
        ic_nb: OVSDB connection methods of the interconnection northbound database.
        ic_sb: those of the interconnection southbound database.
    """

    az_name: str
    gw_nodes: tuple[str, ...]
    auto_route: bool
    denied: Reasons = field(default_factory=dict)
    local: frozenset[Prefix] = frozenset()
    gateways: GatewayPolicy = DEFAULT_POLICY
    routers: tuple[Router, ...] = (CLUSTER_ROUTER,)
    ic_nb: str = ""
    ic_sb: str = ""


def tcp_remotes(hosts: Iterable[Address], port: int) -> str:
    """OVSDB connection methods: ``tcp:192.168.65.3:6645,tcp:[fd00::1]:6645``.

    Args:
        hosts: addresses of the servers.
        port: the TCP port of all of them.
    """
    return ",".join(f"tcp:[{h}]:{port}" if h.version == 6 else f"tcp:{h}:{port}" for h in hosts)
