"""What one key of a configuration is, whatever form the configuration has.

Used by `config.keys`, which lists them all, and by whoever reads or checks a form. Pure.
"""

import enum
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ovnmesh.config.fields import Fields, Report, describe, quote


class ValueType(enum.Enum):
    """In which of YAML's own types a value is written."""

    TEXT = "text"
    BOOLEAN = "boolean"
    NUMBER = "number"
    NUMBER_OR_TEXT = "number or text"
    LIST = "list"


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One key.

    Attributes:
        name: its name in ``ovn-ic-config`` and in site files.
        spec_name: its name in the spec of an Interconnection.
        field: the attribute that holds its value, of `InterconnectConfig` or `GatewayPolicy`.
        kind: how typed forms write it.
        parse: makes a value of its text, and reports what is wrong with that.
        show: the text of a value, which `parse` reads back.
        default: the value while it is missing.
        expected: what its text should be.
        typed: what it should be in typed forms.
        required: whether joining needs it.
        always: whether a value that is its default is shown as well.
        typed_default: its text in typed forms while it is missing; "" for `default`.
        bounds: least and greatest number.
        choices: the only texts there are.
    """

    name: str
    spec_name: str
    field: str
    kind: ValueType
    parse: Callable[[str, Report], Any]
    show: Callable[[Any], str] = str
    default: Any
    expected: str
    typed: str
    required: bool = False
    always: bool = False
    typed_default: str = ""
    bounds: tuple[int, int] | None = None
    choices: tuple[str, ...] = ()


def number_parser(bounds: tuple[int, int], what: str) -> Callable[[str, Report], int]:
    """A parser of decimal numbers.

    Args:
        bounds: least and greatest number.
        what: what is expected, without the bounds.
    """
    least, most = bounds

    def parse(text: str, report: Report) -> int:
        if re.fullmatch("[1-9][0-9]{0,9}", text) and least <= int(text) <= most:
            return int(text)
        report(quote(text), f"{what}, digits only")
        return least

    return parse


def typed_data(
    fields: Fields, keys: Mapping[str, Key], texts: bool, expected: Callable[[Key], str]
) -> dict[str, str]:
    """The values of a typed form as texts, which is what `ovn-ic-config` has.

    Values of another type are noted in the fields and left out.

    Args:
        fields: the mapping.
        keys: the keys by their names there.
        texts: whether a text is taken for every kind.
        expected: what a value of another type should have been.
    """
    data = {key.name: key.typed_default for key in keys.values() if key.typed_default}
    for name, key in keys.items():
        if not fields.has(name):
            continue
        value = fields.get(name)
        text = value if texts and isinstance(value, str) else _text(key.kind, value)
        if text is None:
            found = "an empty list" if value == [] else describe(value)
            fields.add(name, found, expected(key))
            data.pop(key.name, None)
        else:
            data[key.name] = text
    return data


def _text(kind: ValueType, value: object) -> str | None:
    """A value of YAML's own types as text; None if it is not of the kind."""
    if isinstance(value, bool):
        return str(value).lower() if kind is ValueType.BOOLEAN else None
    if isinstance(value, int):
        return str(value) if kind in (ValueType.NUMBER, ValueType.NUMBER_OR_TEXT) else None
    if isinstance(value, str):
        return value if kind in (ValueType.TEXT, ValueType.NUMBER_OR_TEXT) else None
    if kind is ValueType.LIST and isinstance(value, list) and value:
        return ",".join(value) if all(isinstance(item, str) for item in value) else None
    return None
