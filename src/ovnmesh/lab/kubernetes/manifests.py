"""The folder of manifests that stands for a lab site's Kubernetes API.

Called by `runner`; the site's controller watches the folder. Reads and writes files only: what a
Subnet means in OVN is `logical`'s business. Every file is written beside its place and renamed, so
the controller never reads half of one.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ovnmesh.errors import ConfigError, Problem
from ovnmesh.lab.state import write_whole
from ovnmesh.lab.values.layout import compute_subnet
from ovnmesh.lab.values.topology import ROUTER, Site, Subnet
from ovnmesh.providers.cluster import parse_subnet

Manifest = Mapping[str, Any]

IC_NB_PORT = 6645
"""The documents' default of ``ic-nb-port``."""
IC_SB_PORT = 6646
"""The documents' default of ``ic-sb-port``."""


@dataclass(frozen=True, slots=True)
class Change:
    """What became of one object.

    Attributes:
        kind: its kind, e.g. ``Subnet``.
        name: its name.
        before: the manifest that stood there, or None.
        after: the manifest that stands there now, or None if it was removed.
    """

    kind: str
    name: str
    before: Manifest | None
    after: Manifest | None


def parse_manifests(text: str, where: str) -> tuple[Manifest, ...]:
    """Split a YAML stream into manifests.

    Args:
        text: one or more YAML documents; a ``List`` counts as its items.
        where: name of the file, for errors.

    Raises:
        ConfigError: it is not YAML, or a document has no kind or name.
    """
    try:
        documents = [document for document in yaml.safe_load_all(text) if document is not None]
    except yaml.YAMLError as error:
        raise ConfigError([Problem(where, str(error), "YAML documents")]) from error
    manifests: list[Manifest] = []
    for document in documents:
        is_list = isinstance(document, dict) and document.get("kind") == "List"
        manifests += document.get("items") or [] if is_list else [document]
    problems = [
        Problem(f"{where}, document {i}", "no kind or no metadata.name", "both, as strings")
        for i, manifest in enumerate(manifests, start=1)
        if _key(manifest) is None
    ]
    if problems or not manifests:
        raise ConfigError(problems or [Problem(where, "no document", "at least one manifest")])
    return tuple(manifests)


def read_subnet(site: str, manifest: Manifest | None) -> Subnet | None:
    """Compute the switch a manifest stands for; None if it is not a Subnet of the lab's router.

    Args:
        site: name of the site.
        manifest: the manifest; None stands for none.

    Raises:
        ConfigError: it is a Subnet, and wrong.
        LabError: a network of it is too small.
    """
    if manifest is None or manifest["kind"] != "Subnet":
        return None
    subnet = parse_subnet(manifest, f"Subnet {manifest['metadata']['name']}")
    return compute_subnet(site, subnet.name, subnet.cidrs) if subnet.vpc == ROUTER else None


def first_manifests(site: Site) -> tuple[Manifest, ...]:
    """Make the manifests of a new site: Subnets, Nodes and ConfigMap, as in the documents."""
    config = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "ovn-ic-config", "namespace": "kube-system"},
        "data": {
            "enable-ic": _boolean(site.enable_ic),
            "az-name": site.name,
            "ic-db-host": site.ic_db_host,
            "ic-nb-port": str(IC_NB_PORT),
            "ic-sb-port": str(IC_SB_PORT),
            "gw-nodes": ",".join(site.gw_nodes),
            "auto-route": _boolean(site.auto_route),
        },
    }
    nodes = [
        {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": node.name},
            "status": {
                "addresses": [
                    {"type": "InternalIP", "address": str(node.address.ip)},
                    {"type": "Hostname", "address": node.name},
                ]
            },
        }
        for node in site.nodes
    ]
    return (_subnet(site.ovn_default), _subnet(site.join), *nodes, config)


def write_first_manifests(site: Site) -> None:
    """Write the manifests of a new site into its folder."""
    site.manifests.mkdir(parents=True, exist_ok=True)
    made = first_manifests(site)
    for name, kind in (
        ("subnets.yaml", "Subnet"),
        ("nodes.yaml", "Node"),
        ("ovn-ic-config.yaml", "ConfigMap"),
    ):
        _write(site.manifests / name, [m for m in made if m["kind"] == kind])


def apply_manifests(folder: Path, manifests: Iterable[Manifest]) -> tuple[Change, ...]:
    """Put manifests into the folder, each in place of the object of the same kind and name.

    Args:
        folder: the site's manifests.
        manifests: parsed by `parse_manifests`.

    Returns:
        What changed, in the order given; nothing for an object that is the same already.
    """
    changes = []
    for manifest in manifests:
        kind, name = _known_key(manifest)
        path, others, before = _find(folder, kind, name)
        if before == manifest:
            continue
        _write(path, [*others, manifest])
        changes.append(Change(kind, name, before, manifest))
    return tuple(changes)


def delete_manifests(folder: Path, manifests: Iterable[Manifest]) -> tuple[Change, ...]:
    """Take objects out of the folder, by kind and name; those not there are passed over.

    Args:
        folder: the site's manifests.
        manifests: parsed by `parse_manifests`.

    Returns:
        What was removed, in the order given.
    """
    changes = []
    for manifest in manifests:
        kind, name = _known_key(manifest)
        path, others, before = _find(folder, kind, name)
        if before is None:
            continue
        if others:
            _write(path, others)
        else:
            path.unlink()
        changes.append(Change(kind, name, before, None))
    return tuple(changes)


def _find(folder: Path, kind: str, name: str) -> tuple[Path, list[Manifest], Manifest | None]:
    """Find an object: its file, the file's other objects, and itself if it is there."""
    for path in sorted(folder.glob("*.yaml")):
        others, before = [], None
        for manifest in _read(path):
            if _key(manifest) == (kind, name):
                before = manifest
            else:
                others.append(manifest)
        if before is not None:
            return path, others, before
    return folder / f"{kind.lower()}-{name}.yaml", [], None


def _read(path: Path) -> Iterator[Manifest]:
    yield from parse_manifests(path.read_text(), str(path))


def _write(path: Path, manifests: Iterable[Manifest]) -> None:
    write_whole(path, yaml.safe_dump_all([dict(m) for m in manifests], sort_keys=False))


def _key(manifest: object) -> tuple[str, str] | None:
    if not isinstance(manifest, Mapping) or not isinstance(manifest.get("metadata"), Mapping):
        return None
    kind, name = manifest.get("kind"), manifest["metadata"].get("name")
    return (kind, name) if isinstance(kind, str) and isinstance(name, str) else None


def _known_key(manifest: Manifest) -> tuple[str, str]:
    return manifest["kind"], manifest["metadata"]["name"]


def _subnet(subnet: Subnet) -> Manifest:
    return {
        "apiVersion": "kubeovn.io/v1",
        "kind": "Subnet",
        "metadata": {"name": subnet.name},
        "spec": {
            "cidrBlock": ",".join(str(cidr) for cidr in subnet.cidrs),
            "gateway": ",".join(str(gateway.ip) for gateway in subnet.gateways),
        },
    }


def _boolean(value: bool) -> str:
    return "true" if value else "false"
