"""Why prefixes are denied: the reasons, and the record that keeps them.

The record is in the site's own northbound database, so that commands show the controller's reasons
and need not guess. It has what the planner found; reasons that came with the wish are in the site
record already (`model.site_record`) and are not written twice. Written by `plan.rows.nb_global`,
read by `views.site_routes`. Must not decide what is denied: `plan.deny` does.
"""

from collections.abc import Iterable, Iterator, Mapping

from ovnmesh import ovn_keys as keys
from ovnmesh.model.prefixes import Prefix, parse_prefix, try_parse_prefix
from ovnmesh.model.records import Codec

#: Denied prefixes, each with every reason, in alphabetical order.
Reasons = Mapping[Prefix, tuple[str, ...]]


def collect_reasons(pairs: Iterable[tuple[Prefix, str]]) -> Reasons:
    """All reasons of each prefix, each reason once."""
    found: dict[Prefix, set[str]] = {}
    for prefix, why in pairs:
        found.setdefault(prefix, set()).add(why)
    return {prefix: tuple(sorted(found[prefix])) for prefix in sorted(found)}


def pairs_of(reasons: Reasons) -> Iterator[tuple[Prefix, str]]:
    """Each prefix with each of its reasons; `collect_reasons` puts them together again."""
    for prefix, whys in reasons.items():
        for why in whys:
            yield prefix, why


def texts_by_reason(pairs: Iterable[tuple[Prefix, str]]) -> dict[str, list[str]]:
    """The prefixes by reason, as records have them, because many may share one."""
    texts: dict[str, list[str]] = {}
    for prefix, why in sorted(pairs):
        texts.setdefault(why, []).append(str(prefix))
    return texts


def pairs_by_reason(texts: Mapping[str, Iterable[str]]) -> tuple[tuple[Prefix, str], ...]:
    """Read what `texts_by_reason` made.

    Raises:
        ValueError: a text is no prefix.
    """
    return tuple((parse_prefix(text), why) for why, found in texts.items() for text in found)


_CODEC = Codec(dict[str, list[str]])


def encode_denied(reasons: Reasons, wished: Reasons) -> str:
    """The record as compact, stable JSON.

    Args:
        reasons: all denied prefixes.
        wished: those of the wish, which the site record tells.
    """
    found = (
        (prefix, why) for prefix, why in pairs_of(reasons) if why not in wished.get(prefix, ())
    )
    return _CODEC.encode(texts_by_reason(found))


def decode_denied(raw: str) -> tuple[tuple[Prefix, str], ...]:
    """Read what `encode_denied` wrote; nothing if the record is missing or not ours."""
    try:
        return pairs_by_reason(_CODEC.decode(raw) or {})
    except ValueError:
        return ()


def deny_list(options: Mapping[str, str]) -> tuple[Prefix, ...]:
    """The deny list among the options of NB_Global; what is no prefix is left out.

    OVN from 24.09 on looks at the old name only if there is no list by the new one (NEWS).
    """
    text = options.get(keys.ROUTE_DENYLIST) or options.get(keys.ROUTE_BLACKLIST) or ""
    found = (try_parse_prefix(entry.strip()) for entry in text.split(","))
    return tuple(prefix for prefix in found if prefix is not None)
