"""What a pass of the controller, or a look of an agent, found and did, for whoever wants to know.

Made by the reconciler and by the agent; read by metrics, by providers that publish it, and by
tests. Must not know who listens.
"""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

from ovnmesh.model.finding import Finding
from ovnmesh.model.paths import ChassisReport


class SiteState(enum.StrEnum):
    """Where a site stands, in the words of `ovnmesh status` (docs/troubleshooting.md, States)."""

    #: Not connected, and not meant to be.
    IDLE = "idle"
    #: Changes are being made, or ovn-ic has yet to do its part.
    JOINING = "joining"
    #: As the configuration says; nothing to do.
    JOINED = "joined"
    #: On the way out.
    LEAVING = "leaving"
    #: Nothing may be done until somebody acts.
    REFUSED = "refused"
    #: A database does not answer.
    DISCONNECTED = "disconnected"
    #: Another controller acts for the site.
    STANDBY = "standby"
    #: The first connection is being made.
    CONNECTING = "connecting"
    #: A pass failed.
    ERROR = "error"
    #: Whoever asks cannot reach the site's own databases.
    UNREACHABLE = "unreachable"
    #: The record of the state cannot be read.
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class SiteView:
    """The site and its place in the mesh, in few words.

    Attributes:
        az: AZ name, "" if the site is not joined.
        gateways: nodes that are, or are about to be, marked as gateways, sorted.
        active: nodes that carry the traffic, sorted.
        peers: other availability zones that have a port on a transit switch, sorted.
        advertised: routes of this AZ in IC-SB.
        remote: routes of other AZs in IC-SB.
    """

    az: str = ""
    gateways: tuple[str, ...] = ()
    active: tuple[str, ...] = ()
    peers: tuple[str, ...] = ()
    advertised: int = 0
    remote: int = 0


@dataclass(frozen=True, slots=True)
class PassReport:
    """One pass.

    Attributes:
        state: where the site stands.
        findings: what is worth telling.
        transactions: transactions made.
        duration_s: how long the pass took, in seconds.
        connected: whether each database answers, by schema name.
        input_ok: whether the input was usable.
        ovn_ic_restarts: how often ovn-ic died and was started again.
        view: the site as it was when the pass began; None if it could not be seen whole.
        acting: whether this controller is the one that acts for the site, or was when it lost the
            northbound database, whose lock decides.
    """

    state: SiteState
    findings: tuple[Finding, ...]
    transactions: int = 0
    duration_s: float = 0.0
    connected: Mapping[str, bool] = field(default_factory=dict)
    input_ok: bool = True
    ovn_ic_restarts: int = 0
    view: SiteView | None = None
    acting: bool = False


@dataclass(frozen=True, slots=True)
class NodeView:
    """A node as its agent sees it.

    Attributes:
        marked: whether its chassis is marked as interconnection gateway.
        report: its paths and the MTU of its tunnels, as they are now; empty if it is no gateway.
        hostnames: host name of each chassis, by chassis name.
    """

    marked: bool
    report: ChassisReport = field(default_factory=ChassisReport)
    hostnames: Mapping[str, str] = field(default_factory=dict)
