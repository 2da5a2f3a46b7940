"""One mapping of a document: takes its keys, words what is wrong, keeps all of it.

Called by the other modules of this package, and for single values by whoever reads settings. Pure.
Must not know which keys a document has.
"""

import difflib
import ipaddress
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import TypeVar

from ovnmesh.errors import ConfigError, Problem
from ovnmesh.model.addresses import Address, Network

Report = Callable[[str, str], None]
"""Takes what was found and what was expected."""

OBJECT_NAME_LENGTH = 253
"""Longest name of a Kubernetes object, characters (RFC 1123 subdomain)."""
NAME_EXPECTED = 'letters, digits, "-", "_", "."'
"""What a name may consist of."""
_NAME_CHARACTERS = re.compile(r"[A-Za-z0-9._-]")
_NAME_CLOSENESS = 0.6
_QUOTE_LENGTH = 80

_T = TypeVar("_T")


class Fields:
    """The keys of one mapping, and what is wrong with them.

    Args:
        mapping: what should be a mapping.
        where: the place of the mapping in its document.
        expected: what it should hold, for the error if it is no mapping.

    Raises:
        ConfigError: it is no mapping.
    """

    def __init__(self, mapping: object, where: str, expected: str) -> None:
        if not isinstance(mapping, Mapping):
            raise ConfigError([Problem(where, describe(mapping), expected)])
        self._mapping = mapping
        self._where = where
        self._problems: list[tuple[object, Problem]] = []

    def add(self, key: object, found: str, expected: str) -> None:
        """Note that something is wrong with a key."""
        plain = isinstance(key, str) and len(key) <= _QUOTE_LENGTH and key.isprintable()
        name = key if plain else describe(key)
        self._problems.append((key, Problem(f"{self._where}.{name}", found, expected)))

    def get(self, key: str) -> object:
        """The value of a key as it stands, None if there is none."""
        return self._mapping.get(key)

    def has(self, key: str) -> bool:
        """Whether the key is there, with whatever value."""
        return key in self._mapping

    def refuse_unknown(self, known: Iterable[str], what: str) -> None:
        """Note a problem for every key that is not among those known, with a hint at a near one.

        Args:
            known: the keys that there are.
            what: what a key is called, for errors.
        """
        names = list(known)
        for key in self.unknown_keys(names):
            hint = did_you_mean(key, names) if isinstance(key, str) else ""
            expected = f"a known one: {hint}" if hint else f"one of {', '.join(names)}"
            self.add(key, f"an unknown {what}", expected)

    def unknown_keys(self, known: Iterable[str]) -> list[object]:
        """The keys that are not among those known."""
        names = set(known)
        return [key for key in self._mapping if key not in names]

    def require(self, key: str, expected: str) -> None:
        """Note a problem if the key is missing."""
        if key not in self._mapping:
            self.add(key, "nothing", expected)

    def good(self, *keys: str) -> bool:
        """Whether nothing is wrong with any of some keys so far."""
        return not any(key in keys for key, _ in self._problems)

    def take(self, key: str, parse: Callable[[str, Report], _T], default: _T) -> _T:
        """Parse the text of a key.

        Args:
            key: the key.
            parse: makes a value of the text, and reports what is wrong with it.
            default: what to return if the key is missing or holds no text.
        """
        if key not in self._mapping:
            return default
        value = self._mapping[key]
        if not isinstance(value, str):
            self.add(key, describe(value), "text; put the value in quotes")
            return default
        return parse(value, partial(self.add, key))

    def problems(self) -> list[Problem]:
        """All problems noted, in the document's order; missing keys come last."""
        order = {key: i for i, key in enumerate(self._mapping)}
        ordered = sorted(self._problems, key=lambda entry: order.get(entry[0], len(order)))
        return [problem for _, problem in ordered]


def raise_problems(problems: Iterable[Problem]) -> None:
    """Raise `ConfigError` if there are any problems.

    Raises:
        ConfigError: with all of them.
    """
    found = tuple(problems)
    if found:
        raise ConfigError(found)


