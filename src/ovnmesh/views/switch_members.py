"""Who is on a transit switch, and how far each site has got.

Called by `ovnmesh transit-switch`. Pure: says what is; must not decide.
"""

from dataclasses import dataclass

from ovnmesh.model.interconnect import Interconnect, TransitSwitch
from ovnmesh.plan.decide.stages import is_parked


@dataclass(frozen=True, slots=True)
class SwitchMember:
    """One AZ on one transit switch.

    Attributes:
        az: its name.
        state: "connecting" (no port yet), "warming", "in service", or "draining".
        address: address of its port, "" without.
        gateway: hostname of the gateway, "" while there is none.
        managed: whether ovnmesh runs the site.
    """

    az: str
    state: str
    address: str = ""
    gateway: str = ""
    managed: bool = True

    @property
    def title(self) -> str:
        """Its name, and whether it is left to others."""
        return self.az if self.managed else f"{self.az} (not run by ovnmesh)"


def switch_members(ts: TransitSwitch, ic: Interconnect) -> tuple[SwitchMember, ...]:
    """Who is, or is to be, on a transit switch, and how far they have got, by AZ name."""
    hosts = {gateway.name: gateway.hostname for gateway in ic.gateways}
    managed = ic.az_owner
    found: dict[str, SwitchMember] = {
        az: SwitchMember(az, "draining" if ts.draining else "connecting")
        for az, owner in managed.items()
        if owner in ts.claims or not ts.draining
    }
    for port in ic.ports:
        if port.ts != ts.name:
            continue
        state = "warming" if is_parked(port) else "in service"
        found[port.az] = SwitchMember(
            port.az,
            "draining" if ts.draining else state,
            " ".join(port.written.split()[1:]),
            hosts.get(port.gateway, port.gateway),
            port.az in managed,
        )
    return tuple(found[az] for az in sorted(found))


def without_other(ts: TransitSwitch, ic: Interconnect) -> tuple[str, ...]:
    """AZs that nothing would connect any more if a transit switch went."""
    rest = [other for other in ic.transit_switches.values() if other.name != ts.name]
    served = {
        member.az
        for other in rest
        for member in switch_members(other, ic)
        if member.state == "in service"
    }
    return tuple(member.az for member in switch_members(ts, ic) if member.az not in served)
