"""Requests to the Kubernetes API, by lightkube; the one place where its exceptions become ours.

Called by the provider, the watch and the publisher. Knows where the API is and who we are: a
kubeconfig, or the service account of the pod, whose token is read again when it has expired. Must
not decide what to read or write.
"""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import yaml
from lightkube import Client, KubeConfig
from lightkube.config import client_adapter
from lightkube.core.decoders import decode_list
from lightkube.core.exceptions import ConfigError
from lightkube.models.meta_v1 import Status
from lightkube.types import PatchType

from ovnmesh.errors import ProviderError
from ovnmesh.providers.kubernetes.kinds import (
    EVENT,
    INTERCONNECTIONS,
    KINDS,
    NODES,
    Body,
    Kind,
    Reduced,
)
from ovnmesh.providers.kubernetes.stream import SILENCE_S, Stream

#: Identifies what we wrote in ``metadata.managedFields``.
FIELD_MANAGER = "ovnmesh-controller"
TIMEOUT_S = 5.0
#: Objects of a list in memory at a time: an object may be large.
_CHUNK = 250
_LONGEST_WAIT_S = 30.0
_HINTS: dict[int, str] = {
    httpx2.codes.FORBIDDEN: "; expected the rules of the project's ClusterRole and Roles",
    httpx2.codes.UNAUTHORIZED: "; expected a valid token or certificate",
}


UNKNOWN = httpx2.codes.NOT_FOUND
"""Status of a list or watch of a kind that the API does not serve: its CRD is not installed."""
GONE = httpx2.codes.GONE
"""Status of a watch from a version that the API does not remember."""


class Refused(ProviderError):
    """The API has answered, and not with what was asked for.

    Args:
        text: what was tried, and what the API said.
        response: its answer.
    """

    def __init__(self, text: str, response: httpx2.Response) -> None:
        super().__init__(text)
        self.status: int = response.status_code
        wish = response.headers.get("Retry-After", "")
        #: Seconds that it wants us to wait.
        self.wait_s = min(float(wish), _LONGEST_WAIT_S) if wish.isdecimal() else 0.0


