"""What is kept out: every denied prefix with its reasons, and the list that OVN is given.

Called by `plan.decisions`. OVN withholds and refuses what its deny list names and everything inside
it (ovn-nb(5), ic-route-blacklist). The list names only what it has to; reasons are kept for every
prefix, also for one inside another. Must not know why a source denies a prefix.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ovnmesh import ovn_keys as keys
from ovnmesh.model.capabilities import Capabilities, Quirk
from ovnmesh.model.denied import Reasons, collect_reasons, deny_list, pairs_of
from ovnmesh.model.desired import Desired
from ovnmesh.model.finding import Code, Finding, Severity
from ovnmesh.model.northbound import Northbound
from ovnmesh.model.observed import Observed
from ovnmesh.model.prefixes import LINK_LOCAL, Prefix, minimal
from ovnmesh.model.restore_record import decode_restore

LINK_LOCAL_REASON = "link-local: OVN never advertises it"
ORIGINAL_REASON = "on the deny list since before the site joined"


@dataclass(frozen=True, slots=True)
class Denied:
    """The outcome for one site.

    Attributes:
        reasons: every prefix that is kept out, with all reasons.
        listed: what the deny list has to name for that; none lies within another.
    """

    reasons: Reasons
    listed: tuple[Prefix, ...]


def decide_denied(desired: Desired, observed: Observed, *found: Mapping[Prefix, str]) -> Denied:
    """Put together what is kept out.

    Args:
        desired: the wish, with prefixes that are denied by it.
        observed: the site and the mesh.
        found: what other rules deny, each prefix with the reason.
    """
    original = dict.fromkeys(_original(observed.nb), ORIGINAL_REASON)
    pairs = [*pairs_of(desired.denied)]
    pairs += [pair for source in (*found, original) for pair in source.items()]
    # OVN itself never advertises link-local prefixes; where naming one would block all of IPv6,
    # leave it to OVN.
    breaks = observed.capabilities.has(Quirk.DENY_LIST_BREAKS_IPV6)
    named = [prefix for prefix in LINK_LOCAL if prefix.version == 4 or not breaks]
    return Denied(
        collect_reasons([*pairs, *((prefix, LINK_LOCAL_REASON) for prefix in LINK_LOCAL)]),
        minimal([*(prefix for prefix, _ in pairs), *named]),
    )


def _original(nb: Northbound) -> tuple[Prefix, ...]:
    """The deny list that stood in the database before we joined."""
    joined = keys.RESTORE in nb.external_ids
    return deny_list(
        decode_restore(nb.external_ids[keys.RESTORE]).options if joined else nb.options
    )


def check_deny_list(denied: Iterable[Prefix], capabilities: Capabilities) -> tuple[Finding, ...]:
    """Warn where this OVN version denies more than it was asked to."""
    wide = [prefix for prefix in denied if prefix.version == 6]
    if not wide or not capabilities.has(Quirk.DENY_LIST_BREAKS_IPV6):
        return ()
    version = capabilities.judged(Quirk.DENY_LIST_BREAKS_IPV6)
    shortest = min(prefix.length for prefix in wide)
    return (
        Finding(
            Code.IPV6_DENY_LIST,
            str(wide[0]),
            f"OVN {'.'.join(map(str, version))} blocks every IPv6 prefix of length "
            f"{shortest} or more while {wide[0]} is on the deny list (fixed in OVN 23.03.3), so "
            "other IPv6 subnets of this site are not connected either. Upgrade OVN, or advertise "
            f"{wide[0]}.",
            Severity.WARNING,
        ),
    )
