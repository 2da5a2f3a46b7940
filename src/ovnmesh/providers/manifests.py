"""A folder of Kubernetes YAML as the source of configuration: lab, and OVN without a cloud.

Called by the controller. Reads the documents' own manifests, verbatim (ConfigMap `ovn-ic-config`,
Subnet, Node), and Interconnection; other kinds are passed over. Reports when the folder may have
changed. Must not decide what a wrong document means, and must not write.
"""

import os
import stat
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from ovnmesh.config import InterconnectConfig, describe, quote
from ovnmesh.errors import ConfigError, Problem, ProviderError
from ovnmesh.ovn_keys import DEFAULT_ROUTER
from ovnmesh.providers.base import Wish
from ovnmesh.providers.cluster import (
    CONFIG_NAME,
    CONFIG_NAMESPACE,
    INTERCONNECTION_NAME,
    Node,
    Subnet,
    parse_node,
    parse_subnet,
)
from ovnmesh.providers.files.watching import watch_folder
from ovnmesh.providers.files.yaml_documents import MAX_FILE_BYTES, LocatedDict, parse_documents
from ovnmesh.providers.sources import ADVICE, Document, choose_config, make_wish

# The documents call the object "ic-config" in the text and "ovn-ic-config" in the manifest.
_MISTAKEN_NAME = "ic-config"
# API group of each kind we read; the same kind of another group is somebody else's.
_GROUPS = {
    "ConfigMap": "",
    "Node": "",
    "Subnet": "kubeovn.io",
    "Interconnection": "ovnmesh.io",
}
_VERSION = "v1"

_Named = TypeVar("_Named", Subnet, Node)


class ManifestsProvider:
    """Implements `base.Provider` on a folder.

    Args:
        folder: holds the manifests, ``*.yaml`` and ``*.yml``; subfolders and names that begin
            with a dot are passed over.
        router: name of the cluster's logical router.
    """

    advice = ADVICE

    def __init__(self, folder: Path, router: str = DEFAULT_ROUTER) -> None:
        self._folder = folder
        self._router = router

    def read(self) -> Wish:
        """Read the folder now; depends on nothing but its content.

        Raises:
            ProviderError: the folder is missing or cannot be read.
        """
        reading = _Reading()
        for file, content in _read_files(self._folder):
            if isinstance(content, Problem):
                reading.problems.append(content)
                continue
            try:
                documents = parse_documents(content, file)
            except ConfigError as error:
                reading.problems += error.problems
                continue
            for document in documents:
                reading.add(document, file)
        return reading.wish(self._router)

    def watch(self, on_change: Callable[[], None], stop: threading.Event) -> None:
        """Block, calling `on_change` whenever a new `read` may differ, until `stop` is set.

        Args:
            on_change: called soon after every change, and once when watching begins.
            stop: ends the watch within some hundredths of a second.
        """
        watch_folder(self._folder, on_change, stop)


