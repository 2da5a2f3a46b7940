"""What the OVN version of a site can do and what it gets wrong.

Called by planners and checks. Facts are from OVN's NEWS and from measurement; see
docs/limitations.md. Must not read a database: it is given the version string.
"""

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Capabilities:
    """Behaviour that differs between OVN versions.

    Attributes:
        version: (major, minor, patch); (0, 0, 0) if unknown.
        denylist_breaks_ipv6: an IPv6 entry of the deny list blocks every IPv6 prefix at least as
            long (fixed in 23.03.3; measured on 23.03.1).
    """

    version: tuple[int, int, int]
    denylist_breaks_ipv6: bool


def parse_capabilities(northd_version: str) -> Capabilities:
    """Read NB_Global.options:northd_internal_version, e.g. ``23.03.1-20.27.0-70.6``.

    An unknown version is treated as a recent one.
    """
    match = re.match(r"(\d+)\.(\d+)\.(\d+)", northd_version)
    version = (
        (int(match.group(1)), int(match.group(2)), int(match.group(3))) if match else (0, 0, 0)
    )
    return Capabilities(version, denylist_breaks_ipv6=(0, 0, 0) < version < (23, 3, 3))
