"""Who keeps a prefix that two sites advertise, and what this site must keep out.

Called by `plan.decisions`. The rule: whoever held a prefix before the overlap appeared keeps it,
the newcomer yields; sites that ovnmesh does not run cannot yield, so they count as established; a
tie goes to the lower AZ name. OVN 23.03 has one deny list for both directions and matches a prefix
and everything inside it (ovn-nb(5), ic-route-blacklist), which decides what can be denied without
taking our own advertisement away. Must not know how a deny list is written.
"""

from bisect import bisect_right
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from ovnmesh.model.desired import Desired
from ovnmesh.model.finding import Code, Finding, Severity
from ovnmesh.model.interconnect import Interconnect
from ovnmesh.model.observed import Observed
from ovnmesh.model.prefixes import Owned, Prefix, minimal, overlapping_pairs
from ovnmesh.plan.decide.manual_routes import written_routes


@dataclass(frozen=True, slots=True)
class Conflicts:
    """The outcome for one site.

    Attributes:
        denied: prefixes to keep out, each with the reason.
        contested: our own prefixes that overlap somebody's, whoever wins.
        findings: one per pair, naming both owners.
    """

    denied: Mapping[Prefix, str]
    contested: frozenset[Prefix]
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class _Claimant:
    az: str
    held: bool
    managed: bool


def decide_conflicts(
    desired: Desired, observed: Observed, withheld: Collection[Prefix]
) -> Conflicts:
    """Compare what the site has with what everybody advertises.

    Args:
        desired: the wish; without auto-route nothing is advertised, so that nothing is in conflict.
        observed: the site and the mesh.
        withheld: prefixes that other rules keep out anyway.
    """
    if not desired.auto_route:
        return Conflicts({}, frozenset(), ())
    nb = observed.nb
    local = observed.own_prefixes
    if not desired.shared_database:
        written = written_routes(nb)
        routed = {prefix for prefix, hop in written if any(net.holds(hop) for net in local)}
        local |= routed - set(withheld)
    ignored = {*desired.denied, *withheld}
    return resolve_conflicts(desired.az_name, local | desired.local, ignored, observed.ic, nb.name)


def resolve_conflicts(
    az: str,
    local: Iterable[Prefix],
    ignored: Iterable[Prefix],
    ic: Interconnect,
    formerly: str = "",
) -> Conflicts:
    """Find every overlap this site can see and decide what it keeps out.

    Args:
        az: this site's AZ name.
        local: prefixes connected to, or configured for, this site.
        ignored: prefixes denied anyway (opt-outs): never advertised, so never in conflict here.
        ic: the interconnection databases; its routes are what everybody advertises.
        formerly: the name our routes still carry while this site is being renamed.
    """
    claimants = _claimants((az, formerly or az), local, minimal(ignored), ic)
    denied: dict[Prefix, str] = {}
    contested: set[Prefix] = set()
    findings: list[Finding] = []
    for wide, narrow in overlapping_pairs(
        Owned(p, c) for p, owners in claimants.items() for c in owners
    ):
        if wide.owner.az == narrow.owner.az:
            continue
        winner, loser = _rank(wide, narrow)
        mine = next((side for side in (wide, narrow) if side.owner.az == az), None)
        if mine is not None:
            contested.add(mine.prefix)
        out = _keep_out(az, winner, loser)
        for prefix in out:
            denied.setdefault(
                prefix,
                f"overlap: {winner.owner.az} keeps {winner.prefix}, "
                f"{loser.owner.az} has {loser.prefix}",
            )
        findings.append(_describe(az, winner, loser, out))
    return Conflicts(denied, frozenset(contested), tuple(sorted(set(findings))))


def _claimants(
    names: tuple[str, str],
    local: Iterable[Prefix],
    ignored: Sequence[Prefix],
    ic: Interconnect,
) -> dict[Prefix, set[_Claimant]]:
    az, formerly = names
    found: dict[Prefix, dict[str, bool]] = {}
    for route in ic.routes:
        if route.az and not _covered(route.prefix, ignored):
            owner = az if route.az == formerly else route.az
            owners = found.setdefault(route.prefix, {})
            owners[owner] = owners.get(owner, False) or route.held
    for prefix in local:
        if not _covered(prefix, ignored):
            found.setdefault(prefix, {}).setdefault(az, False)
    return {
        prefix: {
            _Claimant(owner, held, owner == az or owner in ic.az_owner)
            for owner, held in owners.items()
        }
        for prefix, owners in found.items()
    }


def _covered(prefix: Prefix, blocks: Sequence[Prefix]) -> bool:
    """Whether one of some blocks, sorted and none within another, contains a prefix."""
    before = bisect_right(blocks, prefix)
    return before > 0 and blocks[before - 1].contains(prefix)


Side = Owned[_Claimant]


def _rank(a: Side, b: Side) -> tuple[Side, Side]:
    """(winner, loser): established before newcomer, then the lower name."""

    def weight(side: Side) -> tuple[int, str]:
        established = side.owner.held or not side.owner.managed
        return (0 if established else 1, side.owner.az)

    return (a, b) if weight(a) <= weight(b) else (b, a)


def _keep_out(az: str, winner: Side, loser: Side) -> tuple[Prefix, ...]:
    """What this site denies because of one pair."""
    if loser.owner.az == az:
        # We yield: our own prefix is not advertised, theirs is not learned.
        return (loser.prefix, winner.prefix)
    inside = winner.prefix.contains(loser.prefix)
    if not inside:
        # Denying a wider prefix would deny the winner's too; the longer one wins in OVN anyway.
        return ()
    if loser.prefix != winner.prefix:
        return (loser.prefix,)
    # Equal prefixes: one entry denies both. A managed loser withdraws by itself in a moment; one
    # that ovnmesh does not run never will.
    return () if loser.owner.managed else (loser.prefix,)


def _describe(az: str, winner: Side, loser: Side, out: tuple[Prefix, ...]) -> Finding:
    ours = az in (winner.owner.az, loser.owner.az)
    effect = (
        f"kept out here: {', '.join(sorted({str(p) for p in out}))}"
        if out
        else f"{winner.owner.az} keeps it"
    )
    return Finding(
        Code.CIDR_CONFLICT,
        str(loser.prefix),
        f"{loser.owner.az} has {loser.prefix}, which overlaps {winner.prefix} of "
        f"{winner.owner.az}; {effect}. Expected: every connected site has its own addresses. "
        f"Change the subnet of {loser.owner.az}, or keep it out of the interconnection there.",
        Severity.ERROR if ours else Severity.WARNING,
    )