@dataclass(slots=True)
class _Reading:
    """What the documents say, and where; becomes a `Wish`."""

    configs: list[Document] = field(default_factory=list)
    subnets: dict[str, tuple[str, Subnet]] = field(default_factory=dict)
    nodes: dict[str, tuple[str, Node]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    nodes_complete: bool = True

    def add(self, document: object, file: str) -> None:
        """Take one document, or each item of a List."""
        if document is None:
            return
        if not isinstance(document, LocatedDict):
            expected = "a manifest, with apiVersion, kind and metadata"
            self.problems.append(Problem(file, describe(document), expected))
            return
        place = f"{file}:{document.line}"
        kind, version = document.get("kind"), document.get("apiVersion")
        items = document.get("items")
        if kind in ("List", *(f"{known}List" for known in _GROUPS)) and isinstance(items, list):
            for item in items:
                self.add(item, file)
        elif not isinstance(kind, str) or not isinstance(version, str):
            found = f"kind: {describe(kind)}, apiVersion: {describe(version)}"
            self.problems.append(Problem(place, found, "a manifest, with both as text"))
        elif kind in _GROUPS and version.rpartition("/")[0] == _GROUPS[kind]:
            if version.rpartition("/")[2] != _VERSION:
                expected = quote(f"{_GROUPS[kind]}/{_VERSION}".lstrip("/"))
                self.problems.append(Problem(f"{place}, apiVersion", quote(version), expected))
            else:
                self._add_known(kind, document, place)

    def _add_known(self, kind: str, document: LocatedDict, place: str) -> None:
        metadata = document.get("metadata")
        name = metadata.get("name") if isinstance(metadata, Mapping) else None
        namespace = metadata.get("namespace") if isinstance(metadata, Mapping) else None
        label = name if isinstance(name, str) and name.isprintable() else ""
        if kind == "ConfigMap":
            self._add_config_map(document, name, namespace, place)
            return
        if kind == "Interconnection":
            self._add_interconnection(document, name, place)
            return
        where = f"{kind} {label} ({place})".replace("  ", " ")
        try:
            if kind == "Subnet":
                self._add_named(self.subnets, parse_subnet(document, where), where)
            else:
                self._add_named(self.nodes, parse_node(document, where), where)
        except ConfigError as error:
            self.problems += error.problems
            self.nodes_complete &= kind != "Node"

    def _add_config_map(
        self, document: LocatedDict, name: object, namespace: object, place: str
    ) -> None:
        if name not in (CONFIG_NAME, _MISTAKEN_NAME):
            return
        where = f"ConfigMap ({place})"
        if name != CONFIG_NAME:
            self.problems.append(
                Problem(f"{where}, metadata.name", f'"{name}"', f'"{CONFIG_NAME}"')
            )
        elif namespace != CONFIG_NAMESPACE:
            expected = f'"{CONFIG_NAMESPACE}"; write namespace: {CONFIG_NAMESPACE}'
            found = describe(namespace)
            self.problems.append(Problem(f"{where}, metadata.namespace", found, expected))
        else:
            where = f"ConfigMap {CONFIG_NAMESPACE}/{CONFIG_NAME} ({place})"
            self.configs.append(Document(where, document.get("data")))

    def _add_interconnection(self, document: LocatedDict, name: object, place: str) -> None:
        if name != INTERCONNECTION_NAME:
            where = f"Interconnection ({place}), metadata.name"
            self.problems.append(Problem(where, describe(name), f'"{INTERCONNECTION_NAME}"'))
        elif document.get("spec") is not None:
            where = f"Interconnection {INTERCONNECTION_NAME} ({place})"
            self.configs.append(Document(where, document["spec"], typed=True))

    def _add_named(self, known: dict[str, tuple[str, _Named]], value: _Named, where: str) -> None:
        entry = (where, value)
        first = known.setdefault(value.name, entry)
        if first is not entry:
            found = f"the same name as {first[0]}"
            self.problems.append(Problem(where, found, "a name of its own"))

    def wish(self, router: str) -> Wish:
        """Everything taken, judged as a whole."""
        nodes = tuple(node for _, (_, node) in sorted(self.nodes.items()))
        subnets = tuple(subnet for _, subnet in self.subnets.values())
        wish = make_wish(self._config(nodes), subnets, nodes, router)
        return replace(wish, config_present=bool(self.configs), problems=tuple(self.problems))

    def _config(self, nodes: tuple[Node, ...]) -> InterconnectConfig | None:
        # A node that could not be parsed has its own problem; do not call it unknown as well.
        known = nodes if self.nodes_complete else ()
        config, problems = choose_config(self.configs, known)
        self.problems += problems
        return config


def _read_files(folder: Path) -> Iterator[tuple[str, bytes | Problem]]:
    """Name and content of every manifest file, in the order of their names."""
    try:
        names = sorted(os.listdir(folder))
    except OSError as error:
        expected = "expected a folder of manifests that can be read"
        raise ProviderError(f"folder {folder}: found {error.strerror}; {expected}") from error
    for name in names:
        if name.startswith(".") or not name.endswith((".yaml", ".yml")):
            continue
        label = name if name.isprintable() else quote(name)
        content = _read_file(folder / name, label)
        if content is not None:
            yield label, content


def _read_file(path: Path, label: str) -> bytes | Problem | None:
    """A file's content, what is wrong with it, or None if it went away meanwhile."""
    try:
        # Not to wait for the other end of a FIFO.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as opened:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                return Problem(label, "no regular file", "a file of YAML")
            content = opened.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError:
        if path.is_symlink():
            return Problem(label, "a link to nothing", "a file of YAML")
        return None
    except OSError as error:
        return Problem(label, f"an unreadable file ({error.strerror})", "a file of YAML")
    if not content:
        # Most writers truncate first and write then: this is a save half done, not a removal.
        return Problem(label, "an empty file", "YAML; to remove what it held, remove the file")
    return content