def quote(text: str) -> str:
    """Text in double quotes, shortened, with what cannot be shown safely escaped."""
    shown = text if len(text) <= _QUOTE_LENGTH else text[:_QUOTE_LENGTH] + "..."
    return json.dumps(shown, ensure_ascii=not shown.isprintable())


def describe(value: object) -> str:
    """What a parsed YAML value is, in words for the "found" of a problem."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return f"the boolean {str(value).lower()} (no quotes)"
    if isinstance(value, int | float):
        # Python refuses to print very large integers (CVE-2020-10735).
        return f"the number {value} (no quotes)" if abs(value) < 2**64 else "a huge number"
    if isinstance(value, str):
        return quote(value)
    return "a mapping" if isinstance(value, Mapping) else f"a {type(value).__name__}"


def check_name(text: str, longest: int, report: Report) -> str:
    """Check a name that OVN, Kubernetes and file names can all carry.

    Args:
        text: the name.
        longest: greatest length, characters.
        report: called with what was found and what was expected if the name is wrong.

    Returns:
        The name as given.
    """
    wrong = next((i for i, char in enumerate(text) if not _NAME_CHARACTERS.match(char)), None)
    if not text:
        report("an empty name", NAME_EXPECTED)
    elif wrong is not None:
        found = f"{quote(text)} ({_character(text[wrong])} at position {wrong + 1})"
        report(found, NAME_EXPECTED)
    elif len(text) > longest:
        report(f"{quote(text)} ({len(text)} characters)", f"at most {longest} characters")
    return text


def parse_name(text: str, report: Report) -> str:
    """Parse the name of a Kubernetes object; arguments as for `check_name`."""
    return check_name(text, OBJECT_NAME_LENGTH, report)


def parse_cidr(text: str, report: Report) -> Network | None:
    """Parse a network such as ``10.16.0.0/16``.

    Args:
        text: the network, with prefix length and without host bits.
        report: called with what was found and what was expected if the network is wrong.
    """
    try:
        if not re.fullmatch("[0-9A-Fa-f:.]+/[0-9]{1,3}", text):
            raise ValueError(text)
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        report(quote(text), "a network with its prefix length, such as 10.16.0.0/16")
        return None
    if ipaddress.ip_interface(text).ip != network.network_address:
        report(f"{quote(text)} (host bits are set)", f'"{network}"')
        return None
    if network.prefixlen == 0:
        report(quote(text), "a network, not all addresses")
        return None
    return network


def parse_boolean(text: str, report: Report) -> bool | None:
    """Parse "true" or "false"; nothing else will do."""
    if text in ("true", "false"):
        return text == "true"
    near = text.strip().lower()
    hint = f', did you mean "{near}"?' if near in ("true", "false") else ""
    report(quote(text), f'"true" or "false", in small letters{hint}')
    return None


def boolean_text(value: bool) -> str:
    """What `parse_boolean` reads."""
    return "true" if value else "false"


def split(text: str, of_what: str, report: Report) -> list[str]:
    """Split a comma-separated list; spaces around the commas do not count.

    Args:
        text: the list.
        of_what: what the entries are, plural, for errors.
        report: called with what was found and what was expected if an entry is empty.
    """
    entries = [entry.strip(" ") for entry in text.split(",")]
    if "" in entries:
        found = "an empty entry in " if len(entries) > 1 else ""
        report(f"{found}{quote(text)}", f"{of_what}, comma-separated")
    return [entry for entry in entries if entry]


def refuse_repeats(entries: Sequence[str | Address], report: Report) -> None:
    """Report entries that appear more than once."""
    seen: set[str | Address] = set()
    for entry in entries:
        if entry in seen:
            report(f"{quote(str(entry))} twice", "each only once")
        seen.add(entry)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A hint at the known word that is most like `word`, or ""."""
    plain = word[:OBJECT_NAME_LENGTH].lower().replace("_", "-")
    close = difflib.get_close_matches(plain, list(known), 1, _NAME_CLOSENESS)
    return f'did you mean "{close[0]}"?' if close else ""


def _character(char: str) -> str:
    if char == " ":
        return "a space"
    if char.isprintable():
        return f'"{char}"' if char.isascii() else f'"{char}", U+{ord(char):04X},'
    return f"U+{ord(char):04X}"
