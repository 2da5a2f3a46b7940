"""Bytes of a YAML file -> plain values with their lines, refusing what no manifest needs.

Called by the providers that read manifests. Pure. PyYAML composes and constructs; this adds where a
mapping and its keys stand, and refuses what would let a small file do harm: keys twice, tags, deep
nesting, very many values, and aliases of collections (nested, a few lines stand for gigabytes).

libyaml's events are composed by PyYAML's `Composer` and not by that of `CSafeLoader`, which ends
the process at some ten thousand brackets (PyYAML 6.0.3). libyaml is needed: manifests with tabs
before comments, as in the documents, are refused by PyYAML's own parser.
"""

import re
from typing import Any

import yaml
from yaml.composer import Composer
from yaml.constructor import SafeConstructor

from ovnmesh.config import describe, quote
from ovnmesh.errors import ConfigError, Problem

MAX_FILE_BYTES = 1024 * 1024
"""Largest file read; etcd and so Kubernetes accept objects up to about this size."""
_MAX_DEPTH = 32
# A file of that size made of manifests has 50,000 to 100,000 values; made of commas, 500,000.
_MAX_VALUES = 100_000
_TAG = "tag:yaml.org,2002:"


class LocatedDict(dict[object, object]):
    """A YAML mapping that knows where it stands.

    Attributes:
        line: its first line in the file, counted from 1.
        lines: the line of each key.
    """

    def __init__(self, line: int) -> None:
        super().__init__()
        self.line = line
        self.lines: dict[object, int] = {}


class _Loader(Composer, yaml.CSafeLoader):
    """Loads the documents of one file."""

    def __init__(self, text: str, file: str) -> None:
        Composer.__init__(self)
        yaml.CSafeLoader.__init__(self, text)
        self._file = file
        self._depth = 0
        self._values = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event: Any = self.peek_event()
        self._values += 1
        if self._values > _MAX_VALUES:
            raise self._wrong(event, f"more than {_MAX_VALUES} values", "several smaller files")
        if isinstance(event, yaml.AliasEvent):
            if not isinstance(self.anchors.get(event.anchor), yaml.ScalarNode):
                expected = "the value itself; only plain values are repeated"
                raise self._wrong(event, f"the alias *{event.anchor}", expected)
        elif event.tag not in (None, f"{_TAG}str"):
            raise self._wrong(event, f"the tag {quote(str(event.tag))}", "no tags")
        else:  # YAML 1.1, section 3.2.2.2: a later anchor of the same name takes its place
            self.anchors.pop(event.anchor, None)
        if self._depth > _MAX_DEPTH:
            raise self._wrong(event, f"more than {_MAX_DEPTH} levels", "a manifest, less nested")
        self._depth += 1
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> LocatedDict:
        mapping = LocatedDict(_line(node))
        for key_node, value_node in node.value:
            key = self.construct_object(key_node)
            if not isinstance(key_node, yaml.ScalarNode):
                raise self._wrong(key_node, f"{describe(key)} as a key", "a plain word as the key")
            if key in mapping:
                raise self._wrong(key_node, f"the key {describe(key)} twice", "each key only once")
            if key == "<<":
                raise self._wrong(key_node, "a merge key (<<)", "the keys themselves")
            mapping[key] = self.construct_object(value_node)
            mapping.lines[key] = _line(key_node)
        return mapping

    def construct_number(self, node: yaml.ScalarNode) -> object:
        """Numbers that only YAML 1.1 knows (1:20, 0x1) stay text, as for Kubernetes."""
        for number in (int, float):
            try:
                return number(node.value)
            except ValueError:
                continue
        return node.value

    def _wrong(self, where: yaml.Event | yaml.Node, found: str, expected: str) -> ConfigError:
        return ConfigError([Problem(f"{self._file}:{_line(where)}", found, expected)])

    #: Anything else, such as a date, stays text.
    yaml_constructors = {  # noqa: RUF012 - so it is declared by PyYAML
        f"{_TAG}null": SafeConstructor.construct_yaml_null,
        f"{_TAG}bool": SafeConstructor.construct_yaml_bool,
        f"{_TAG}int": construct_number,
        f"{_TAG}float": construct_number,
        f"{_TAG}seq": SafeConstructor.construct_sequence,
        f"{_TAG}map": construct_mapping,
        None: SafeConstructor.construct_scalar,
    }


def parse_documents(data: bytes, file: str) -> list[object]:
    """Parse a file of YAML documents.

    Mappings come as `LocatedDict`, other values as list, str, bool, int, float or None.

    Args:
        data: content of the file.
        file: its name, for errors.

    Raises:
        ConfigError: it is not YAML, or holds what no manifest needs; with file and line.
    """
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
        loader = _Loader(text, file)
        documents = []
        while loader.check_node():
            documents.append(loader.get_data())
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{file}:{mark.line + 1}" if mark else file
        raise ConfigError([Problem(where, error.problem or "an error", "YAML")]) from error
    except yaml.reader.ReaderError as error:
        where = f"{file}:{_line_at(data, error.position)}"
        raise ConfigError([Problem(where, "a control character", "YAML")]) from error
    return documents


def _line(where: yaml.Event | yaml.Node) -> int:
    return where.start_mark.line + 1 if where.start_mark else 1


def _line_at(data: bytes, offset: int) -> int:
    return data.count(b"\n", 0, offset) + 1
