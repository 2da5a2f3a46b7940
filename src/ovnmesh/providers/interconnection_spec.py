"""The spec of an `Interconnection`: the same configuration as `ovn-ic-config`, typed.

Called by the providers. Pure. A spec becomes the ConfigMap's data and is parsed as that, so both
forms have one meaning and one set of checks; only the names of the fields in problems differ. The
schema (deploy/base/crd) refuses most mistakes before; what reaches us may come from a server that
does not know CEL, or from a file.
"""

from collections.abc import Mapping, Sequence
from functools import partial

from ovnmesh.config.fields import Fields
from ovnmesh.config.interconnect import InterconnectConfig, parse_config
from ovnmesh.config.key import Key, ValueType, typed_data
from ovnmesh.config.keys import BY_NAME, BY_SPEC_NAME
from ovnmesh.errors import ConfigError, Problem


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
    if isinstance(spec, Mapping):
        # Clients write null for a field that they do not set.
        spec = {k: v for k, v in spec.items() if v is not None or k not in BY_SPEC_NAME}
    fields = Fields(spec, f"{where}, spec", "a mapping such as {azName: az1, ...}")
    fields.refuse_unknown(BY_SPEC_NAME, "field")
    data = typed_data(fields, BY_SPEC_NAME, texts=False, expected=_expected)
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
    if key == problem.where or key not in BY_NAME:
        return problem
    return Problem(f"{where}, spec.{BY_NAME[key].spec_name}", problem.found, problem.expected)


def _expected(key: Key) -> str:
    bare = key.kind in (ValueType.BOOLEAN, ValueType.NUMBER)
    return f"{key.typed}, without quotes" if bare else key.typed
