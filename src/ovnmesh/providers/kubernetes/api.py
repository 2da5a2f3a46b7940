"""Requests to the Kubernetes API, by lightkube; the one place where its exceptions become ours.

Called by the provider and the publisher. Knows where the API is and who we are: a kubeconfig, or
the service account of the pod, whose token is read again when it has expired. Must not decide what
to read or write.
"""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import kopf
import msgspec
import yaml
from lightkube import Client, KubeConfig, SingleConfig
from lightkube.core.exceptions import ApiError, ConfigError
from lightkube.models.meta_v1 import Status
from lightkube.types import PatchType

from ovnmesh.errors import ProviderError
from ovnmesh.providers.kubernetes.kinds import EVENT, INTERCONNECTIONS, NODES, Body, Kind

#: Identifies what we wrote in ``metadata.managedFields``.
FIELD_MANAGER = "ovnmesh-controller"
_TIMEOUT_S = 5.0
_CHUNK = 250
_HINTS: dict[int, str] = {
    httpx2.codes.FORBIDDEN: "; expected the rules of the project's ClusterRole and Roles",
    httpx2.codes.UNAUTHORIZED: "; expected a valid token or certificate",
}


class KindUnknown(ProviderError):
    """The API serves no such kind."""


class Api:
    """Requests to one cluster's API.

    Args:
        kubeconfig: file with the cluster and credentials; None for the pod's service account, else
            the file that the environment variable KUBECONFIG names, else ``~/.kube/config``.
    """

    def __init__(self, kubeconfig: Path | None) -> None:
        self._kubeconfig = kubeconfig
        self._client: Any = None
        self._lock = threading.Lock()
        # msgspec crashes when two threads convert to one model for the first time at once (0.22);
        # this is the model of refusals, and `_load` has a lock for those of kubeconfigs.
        Status.from_dict({"message": "", "details": {"causes": [{}]}})

    def list(self, kind: Kind) -> Iterator[Body]:
        """Every object of a kind, some at a time.

        Raises:
            KindUnknown: the API does not know the kind, which is when its CRD is not installed.
            ProviderError: the API cannot be asked, or refuses.
        """
        fields: dict[str, str | tuple[Any, ...]] | None = None
        if kind.name:
            fields = {"metadata.name": kind.name}
        namespace = {"namespace": kind.namespace} if kind.namespace else {}
        with _mapped(f"list {kind.plural}"):
            try:
                found = self._connect().list(
                    kind.resource, chunk_size=_CHUNK, fields=fields, **namespace
                )
                yield from (body for body in found if kind.wants(body))
            except httpx2.HTTPStatusError as error:
                if error.response.status_code == httpx2.codes.NOT_FOUND:
                    raise KindUnknown(f"no kind {kind.plural}") from error
                raise

    def label_node(self, name: str, labels: Mapping[str, str]) -> None:
        """Set labels of a Node, others stay.

        Raises:
            ProviderError: the API cannot be asked, or refuses.
        """
        patch = {"metadata": {"labels": dict(labels)}}
        with _mapped(f"patch Node {name}"):
            self._connect().patch(NODES.resource, name, patch, patch_type=PatchType.MERGE)

    def create_interconnection(self) -> bool:
        """Make the Interconnection if there is none; False if the API does not know the kind.

        Raises:
            ProviderError: the API cannot be asked, or refuses.
        """
        wanted = INTERCONNECTIONS.resource(metadata={"name": INTERCONNECTIONS.name})
        with _mapped("create the Interconnection"):
            try:
                self._connect().create(wanted)
            except httpx2.HTTPStatusError as error:
                if error.response.status_code == httpx2.codes.NOT_FOUND:
                    return False
                if error.response.status_code != httpx2.codes.CONFLICT:
                    raise
            return True

    def apply_status(self, status: Body) -> None:
        """Server-side apply the Interconnection's status.

        Raises:
            ProviderError: the API cannot be asked, or refuses.
        """
        wanted = INTERCONNECTIONS.resource.Status(
            metadata={"name": INTERCONNECTIONS.name}, status=status
        )
        with _mapped("apply the Interconnection's status"):
            self._connect().patch(
                INTERCONNECTIONS.resource.Status,
                INTERCONNECTIONS.name,
                wanted,
                patch_type=PatchType.APPLY,
                force=True,
            )

    def post_event(self, event: Body) -> None:
        """Record an Event; one of the same name is counted instead.

        Raises:
            ProviderError: the API cannot be asked, or refuses.
        """
        name, namespace = event["metadata"]["name"], event["metadata"]["namespace"]
        with _mapped(f"record Event {name}"):
            client = self._connect()
            try:
                client.create(EVENT(**event), namespace=namespace)
            except httpx2.HTTPStatusError as error:
                if error.response.status_code != httpx2.codes.CONFLICT:
                    raise
                known = client.get(EVENT, name, namespace=namespace)
                again = {
                    "count": (known.get("count") or 1) + 1,
                    "lastTimestamp": event["lastTimestamp"],
                }
                client.patch(EVENT, name, again, namespace=namespace, patch_type=PatchType.MERGE)

    def connection(self) -> kopf.ConnectionInfo:
        """Where the API is and who we are, in kopf's words.

        Raises:
            kopf.LoginError: that cannot be told.
        """
        try:
            with _mapped("log in"):
                return _connection_info(self._load())
        except ProviderError as error:
            raise kopf.LoginError(str(error)) from error

    def _connect(self) -> Any:
        config = self._load() if self._client is None else None
        with self._lock:
            if self._client is None:
                timeout = httpx2.Timeout(_TIMEOUT_S)
                self._client = Client(config, field_manager=FIELD_MANAGER, timeout=timeout)
            return self._client

    def _load(self) -> SingleConfig:
        with self._lock:
            file = self._kubeconfig
            config = KubeConfig.from_file(file) if file else KubeConfig.from_env()
        found = config.get()
        if found is None:
            raise ConfigError("no current context")
        return found


