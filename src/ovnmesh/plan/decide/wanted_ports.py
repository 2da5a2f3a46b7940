"""Which transit switches are connected in this pass, how, and which ports go.

Called by `plan.decisions`. A switch that ovn-ic has yet to make waits, and so does one whose port
has to go first because it is on another router. Must not write anything.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ovnmesh.model.addresses import Endpoint
from ovnmesh.model.observed import Observed
from ovnmesh.plan.decide.mtu import gateway_mtu
from ovnmesh.plan.decide.routers import Attachment, Attachments
from ovnmesh.plan.decide.stages import Stages, park


@dataclass(frozen=True, slots=True)
class WantedPort:
    """A port of ours as it is to be.

    Attributes:
        attachment: the transit switch, the router and the ports' names.
        endpoint: MAC and networks; those for parking where the port is to carry no traffic.
        options: options of the router port; None for one that it must not have. Others stay.
    """

    attachment: Attachment
    endpoint: Endpoint
    options: Mapping[str, str | None]


@dataclass(frozen=True, slots=True)
class WantedPorts:
    """The decision for one site.

    Attributes:
        wanted: ports to be made or mended, by transit switch.
        removed: transit switches whose port goes.
    """

    wanted: Mapping[str, WantedPort]
    removed: frozenset[str]


def decide_ports(
    observed: Observed,
    attachments: Attachments,
    stages: Stages,
    endpoints: Mapping[str, Endpoint],
    mtu_bytes: int | None,
    gateways: Sequence[str],
) -> WantedPorts:
    """Put together what is known of each transit switch.

    Args:
        observed: the site and the mesh.
        attachments: which router each is to be connected to.
        stages: where each stands.
        endpoints: our place on each.
        mtu_bytes: largest packet, as configured: None to find out, 0 for no limit.
        gateways: names of the chassis that are gateways.
    """
    nb, known = observed.nb, set(observed.ic.transit_switches)
    moved = {
        port.transit_switch
        for port in nb.tagged_ports
        if attachments.routers.get(port.transit_switch) != port.router
    }
    wanted = {
        ts: WantedPort(
            attachments.by_switch[ts],
            park(endpoint) if ts in stages.parked else endpoint,
            gateway_mtu(mtu_bytes, observed.ic.transit_switches[ts], gateways, observed),
        )
        for ts, endpoint in endpoints.items()
        if ts in nb.switches and ts not in moved
    }
    served = nb.served_switches()
    gone = served - known - set(nb.switches)
    detached = (served & known) - set(attachments.by_switch)
    return WantedPorts(wanted, frozenset(gone | detached | moved | (served & stages.leaving)))
