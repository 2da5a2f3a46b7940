"""The spec of an `Interconnection`: the same configuration as `ovn-ic-config`, typed.

Called by the providers. Pure. A spec becomes the ConfigMap's data and is parsed as that, so both
forms have one meaning and one set of checks; only the names of the fields in problems differ. The
schema (deploy/base/crd) refuses most mistakes before; what reaches us may come from a server that
does not know CEL, or from a file.
"""

from collections.abc import Callable, Sequence
from functools import partial

from ovnmesh.config.fields import Fields, describe
from ovnmesh.config.interconnect import InterconnectConfig, parse_config
from ovnmesh.errors import ConfigError, Problem

INTERCONNECTION_NAME = "default"
"""The one Interconnection of a cluster."""

_Convert = Callable[[object], str | None]


def _boolean(value: object) -> str | None:
    return ("true" if value else "false") if isinstance(value, bool) else None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _number(value: object) -> str | None:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else None


def _number_or_text(value: object) -> str | None:
    return _number(value) or _text(value)


def _list(value: object) -> str | None:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        return None
    return ",".join(value)


# Field of the spec -> key of the ConfigMap, how to turn its value into text, what it should be.
_FIELDS: dict[str, tuple[str, _Convert, str]] = {
    "enableIC": ("enable-ic", _boolean, "true or false, without quotes"),
    "azName": ("az-name", _text, "text"),
    "icDBHosts": ("ic-db-host", _list, "a list of addresses"),
    "icNBPort": ("ic-nb-port", _number, "a number, without quotes"),
    "icSBPort": ("ic-sb-port", _number, "a number, without quotes"),
    "gatewayNodes": ("gw-nodes", _list, "a list of node names"),
    "autoRoute": ("auto-route", _boolean, "true or false, without quotes"),
    "advertiseNodes": ("advertise-nodes", _boolean, "true or false, without quotes"),
    "gatewayMode": ("gateway-mode", _text, "text"),
    "gatewayPreempt": ("gateway-preempt", _boolean, "true or false, without quotes"),
    "gatewayMTU": ("gateway-mtu", _number_or_text, "a number, or text"),
    "bfdMinRx": ("bfd-min-rx", _number, "a number, without quotes"),
    "bfdMinTx": ("bfd-min-tx", _number, "a number, without quotes"),
    "bfdMult": ("bfd-mult", _number, "a number, without quotes"),
}
_NAMES = {key: name for name, (key, _, _) in _FIELDS.items()}
# As the schema has them: servers fill them in, files need not carry them.
_DEFAULTS = {"enable-ic": "true", "auto-route": "true"}


def parse_interconnection(
    spec: object, where: str, nodes: Sequence[str] = ()
) -> InterconnectConfig:
    """Parse the spec of an Interconnection.

    Args:
        spec: the mapping under ``spec``.
        where: the document, e.g. ``Interconnection default``.
        nodes: names of all nodes of the site, to check the gateways by; empty if not known.

    Raises:
        ConfigError: with every problem.
    """
    fields = Fields(spec, f"{where}, spec", "a mapping such as {azName: az1, ...}")
    fields.refuse_unknown(_FIELDS, "field")
    data = dict(_DEFAULTS)
    for name, (key, convert, expected) in _FIELDS.items():
        value = fields.get(name)
        if value is None:
            continue
        text = convert(value)
        if text is None:
            fields.add(name, describe(value), expected)
        else:
            data[key] = text
    problems = fields.problems()
    try:
        config = parse_config(data, where, nodes)
    except ConfigError as error:
        wrong = {problem.where for problem in problems}
        renamed = map(partial(_rename, where), error.problems)
        raise ConfigError([*problems, *(p for p in renamed if p.where not in wrong)]) from None
    if problems:
        raise ConfigError(problems)
    return config


def _rename(where: str, problem: Problem) -> Problem:
    """The same problem with the spec's name of the field."""
    prefix = f"{where}, data."
    key = problem.where.removeprefix(prefix)
    if key == problem.where or key not in _NAMES:
        return problem
    return Problem(f"{where}, spec.{_NAMES[key]}", problem.found, problem.expected)
