"""The Kubernetes API that configures a lab's site: what it is loaded with, and changes to it.

Called by `boot` and `objects`, for labs with API servers; imported only then, because its client is
a large package. `apiserver` runs the servers; what a Subnet means in OVN is `logical`'s business.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

import httpx2
import yaml
from lightkube import ApiError, Client, KubeConfig
from lightkube.core.resource import NamespacedResource
from lightkube.generic_resource import create_global_resource
from lightkube.models.authentication_v1 import TokenRequestSpec
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources import core_v1
from lightkube.resources import rbac_authorization_v1 as rbac_v1
from lightkube.resources.apiextensions_v1 import CustomResourceDefinition
from lightkube.types import PatchType

from ovnmesh.errors import LabError
from ovnmesh.host.process import wait_until
from ovnmesh.lab.kubernetes import apiserver
from ovnmesh.lab.kubernetes.manifests import Change, Manifest, first_manifests, parse_manifests
from ovnmesh.lab.values.topology import Site

CONTROLLER = "ovnmesh-controller"
"""ServiceAccount of the controllers (deploy/)."""
CONTROLLER_NAMESPACE = "ovnmesh"
"""Namespace of the controllers (deploy/)."""

_DEPLOY = Path(__file__).parents[4] / "deploy" / "base"
_FOLDERS = ("crd", "namespace", "controller")
_CRD = "CustomResourceDefinition"
_KINDS = (
    *("Namespace", "ServiceAccount"),
    *("ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"),
)
"""What of deploy/ a controller outside of the cluster needs, in the order it can be made."""
_MANAGER = "ovnmesh-lab"
_TOKEN_S = 365 * 24 * 3600
_ESTABLISHED_TIMEOUT_S = 30.0

_RESOURCES: dict[tuple[str, str], Any] = {
    ("v1", "ConfigMap"): core_v1.ConfigMap,
    ("v1", "Namespace"): core_v1.Namespace,
    ("v1", "Node"): core_v1.Node,
    ("v1", "ServiceAccount"): core_v1.ServiceAccount,
    **{
        ("rbac.authorization.k8s.io/v1", kind.__name__): kind
        for kind in (
            *(rbac_v1.ClusterRole, rbac_v1.ClusterRoleBinding),
            *(rbac_v1.Role, rbac_v1.RoleBinding),
        )
    },
    ("kubeovn.io/v1", "Subnet"): create_global_resource("kubeovn.io", "v1", "Subnet", "subnets"),
    ("ovnmesh.io/v1", "Interconnection"): create_global_resource(
        "ovnmesh.io", "v1", "Interconnection", "interconnections"
    ),
}
"""Kinds the lab applies; the client needs a class to know their paths."""


def check_deploy() -> None:
    """Check that there are the manifests that a real cluster is given, which the lab loads too.

    Raises:
        LabError: there are none: ovnmesh runs from an installed package, not from a checkout.
    """
    if not all((_DEPLOY / folder).is_dir() for folder in _FOLDERS):
        raise LabError(
            f"{_DEPLOY}: not found; expected the manifests that are installed in clusters; "
            "run --kubernetes from a checkout of ovnmesh (pip install -e)"
        )


def load_first_objects(site: Site) -> None:
    """Load a new site's API with what a cluster has, and write the controllers' kubeconfig.

    That is: our own CRD, Kube-OVN's, the controllers' ServiceAccount with its Roles, and the same
    manifests that the folder provider gets. The API server must be ready.

    Raises:
        LabError: the API refuses something.
    """
    ours = read_deploy()
    crds = [manifest for manifest in ours if manifest["kind"] == _CRD]
    crds += parse_manifests(
        (files("ovnmesh.lab") / "data" / "kube-ovn-subnets.yaml").read_text(), "Subnet's CRD"
    )
    with _client(site) as client:
        # Not applied but created: servers before 1.25 do not know the CEL rules and drop them,
        # while a server-side apply of unknown fields is an error.
        for crd in crds:
            definition: Any = CustomResourceDefinition.from_dict(dict(crd))
            with _explained(site, crd):
                client.create(definition)
        access = [manifest for manifest in ours if manifest["kind"] in _KINDS]
        for manifest in sorted(access, key=lambda manifest: _KINDS.index(manifest["kind"])):
            _apply(site, client, manifest)
        _write_controller_kubeconfig(site, client)
        _wait_served(site, client, crds)
        for manifest in first_manifests(site):
            _apply(site, client, manifest)


def apply_manifests(site: Site, manifests: Iterable[Manifest]) -> tuple[Change, ...]:
    """Apply manifests through a site's API, each whole: fields applied before and missing now go.

    Args:
        site: the site.
        manifests: parsed by `manifests.parse_manifests`.

    Returns:
        What changed, in the order given; nothing for an object that is the same already.

    Raises:
        LabError: the API refuses one; those before it are applied.
    """
    with _client(site) as client:
        changes = (_apply(site, client, manifest) for manifest in manifests)
        return tuple(change for change in changes if change is not None)


def delete_manifests(site: Site, manifests: Iterable[Manifest]) -> tuple[Change, ...]:
    """Delete objects through a site's API; those not there are passed over.

    Args:
        site: the site.
        manifests: parsed by `manifests.parse_manifests`; kind and name count.

    Returns:
        What was removed, in the order given.

    Raises:
        LabError: the API refuses to delete one.
    """
    changes = []
    with _client(site) as client:
        for manifest in manifests:
            before = _get(site, client, manifest)
            if before is None:
                continue
            kind, name, namespace = _place(site, manifest)
            with _explained(site, manifest):
                client.delete(kind, name, namespace=namespace)
            changes.append(Change(manifest["kind"], name, before, None))
    return tuple(changes)


@contextmanager
def _client(site: Site) -> Iterator[Client]:
    # Proxies of the environment have no business between two loopback addresses.
    client = Client(KubeConfig.from_file(site.kubeconfig), trust_env=False, field_manager=_MANAGER)
    try:
        yield client
    finally:
        client.close()


@contextmanager
def _explained(site: Site, manifest: Manifest) -> Iterator[None]:
    """Turn errors of the client into ours."""
    what = f"site {site.name}: {manifest['kind']} {manifest['metadata']['name']}"
    try:
        yield
    except ApiError as error:
        raise LabError(f"{what}: the API refuses: {error.status.message}") from error
    except httpx2.HTTPError as error:
        raise LabError(
            f"{what}: {site.api_server} does not answer: {error!r}; see: ovnmesh lab status"
        ) from error


def _place(site: Site, manifest: Manifest) -> tuple[Any, str, str | None]:
    """Resource class, name, and namespace if it has one, of a manifest's object."""
    key = (manifest.get("apiVersion", ""), manifest["kind"])
    kind = _RESOURCES.get(key)
    if kind is None:
        known = ", ".join(f"{kind} ({version})" for version, kind in _RESOURCES)
        raise LabError(
            f"site {site.name}: found kind {key[1]} ({key[0]}); expected one of {known}; "
            f"for others use kubectl with {site.kubeconfig}"
        )
    metadata = manifest["metadata"]
    namespaced = issubclass(kind, NamespacedResource)
    return kind, metadata["name"], metadata.get("namespace", "default") if namespaced else None


