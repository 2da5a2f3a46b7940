"""NB_Global of a joined site: name, options, gateway list, and our own records.

Called by `plan.site` and `plan.leave`. Keys are merged, never replaced as a column: Neutron and
Kube-OVN keep their own there. Must not touch ports.
"""

from collections.abc import Iterable, Mapping

import msgspec

from ovnmesh import ovn_keys as keys
from ovnmesh.model.capabilities import Capabilities
from ovnmesh.model.changes import Operation, Update, merge
from ovnmesh.model.denied import deny_list
from ovnmesh.model.finding import Code, Finding, Severity
from ovnmesh.model.northbound import Northbound
from ovnmesh.model.prefixes import Prefix
from ovnmesh.model.records import Codec

#: Options of NB_Global that a join overwrites and a leave puts back.
SITE_OPTIONS = (
    *(keys.ROUTE_ADV, keys.ROUTE_LEARN, keys.ROUTE_BLACKLIST, keys.ROUTE_DENYLIST),
    *(keys.BFD_MIN_RX, keys.BFD_MIN_TX, keys.BFD_MULT),
)


class _Before(msgspec.Struct, frozen=True):
    """What stood in NB_Global before the join."""

    name: str = ""
    options: Mapping[str, str] = msgspec.field(default_factory=dict)


_RESTORE = Codec(_Before)


def deny_keys(capabilities: Capabilities) -> tuple[str, ...]:
    """The options that hold the deny list: the name changed in OVN 24.09 (NEWS).

    Where the site's OVN is newer, or not known, both: the ovn-ic we run may be an older one, which
    reads only the old name; newer ones read it too if they do not find the new one.
    """
    if (0, 0, 0) < capabilities.version < (24, 9, 0):
        return (keys.ROUTE_BLACKLIST,)
    return (keys.ROUTE_BLACKLIST, keys.ROUTE_DENYLIST)


def check_deny_list(denied: Iterable[Prefix], capabilities: Capabilities) -> tuple[Finding, ...]:
    """Warn where this OVN version denies more than it was asked to."""
    wide = [prefix for prefix in denied if prefix.version == 6]
    if not wide or not capabilities.denylist_breaks_ipv6:
        return ()
    shortest = min(prefix.length for prefix in wide)
    return (
        Finding(
            Code.IPV6_DENY_LIST,
            str(wide[0]),
            f"OVN {'.'.join(map(str, capabilities.version))} blocks every IPv6 prefix of length "
            f"{shortest} or more while {wide[0]} is on the deny list (fixed in OVN 23.03.3), so "
            "other IPv6 subnets of this site are not connected either. Upgrade OVN, or advertise "
            f"{wide[0]}.",
            Severity.WARNING,
        ),
    )


def plan_global(
    nb: Northbound,
    az: str,
    options: Mapping[str, str],
    records: Mapping[str, str],
    adopted: bool,
) -> tuple[Operation, ...]:
    """Bring NB_Global to the wanted name, options and records, remembering what stood there.

    Args:
        nb: the northbound database.
        az: wanted name.
        options: wanted values; one of `SITE_OPTIONS` that is not named is removed.
        records: wanted external_ids of ours.
        adopted: the site was interconnected by other means before; leaving it then means to
            disconnect it, not to put the old interconnection back.
    """
    operations: list[Operation] = []
    if keys.RESTORE not in nb.external_ids:
        records = {**records, keys.RESTORE: _remember(nb, adopted)}
    operations += merge("NB_Global", nb.global_uuid, "external_ids", nb.external_ids, records)
    gone = frozenset(key for key in SITE_OPTIONS if key in nb.options and key not in options)
    operations += merge("NB_Global", nb.global_uuid, "options", nb.options, options, gone)
    if nb.name != az:
        operations.append(Update("NB_Global", nb.global_uuid, {"name": az}))
    return tuple(operations)


def original_deny_list(nb: Northbound) -> tuple[Prefix, ...]:
    """The deny list that stood in the database before we joined."""
    return deny_list(_remembered(nb).options if keys.RESTORE in nb.external_ids else nb.options)


def _remember(nb: Northbound, adopted: bool) -> str:
    options = {k: nb.options[k] for k in SITE_OPTIONS if k in nb.options}
    return _RESTORE.encode(_Before() if adopted else _Before(nb.name, options))


def _remembered(nb: Northbound) -> _Before:
    return _RESTORE.decode(nb.external_ids.get(keys.RESTORE, "")) or _Before()


def plan_restore(nb: Northbound) -> tuple[Operation, ...]:
    """Put name and options back as they stood before the join."""
    old = _remembered(nb)
    gone = frozenset(key for key in SITE_OPTIONS if key not in old.options)
    operations = list(merge("NB_Global", nb.global_uuid, "options", nb.options, old.options, gone))
    if nb.name != old.name:
        operations.append(Update("NB_Global", nb.global_uuid, {"name": old.name}))
    return tuple(operations)
