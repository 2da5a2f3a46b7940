"""What a site should be: configuration and cluster facts, reduced to what the planner needs.

Built by the controller from a provider's reading; kept, as JSON, in the site's own northbound
database, so that a controller that starts while the input is unreadable carries on with the last
good state. Must not know where the input came from.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from ovnmesh import ovn_keys as keys
from ovnmesh.model.prefixes import Prefix, parse_prefix

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
        denied: prefixes never to be advertised or learned, each with the reason.
        local: prefixes of the cluster's own subnets, whether or not OVN has them yet.
        data: the ``ovn-ic-config`` data this came from, for the record.
        gateways: how gateways serve.
        routers: logical routers to connect.
    """

    az_name: str
    gw_nodes: tuple[str, ...]
    auto_route: bool
    denied: Mapping[Prefix, str] = field(default_factory=dict)
    local: frozenset[Prefix] = frozenset()
    data: Mapping[str, str] = field(default_factory=dict)
    gateways: GatewayPolicy = DEFAULT_POLICY
    routers: tuple[Router, ...] = (CLUSTER_ROUTER,)


def encode_desired(desired: Desired) -> str:
    """The record of a wish as compact, stable JSON."""
    record: dict[str, object] = {
        "config": dict(sorted(desired.data.items())),
        "denied": {str(prefix): why for prefix, why in sorted(desired.denied.items())},
        "local": [str(prefix) for prefix in sorted(desired.local)],
    }
    if any(router.label for router in desired.routers):
        record["routers"] = [
            [router.name, router.label, *router.transit_switches] for router in desired.routers
        ]
    return json.dumps(record, separators=(",", ":"), sort_keys=True)


@dataclass(frozen=True, slots=True)
class SiteRecord:
    """The last good state as read back from the database.

    Attributes:
        routers: empty for the one that the command line names.
    """

    data: Mapping[str, str]
    denied: Mapping[Prefix, str]
    local: frozenset[Prefix]
    routers: tuple[Router, ...] = ()


def decode_record(raw: str) -> SiteRecord | None:
    """Read what `encode_desired` wrote; None if it is missing or not ours."""
    try:
        found = json.loads(raw)
        return SiteRecord(
            {str(k): str(v) for k, v in found["config"].items()},
            {parse_prefix(k): str(v) for k, v in found["denied"].items()},
            frozenset(parse_prefix(p) for p in found["local"]),
            tuple(
                Router(str(name), str(label), tuple(map(str, switches)))
                for name, label, *switches in found.get("routers", ())
            ),
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