class Api:
    """Requests to one cluster's API.

    Args:
        kubeconfig: file with the cluster and credentials; None for the pod's service account, else
            the file that the environment variable KUBECONFIG names, else ``~/.kube/config``.
    """

    def __init__(self, kubeconfig: Path | None) -> None:
        self._kubeconfig = kubeconfig
        self._clients: tuple[Any, httpx2.Client] | None = None
        self._lock = threading.Lock()
        # msgspec crashes when two threads convert to one model for the first time at once (0.22):
        # these are the models of refusals and lists, and `_connect` has a lock for kubeconfigs.
        Status.from_dict({"message": "", "details": {"causes": [{}]}})
        for kind in KINDS:
            decode_list(b'{"items": [], "metadata": {}}', kind.resource)

    def list(self, kind: Kind) -> tuple[dict[str, Reduced], str]:
        """Every object of a kind, by name, and the version from which to watch.

        Raises:
            Refused: the API refuses; `UNKNOWN` if it does not know the kind.
            ProviderError: the API cannot be asked.
        """
        fields = {"metadata.name": kind.name} if kind.name else None
        namespace = {"namespace": kind.namespace} if kind.namespace else {}
        with self._mapped(f"list {kind.plural}"):
            found = self._connect()[0].list(
                kind.resource, chunk_size=_CHUNK, fields=fields, **namespace
            )
            objects = {
                body["metadata"]["name"]: kind.reduce(body) for body in found if kind.wants(body)
            }
            return objects, found.resourceVersion

    @contextmanager
    def watch(self, path: str, name: str, version: str) -> Iterator[Stream]:
        """Events of a collection, until the context is left.

        Args:
            path: path of the collection.
            name: the one object of interest, "" for all.
            version: events after it; "" for what there is, and all events after that.

        Raises:
            Refused: the API refuses; `GONE` if it does not remember the version.
            ProviderError: the API cannot be asked.
        """
        asked = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": version,
            "fieldSelector": name and f"metadata.name={name}",
        }
        params = {key: value for key, value in asked.items() if value}
        limits = httpx2.Timeout(TIMEOUT_S).as_dict()
        with self._mapped(f"watch {path.rpartition('/')[2]}"):
            client = self._connect()[1]
            request = client.build_request(
                "GET", path, params=params, extensions={"timeout": limits}
            )
            response = client.send(request, stream=True)
            if not response.is_success:
                response.read()
                response.raise_for_status()
        # It has answered; from here on it may be silent for as long as nothing changes.
        limits["read"] = SILENCE_S
        try:
            yield Stream(response)
        finally:
            response.close()

    def label_node(self, name: str, labels: Mapping[str, str]) -> None:
        """Set labels of a Node, others stay.

        Raises:
            ProviderError: the API cannot be asked, or refuses.
        """
        patch = {"metadata": {"labels": dict(labels)}}
        with self._mapped(f"patch Node {name}"):
            self._connect()[0].patch(NODES.resource, name, patch, patch_type=PatchType.MERGE)

    def create_interconnection(self) -> bool:
        """Make the Interconnection if there is none; False if the API does not know the kind.

        Raises:
            ProviderError: the API cannot be asked, or refuses.
        """
        wanted = INTERCONNECTIONS.resource(metadata={"name": INTERCONNECTIONS.name})
        with self._mapped("create the Interconnection"):
            try:
                self._connect()[0].create(wanted)
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
        with self._mapped("apply the Interconnection's status"):
            self._connect()[0].patch(
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
        with self._mapped(f"record Event {name}"):
            client = self._connect()[0]
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

    def _connect(self) -> tuple[Any, httpx2.Client]:
        """A client for requests, and one for watches.

        Raises:
            ConfigError: there is no telling where the API is, or who we are.
        """
        with self._lock:
            if self._clients is None:
                file = self._kubeconfig
                try:
                    found = (KubeConfig.from_file(file) if file else KubeConfig.from_env()).get()
                except (KeyError, yaml.YAMLError, msgspec.MsgspecError) as error:
                    raise ConfigError(str(error)) from error
                if found is None:
                    raise ConfigError("no current context")
                timeout = httpx2.Timeout(TIMEOUT_S)
                self._clients = (
                    Client(found, field_manager=FIELD_MANAGER, timeout=timeout),
                    client_adapter.Client(found, client_adapter.ConnectionParams(timeout)),
                )
            return self._clients

    @contextmanager
    def _mapped(self, what: str) -> Iterator[None]:
        """Turn every failure of a request into a `ProviderError` that says what was tried."""
        try:
            yield
        except httpx2.HTTPStatusError as error:
            status = error.response.status_code
            if status == httpx2.codes.UNAUTHORIZED:
                self._clients = None  # the kubeconfig may have other credentials by now
            text = f"Kubernetes API: cannot {what}: {_said(error.response)}{_HINTS.get(status, '')}"
            raise Refused(text, error.response) from error
        except httpx2.HTTPError as error:
            # Whatever was tried: it is one problem for all requests.
            server = error.request.url.copy_with(path="/", query=None)
            said = str(error) or type(error).__name__
            raise ProviderError(f"Kubernetes API: no answer from {server}: {said}") from error
        except (ConfigError, OSError) as error:
            raise ProviderError(
                f"Kubernetes API: cannot log in: {error}; expected a kubeconfig (--kubeconfig or "
                "KUBECONFIG) or a pod's service account"
            ) from error
        except (KeyError, ValueError, msgspec.MsgspecError) as error:
            raise ProviderError(
                f"Kubernetes API: cannot {what}: the answer is not one of Kubernetes: {error!r}; "
                "expected the address of an API server"
            ) from error


def _said(response: httpx2.Response) -> str:
    try:
        return str(msgspec.json.decode(response.content)["message"])
    except (msgspec.DecodeError, KeyError, TypeError):
        return f"HTTP status {response.status_code}"
