"""What a pass of the controller found and did, for whoever wants to know.

Made by the reconciler; read by metrics and tests. Must not know who listens.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from ovnmesh.model.finding import Finding


@dataclass(frozen=True, slots=True)
class PassReport:
    """One pass.

    Attributes:
        state: "idle", "joined", "joining", "leaving", "refused", "standby", "connecting",
            "disconnected" or "error".
        findings: what is worth telling.
        transactions: transactions made.
        duration_s: how long the pass took, in seconds.
        connected: whether each database answers, by schema name.
        input_ok: whether the input was usable.
        ovn_ic_restarts: how often ovn-ic died and was started again.
        routes: routes in IC-SB: "advertised" by this AZ and by "remote" ones.
    """

    state: str
    findings: tuple[Finding, ...]
    transactions: int = 0
    duration_s: float = 0.0
    connected: Mapping[str, bool] = field(default_factory=dict)
    input_ok: bool = True
    ovn_ic_restarts: int = 0
    routes: Mapping[str, int] = field(default_factory=dict)
