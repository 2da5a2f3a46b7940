"""What the OVN versions of a site get wrong, each by a name; workarounds ask for it by that name.

Called by planners. A site has two versions: that of its own OVN (northd tells it in
NB_Global), and that of the ovn-ic that its controller runs. Facts are from OVN's NEWS and sources,
and from measurement; see docs/limitations.md. Must not read a database: it is given version texts.
"""

import enum
import re
from dataclasses import dataclass

Version = tuple[int, int, int]
UNKNOWN: Version = (0, 0, 0)


class Program(enum.Enum):
    """Whose version decides."""

    NORTHD = "ovn-northd"
    OVN_IC = "ovn-ic"


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong, and until when.

    Attributes:
        what: what happens, and how that is known.
        program: whose version decides.
        fixed: first version without it, of each branch that was mended; empty if it is not known
            to be mended in any.
        assumed: whether an unknown version is taken to have it, because the workaround costs
            little. Else, of ovn-ic, the version of the site's OVN counts, and if neither is known
            it is taken for a recent one.
    """

    what: str
    program: Program
    fixed: tuple[Version, ...] = ()
    assumed: bool = True


class Quirk(enum.Enum):
    """Everything that we work around and that depends on the version."""

    DENY_LIST_BREAKS_IPV6 = Fault(
        "an IPv6 entry of the deny list blocks every IPv6 prefix at least as long (measured on "
        "23.03.1; fixed in 23.03.3)",
        Program.OVN_IC,
        ((23, 3, 3),),
        assumed=False,
    )
    DENY_LIST_BY_OLD_NAME = Fault(
        "the deny list is ic-route-blacklist only; ic-route-denylist came with 24.09 (NEWS). It is "
        "northd's version that decides: where that is newer, ovn-ic may still be an older one, "
        "and newer ones read the old name too if they do not find the new one",
        Program.NORTHD,
        ((24, 9, 0),),
        assumed=False,
    )
    ROUTE_STORM = Fault(
        "ovn-ic inserts the same learned routes without end into a router that is disabled or has "
        "lost its port on a transit switch (measured on 23.03.1 and 25.03.0, not on 26.03.1; NEWS)",
        Program.OVN_IC,
        ((24, 3, 7), (25, 3, 2), (25, 9, 1), (26, 3, 0)),
    )
    UNCARRIED_FAMILY_CHURN = Fault(
        "ovn-ic advertises networks of a family that no transit switch carries by way of its "
        "port's link-local address, takes that for a mistake, deletes the row and inserts it "
        "again, some thousand times a second (ovn-ic.c: get_nexthop_from_lport_addresses, "
        "add_to_routes_learned; measured on 23.03.1: 20 MB of IC-SB a minute)",
        Program.OVN_IC,
    )
    STALE_ADVERTISEMENTS = Fault(
        "ovn-ic withdraws advertisements only where a router has a port on the transit switch "
        "(ovn-ic.c, route_run; measured on 23.03.1 and 25.03.0)",
        Program.OVN_IC,
    )
    RENAME_LOSES_ROWS = Fault(
        "ovn-ic cannot follow a new NB_Global.name and new port names without new rows: 23.03.1 "
        "deletes the Availability_Zone row, to which others refer (ovn-ic.c, az_run); 25.03.0 "
        "follows the name (measured), but gives a renamed port another row",
        Program.OVN_IC,
    )
    STALE_TUNNEL_KEYS = Fault(
        "an ovn-controller that has seen a switch, or a port, with another tunnel key keeps "
        "sending that one, and nothing arrives (measured on 23.03.1; docs/adr/0011)",
        Program.NORTHD,
    )
    LOAD_BALANCER_AT_ONE_PORT = Fault(
        "northd binds a router's load balancers to any one of its gateway ports (measured on "
        "23.03.1; a later one may do better: pull request 227, or a patched build)",
        Program.NORTHD,
    )


@dataclass(frozen=True, slots=True)
class Capabilities:
    """The versions of a site.

    Attributes:
        northd: of its own OVN, as (major, minor, patch); `UNKNOWN` if nobody says.
        ovn_ic: of the ovn-ic that its controller runs; `UNKNOWN` in commands.
    """

    northd: Version = UNKNOWN
    ovn_ic: Version = UNKNOWN

    def has(self, quirk: Quirk) -> bool:
        """Whether to reckon with it."""
        fault: Fault = quirk.value
        if fault.assumed and self._version(fault.program) == UNKNOWN:
            return True
        version = self.judged(quirk)
        return version != UNKNOWN and not _is_fixed(version, fault.fixed)

    def judged(self, quirk: Quirk) -> Version:
        """The version that decides about a quirk."""
        version = self._version(quirk.value.program)
        return self.northd if version == UNKNOWN else version

    def _version(self, program: Program) -> Version:
        return self.northd if program is Program.NORTHD else self.ovn_ic


def parse_version(text: str) -> Version:
    """The first version in a text such as ``23.03.1-20.27.0-70.6`` or ``ovn-ic 23.03.1``."""
    match = re.search(r"(\d+)\.(\d+)\.(\d+)", text)
    return (int(match[1]), int(match[2]), int(match[3])) if match else UNKNOWN


def parse_capabilities(northd: str, ovn_ic: str = "") -> Capabilities:
    """Read the two versions.

    Args:
        northd: NB_Global.options:northd_internal_version.
        ovn_ic: what ``ovn-ic --version`` says; "" if unknown.
    """
    return Capabilities(parse_version(northd), parse_version(ovn_ic))


def _is_fixed(version: Version, fixed: tuple[Version, ...]) -> bool:
    """Whether a version has a fix that was made on some branches: of its own, or an older one's.

    A branch between two that were mended, and not named itself, is not mended.
    """
    if not fixed:
        return False
    of_branch = [first for first in fixed if first[:2] == version[:2]]
    return version >= of_branch[0] if of_branch else version > max(fixed)
