"""Why prefixes are denied: the reasons, and the record that keeps them.

The record is in the site's own northbound database, so that commands show the controller's reasons
and need not guess. It has what the planner found; reasons that came with the wish are in the site
record already (`model.desired`) and are not written twice. Written by `plan.site`, read by
`views.site`. Must not decide what is denied: `plan.deny` does.
"""

import json
from collections.abc import Iterable, Mapping

from ovnmesh import ovn_keys as keys
from ovnmesh.model.desired import decode_record
from ovnmesh.model.prefixes import Prefix, parse_prefix, try_parse_prefix

#: Denied prefixes, each with every reason, in alphabetical order.
Reasons = Mapping[Prefix, tuple[str, ...]]


def collect_reasons(pairs: Iterable[tuple[Prefix, str]]) -> Reasons:
    """All reasons of each prefix, each reason once."""
    found: dict[Prefix, set[str]] = {}
    for prefix, why in pairs:
        found.setdefault(prefix, set()).add(why)
    return {prefix: tuple(sorted(found[prefix])) for prefix in sorted(found)}


def encode_denied(reasons: Reasons, wished: Mapping[Prefix, str]) -> str:
    """The record as compact, stable JSON: the prefixes by reason, because many may share one.

    Args:
        reasons: all denied prefixes.
        wished: those of the wish, which the site record tells.
    """
    record: dict[str, list[str]] = {}
    for prefix in sorted(reasons):
        for why in reasons[prefix]:
            if wished.get(prefix) != why:
                record.setdefault(why, []).append(str(prefix))
    return json.dumps(record, separators=(",", ":"), sort_keys=True)


def decode_denied(raw: str) -> tuple[tuple[Prefix, str], ...]:
    """Read what `encode_denied` wrote; nothing if the record is missing or not ours."""
    try:
        return tuple(
            (parse_prefix(str(text)), why)
            for why, prefixes in json.loads(raw).items()
            for text in prefixes
        )
    except (ValueError, TypeError, AttributeError):
        return ()


def recorded_reasons(external_ids: Mapping[str, str]) -> Reasons:
    """All reasons that the records of a site tell.

    Args:
        external_ids: of the site's NB_Global.
    """
    site = decode_record(external_ids.get(keys.SITE_RECORD, ""))
    wished = site.denied.items() if site is not None else ()
    return collect_reasons((*wished, *decode_denied(external_ids.get(keys.DENIED, ""))))


def deny_list(options: Mapping[str, str]) -> tuple[Prefix, ...]:
    """The deny list among the options of NB_Global; what is no prefix is left out.

    OVN from 24.09 on looks at the old name only if there is no list by the new one (NEWS).
    """
    text = options.get(keys.ROUTE_DENYLIST) or options.get(keys.ROUTE_BLACKLIST) or ""
    found = (try_parse_prefix(entry.strip()) for entry in text.split(","))
    return tuple(prefix for prefix in found if prefix is not None)