def _get(site: Site, client: Client, manifest: Manifest) -> Manifest | None:
    kind, name, namespace = _place(site, manifest)
    with _explained(site, manifest):
        try:
            found: Manifest = client.get(kind, name, namespace=namespace).to_dict()
        except ApiError as error:
            if error.status.code == 404:
                return None
            raise
    return found


def _apply(site: Site, client: Client, manifest: Manifest) -> Change | None:
    kind, name, namespace = _place(site, manifest)
    before = _get(site, client, manifest)
    document = dict(manifest)
    status = document.pop("status", None)
    with _explained(site, manifest):
        # The manifest itself is sent, so that the server, not the client, judges its fields.
        options: dict[str, Any] = {
            "namespace": namespace,
            "patch_type": PatchType.APPLY,
            "force": True,
        }
        after = client.patch(kind, name, document, **options).to_dict()
        if status is not None:
            # A status is written through its own subresource only.
            short = {key: manifest[key] for key in ("apiVersion", "kind")}
            short |= {"metadata": {"name": name}, "status": status}
            after = client.patch(kind.Status, name, short, **options).to_dict()
    if before is not None and _version(before) == _version(after):
        return None
    return Change(manifest["kind"], name, before, manifest)


def _version(manifest: Manifest) -> str:
    return str(manifest["metadata"]["resourceVersion"])


def read_deploy() -> list[Manifest]:
    """Read the manifests of deploy/ that the lab chooses from."""
    paths = [path for folder in _FOLDERS for path in sorted((_DEPLOY / folder).glob("*.yaml"))]
    return [manifest for path in paths for manifest in yaml.safe_load_all(path.read_text())]


def _wait_served(site: Site, client: Client, crds: Iterable[Manifest]) -> None:
    """Wait until objects of new kinds can be written, and the namespace of the ConfigMap exists.

    Says more than the condition Established, which comes a moment before the first request works.
    """
    kinds = [
        _RESOURCES[f"{spec['group']}/{spec['versions'][0]['name']}", spec["names"]["kind"]]
        for spec in (crd["spec"] for crd in crds)
    ]

    def served() -> bool:
        try:
            for kind in kinds:
                list(client.list(kind))
            client.get(core_v1.Namespace, "kube-system")
        except ApiError as error:
            if error.status.code == 404:
                return False
            raise LabError(f"site {site.name}: {error.status.message}") from error
        except httpx2.HTTPStatusError as error:
            # Before a kind is served, the answer is plain text.
            if error.response.status_code == 404:
                return False
            raise
        return True

    what = f"site {site.name}: {site.api_server} serves the new kinds"
    wait_until(served, what, _ESTABLISHED_TIMEOUT_S, interval_s=0.1)


def _write_controller_kubeconfig(site: Site, client: Client) -> None:
    """Give the controllers what their pods have in a cluster: their ServiceAccount's token."""
    request = core_v1.ServiceAccountToken(
        metadata=ObjectMeta(), spec=TokenRequestSpec(expirationSeconds=_TOKEN_S)
    )
    where = {"kind": "ServiceAccount", "metadata": {"name": CONTROLLER}}
    with _explained(site, where):
        answer = client.create(request, CONTROLLER, namespace=CONTROLLER_NAMESPACE)
    token = answer.to_dict()["status"]["token"]
    apiserver.write_kubeconfig(site, site.controller_kubeconfig, CONTROLLER, token)
