"""Bytes of a YAML file -> plain values with their lines, refusing what no manifest needs.

Called by the providers that read manifests. Pure. Builds values straight from libyaml's events and
constructs no objects, so no file, however made, can run code, grow in memory or recurse deeply:
bounded are the nesting, the number of events and the aliases (of plain values only: nested aliases
of collections are how a few lines become gigabytes). Manifests with tabs before comments, as in the
documents, need libyaml: PyYAML's own parser refuses them.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import yaml
from yaml.resolver import Resolver

from ovnmesh.config import describe, quote
from ovnmesh.errors import ConfigError, Problem

MAX_FILE_BYTES = 1024 * 1024
"""Largest file read; etcd and so Kubernetes accept objects up to about this size."""
_MAX_DEPTH = 32
# A file of that size made of manifests has about 50,000 events; one made of commas ten times more.
_MAX_EVENTS = 100_000
_STRING_TAG = "tag:yaml.org,2002:str"
_RESOLVER = Resolver()
_TRUE = frozenset({"yes", "true", "on"})


class LocatedDict(dict[object, object]):
    """A YAML mapping that knows where it stands.

    Attributes:
        line: its first line in the file, counted from 1.
        lines: the line of each key.
    """

    line = 0

    def __init__(self) -> None:
        super().__init__()
        self.lines: dict[object, int] = {}


@dataclass(slots=True)
class _Frame:
    """A collection under construction; `key` is the key that waits for its value."""

    value: LocatedDict | list[object]
    key: object = None
    has_key: bool = False


@dataclass(slots=True)
class _Builder:
    """Builds the documents of one file from YAML events."""

    file: str
    stack: list[_Frame] = field(default_factory=list)
    anchors: dict[str, object] = field(default_factory=dict)
    documents: list[object] = field(default_factory=list)

    def wrong(self, event: yaml.Event, found: str, expected: str) -> ConfigError:
        return ConfigError([Problem(f"{self.file}:{_line(event)}", found, expected)])

    def feed(self, event: yaml.Event) -> None:
        if isinstance(event, yaml.DocumentStartEvent):
            self.anchors.clear()
        elif isinstance(event, yaml.CollectionStartEvent):
            self._open(event)
        elif isinstance(event, yaml.CollectionEndEvent):
            self.stack.pop()
        elif isinstance(event, yaml.ScalarEvent):
            self._refuse_tag(event)
            value = _resolve(event)
            if event.anchor is not None:
                self.anchors[event.anchor] = value
            self._place(event, value)
        elif isinstance(event, yaml.AliasEvent):
            if event.anchor not in self.anchors:
                found = f"the alias *{event.anchor}"
                raise self.wrong(event, found, "the value itself; only plain values are repeated")
            self._place(event, self.anchors[event.anchor])

    def _open(self, event: yaml.CollectionStartEvent) -> None:
        self._refuse_tag(event)
        if len(self.stack) == _MAX_DEPTH:
            raise self.wrong(event, f"more than {_MAX_DEPTH} levels", "a manifest, less nested")
        value: LocatedDict | list[object] = []
        if isinstance(event, yaml.MappingStartEvent):
            value = LocatedDict()
            value.line = _line(event)
        self._place(event, value)
        self.stack.append(_Frame(value))

    def _place(self, event: yaml.Event, value: object) -> None:
        frame = self.stack[-1] if self.stack else None
        if frame is None:
            self.documents.append(value)
        elif isinstance(frame.value, list):
            frame.value.append(value)
        elif frame.has_key:
            frame.value[frame.key] = value
            frame.has_key = False
        else:
            if isinstance(value, list | LocatedDict):
                raise self.wrong(event, f"{describe(value)} as a key", "a plain word as the key")
            if value in frame.value:
                raise self.wrong(event, f"the key {describe(value)} twice", "each key only once")
            if value == "<<":
                raise self.wrong(event, "a merge key (<<)", "the keys themselves")
            frame.key, frame.has_key = value, True
            frame.value.lines[value] = _line(event)

    def _refuse_tag(self, event: yaml.ScalarEvent | yaml.CollectionStartEvent) -> None:
        if event.tag not in (None, _STRING_TAG):
            raise self.wrong(event, f"the tag {quote(str(event.tag))}", "no tags")


def parse_documents(data: bytes, file: str) -> list[object]:
    """Parse a file of YAML documents.

    Mappings come as `LocatedDict`, other values as list, str, bool, int, float or None.

    Args:
        data: content of the file.
        file: its name, for errors.

    Raises:
        ConfigError: it is not YAML, or holds what no manifest needs; with file and line.
    """
    builder = _Builder(file)
    for count, event in enumerate(_events(data, file)):
        if count == _MAX_EVENTS:
            raise builder.wrong(event, f"more than {_MAX_EVENTS} values", "several smaller files")
        builder.feed(event)
    return builder.documents


def _events(data: bytes, file: str) -> Iterator[yaml.Event]:
    if len(data) > MAX_FILE_BYTES:
        expected = f"at most {MAX_FILE_BYTES} bytes; split the file"
        raise ConfigError([Problem(file, "a larger file", expected)])
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        where = f"{file}:{_line_at(data, error.start)}"
        found = f"the byte 0x{data[error.start]:02x}, which is not UTF-8"
        raise ConfigError([Problem(where, found, "UTF-8 text")]) from error
    # libyaml takes time that grows with the square of the number of tag directives.
    directive = re.search("^%", text, re.MULTILINE)
    if directive:
        line = text.count("\n", 0, directive.start()) + 1
        raise ConfigError([Problem(f"{file}:{line}", "a line that begins with %", "no directives")])
    try:
        yield from yaml.parse(text, Loader=yaml.CSafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{file}:{mark.line + 1}" if mark else file
        raise ConfigError([Problem(where, error.problem or "an error", "YAML")]) from error
    except yaml.reader.ReaderError as error:
        where = f"{file}:{_line_at(data, error.position)}"
        raise ConfigError([Problem(where, "a control character", "YAML")]) from error


def _resolve(event: yaml.ScalarEvent) -> object:
    """What a plain scalar means in YAML 1.1; a quoted one is text.

    Numbers that only YAML 1.1 knows (sexagesimal, with base prefix) stay text, as for Kubernetes.
    """
    text: str = event.value
    if not event.implicit[0]:
        return text
    tag = _RESOLVER.resolve(yaml.ScalarNode, text, (True, False))  # type: ignore[no-untyped-call]
    kind = str(tag).rpartition(":")[2]
    if kind == "null":
        return None
    if kind == "bool":
        return text.lower() in _TRUE
    if kind in ("int", "float"):
        for number in (int, float):
            try:
                return number(text)
            except ValueError:
                continue
    return text


def _line(event: yaml.Event) -> int:
    return event.start_mark.line + 1 if event.start_mark else 1


def _line_at(data: bytes, offset: int) -> int:
    return data.count(b"\n", 0, offset) + 1