def _connection_info(config: SingleConfig) -> kopf.ConnectionInfo:
    cluster, user = config.cluster, config.user
    token = user.token if user else None
    if user and user.token_file:
        token = Path(user.token_file).read_text(encoding="utf-8").strip()

    def path(name: str | None) -> str | None:
        return str(config.abs_file(name)) if name else None

    return kopf.ConnectionInfo(
        server=cluster.server,
        ca_path=path(cluster.certificate_auth),
        ca_data=cluster.certificate_auth_data,
        insecure=cluster.insecure,
        token=token,
        username=user.username if user else None,
        password=user.password if user else None,
        certificate_path=path(user.client_cert) if user else None,
        certificate_data=user.client_cert_data if user else None,
        private_key_path=path(user.client_key) if user else None,
        private_key_data=user.client_key_data if user else None,
    )


@contextmanager
def _mapped(what: str) -> Iterator[None]:
    """Turn every failure of a request into a `ProviderError` that says what was tried."""
    try:
        yield
    except httpx2.HTTPStatusError as error:
        status = error.response.status_code
        said = error.status.message if isinstance(error, ApiError) else ""
        said = said or f"HTTP status {status}"
        hint = _HINTS.get(status, "")
        raise ProviderError(f"Kubernetes API: cannot {what}: {said}{hint}") from error
    except httpx2.HTTPError as error:
        said = str(error) or type(error).__name__
        raise ProviderError(f"Kubernetes API: cannot {what}: {said}") from error
    except (ConfigError, OSError, KeyError, yaml.YAMLError, msgspec.MsgspecError) as error:
        raise ProviderError(
            f"Kubernetes API: cannot {what}: {error}; expected a kubeconfig (--kubeconfig or "
            "KUBECONFIG) or a pod's service account"
        ) from error
