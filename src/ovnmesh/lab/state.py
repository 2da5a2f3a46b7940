"""What a lab remembers between two commands: one file in its run directory.

Called by `runner`. Everything else is computed from it, or found by asking the kernel: namespaces
by their prefix, processes by the namespace they are in. So nothing can be remembered wrongly, and a
lab whose start was interrupted is removed like any other.
"""

import json
from dataclasses import dataclass, replace
from ipaddress import ip_network
from pathlib import Path

import yaml

from ovnmesh.errors import LabError
from ovnmesh.lab.values.layout import compute_lab, compute_pod, compute_subnet
from ovnmesh.lab.values.spec import LabSpec, parse_spec
from ovnmesh.lab.values.topology import ROUTER, Lab, Pod, Site, Subnet

_STATE = "lab.json"
_SITES = "sites.yaml"


@dataclass(frozen=True, slots=True)
class AddedPod:
    """A pod added after the start.

    Attributes:
        site: its site.
        name: its name.
        node: its node.
        subnet: its subnet.
        position: position of its addresses in the subnet's networks.
    """

    site: str
    name: str
    node: str
    subnet: str
    position: int


@dataclass(frozen=True, slots=True)
class LabState:
    """What `lab.json` holds.

    Attributes:
        spec: what was asked for.
        bare: whether the lab runs OVN and the interconnection databases only.
        subnets: networks of the subnets added after the start, by site and name.
        pods: pods added after the start.
    """

    spec: LabSpec
    bare: bool
    subnets: dict[str, dict[str, tuple[str, ...]]]
    pods: tuple[AddedPod, ...]

    def subnet(self, lab: Lab, site: str, name: str) -> Subnet:
        """Find a subnet of a site, first or added.

        Raises:
            LabError: there is none, or the site is an OpenStack one.
        """
        at = lab.site(site)
        if at.openstack:
            raise LabError(f"site {site}: has networks of Neutron, not Subnets; use its API")
        for subnet in (at.ovn_default, at.join):
            if subnet.name == name:
                return subnet
        cidrs = self.subnets.get(site, {}).get(name)
        if cidrs is None:
            raise LabError(
                f"site {site}: no Subnet {name!r}; make it with: ovnmesh lab apply {site} -f FILE"
            )
        return compute_subnet(site, name, tuple(ip_network(cidr) for cidr in cidrs))

    def lab(self, directory: Path) -> Lab:
        """Compute the lab, with the pods added since its start."""
        lab = compute_lab(self.spec, directory)
        pods: dict[str, list[Pod]] = {}
        for added in self.pods:
            place = (self.subnet(lab, added.site, added.subnet), added.position)
            pod = compute_pod(lab.prefix, added.site, added.name, added.node, place)
            pods.setdefault(added.site, []).append(pod)
        sites = tuple(
            replace(site, pods=(*site.pods, *pods.get(site.name, ()))) for site in lab.sites
        )
        return replace(lab, sites=sites)


def create_state(directory: Path, state: LabState) -> None:
    """Claim a run directory for a new lab, before anything else of it is made.

    Raises:
        LabError: the directory holds a lab, or something that is not a lab's.
    """
    if directory.is_dir() and (directory / _STATE).exists():
        raise LabError(
            f"{directory}: there is a lab already; remove it with 'ovnmesh lab down', "
            "or choose another directory with OVNMESH_LAB_DIR"
        )
    try:
        directory.mkdir(parents=True, exist_ok=True)
        found = next(directory.iterdir(), None)
    except OSError as error:
        raise LabError(f"{directory}: cannot be used as run directory: {error}") from error
    if found is not None:
        raise LabError(
            f"{directory}: holds {found.name}; expected an empty or missing directory, "
            "because 'lab down' removes it whole"
        )
    save_state(directory, state)


def save_state(directory: Path, state: LabState) -> None:
    """Write the state, whole or not at all."""
    document = {
        "spec": state.spec.model_dump(mode="json"),
        "bare": state.bare,
        "subnets": state.subnets,
        "pods": [
            {field: getattr(pod, field) for field in AddedPod.__slots__} for pod in state.pods
        ],
    }
    write_whole(directory / _STATE, json.dumps(document, indent=2) + "\n")


def load_state(directory: Path) -> LabState:
    """Read the state.

    Raises:
        LabError: there is no lab in the directory.
    """
    path = directory / _STATE
    try:
        document = json.loads(path.read_text())
    except FileNotFoundError as error:
        raise LabError(f"{directory}: no lab here; start one with: ovnmesh lab up") from error
    except ValueError as error:
        raise LabError(f"{path}: {error}; remove the lab with: ovnmesh lab down") from error
    return LabState(
        spec=parse_spec(document["spec"], str(path)),
        bare=document["bare"],
        subnets={
            site: {name: tuple(cidrs) for name, cidrs in subnets.items()}
            for site, subnets in document["subnets"].items()
        },
        pods=tuple(AddedPod(**pod) for pod in document["pods"]),
    )


def is_lab_directory(directory: Path) -> bool:
    """Tell whether a directory is a lab's, and so may be removed whole.

    A start interrupted before its first file was complete leaves at most that file's beginning.
    """
    if not directory.is_dir():
        return False
    names = {path.name for path in directory.iterdir()}
    return _STATE in names or names <= {_partial(directory / _STATE).name}


def save_sites(lab: Lab) -> None:
    """Write ``sites.yaml``, by which ``ovnmesh status az1`` finds a site's databases."""
    document = {"sites": {site.name: site_entry(lab, site) for site in lab.sites}}
    write_whole(lab.directory / _SITES, yaml.safe_dump(document, sort_keys=False))


def site_entry(lab: Lab, site: Site) -> dict[str, str]:
    """A site's connections, as in ``sites.yaml``; with an API server there is no folder.

    The router of an OpenStack site, the first, is not known before Neutron has made it.
    """
    entry = {
        "nb": site.nb,
        "sb": site.sb,
        "ic_nb": lab.ic_nb,
        "ic_sb": lab.ic_sb,
    }
    if site.openstack:
        made = site.openstack.routers_file
        routers = json.loads(made.read_text()) if made.exists() else {}
        first = next(iter(routers.values()), None)
        return entry | {"router": first} if first else entry
    entry["router"] = ROUTER
    return entry if site.api_address else entry | {"config": str(site.manifests)}


def write_whole(path: Path, text: str) -> None:
    """Write a file so that a reader sees all of it or none: a partial file, then a rename."""
    partial = _partial(path)
    partial.write_text(text)
    partial.replace(path)


def _partial(path: Path) -> Path:
    # A leading dot: folders of manifests are read by their *.yaml names.
    return path.with_name(f".{path.name}.new")
