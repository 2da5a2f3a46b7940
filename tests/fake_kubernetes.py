"""A Kubernetes API in a thread, on kmock: what the provider's tests need of a server, and no more.

kmock brings HTTP, discovery and errors; objects and watches are in `fake_store`, and here are the
kinds, which come and go with their CRD. The same provider contract runs against a real
kube-apiserver where there is one (tests/lab/test_real_kubernetes.py).
"""

import asyncio
import copy
import json
import ssl
import threading
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import attrs
import kmock
import yaml
from aiohttp import web
from kmock._internal.k8s import KubernetesScaffold

from fake_store import ApiRefusal, Store

RESOURCES = {
    "v1/configmaps": ("ConfigMap", True),
    "v1/nodes": ("Node", False),
    "v1/events": ("Event", True),
    "apiextensions.k8s.io/v1/customresourcedefinitions": ("CustomResourceDefinition", False),
    "kubeovn.io/v1/subnets": ("Subnet", False),
    "ovnmesh.io/v1/interconnections": ("Interconnection", False),
}
_PLURALS = {kind: path for path, (kind, _) in RESOURCES.items()}
_VERBS = ["get", "list", "watch", "create", "patch", "delete"]


@attrs.define(kw_only=True)
class _Handler(KubernetesScaffold):
    store: Store = attrs.field()

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        action = kmock.action
        self.fallback[action.LIST] << self.store.serve_list
        self.fallback[action.WATCH] << self.store.serve_watch
        self.fallback[action.FETCH] << self.store.serve_fetch
        self.fallback[action.CREATE] << self.store.serve_create
        self.fallback[action.UPDATE] << self.store.serve_update
        for path, (kind, namespaced) in RESOURCES.items():
            self.declare(path, kind, namespaced)

    def declare(self, path: str, kind: str, namespaced: bool) -> None:
        self.resources[path] = {"kind": kind, "namespaced": namespaced, "verbs": _VERBS}

    async def _handle(self, request: Any) -> web.StreamResponse:
        if request.resource is not None and request.resource.plural is not None:
            known = {resource.plural for resource in self._get_resources()}
            if request.resource.plural not in known:
                # As the real one answers for a group it does not know.
                return web.Response(status=404, text="404 page not found\n")
        try:
            self.store.record(request)
            while self.store.hung:
                await asyncio.sleep(0.02)
            return await super()._handle(request)
        except ApiRefusal as refusal:
            body = {
                "kind": "Status",
                "apiVersion": "v1",
                "metadata": {},
                "status": "Failure",
                "code": refusal.status,
                "reason": refusal.reason,
                "message": refusal.reason,
            }
            text = json.dumps(body).encode()
            headers = {"Content-Type": "application/json", **self.store.refusal_headers}
            return web.Response(body=text, status=refusal.status, headers=headers)


class FakeKubernetes:
    """An API server that tests fill, read, break and mend.

    Args:
        certificate: file with certificate and key, to serve HTTPS.
    """

    def __init__(self, certificate: Path | None = None) -> None:
        self._certificate = certificate
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._runner: web.ServerRunner | None = None
        self.port = 0
        self.store: Store = self._do(self._make())
        self.start()

    async def _make(self) -> Store:
        store = Store()
        self._handler = _Handler(store=store)
        return store

    def _do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    def start(self) -> None:
        """Serve, on the port of the last time."""

        async def start() -> None:
            self._runner = web.ServerRunner(web.Server(self._handler), shutdown_timeout=0.05)
            await self._runner.setup()
            context = None
            if self._certificate is not None:
                context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
                context.load_cert_chain(self._certificate)
            site = web.TCPSite(
                self._runner, "127.0.0.1", self.port, reuse_address=True, ssl_context=context
            )
            await site.start()
            self.port = site._server.sockets[0].getsockname()[1]

        self._do(start())

    def stop(self) -> None:
        """Stop serving; connections break, objects stay."""
        runner, self._runner = self._runner, None
        if runner is not None:
            self._do(runner.cleanup())

    def close(self) -> None:
        self.stop()

        async def cancel() -> None:
            tasks = asyncio.all_tasks() - {asyncio.current_task()}
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

        self._do(cancel())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    def forget(self) -> None:
        """Expire every watch (410)."""
        self._do(self.store.forget())

    def mute(self) -> None:
        """Let no open watch hear anything any more; new ones do."""
        self._do(self.store.mute())

    def kubeconfig(self, path: Path) -> Path:
        where = {"server": f"http://127.0.0.1:{self.port}"}
        if self._certificate is not None:
            where["server"] = f"https://127.0.0.1:{self.port}"
            where["certificate-authority"] = str(self._certificate)
        cluster = {"name": "fake", "cluster": where}
        user = {"name": "us", "user": {"token": self.store.token}}
        context = {"name": "fake", "context": {"cluster": "fake", "user": "us"}}
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "fake",
            "clusters": [cluster],
            "users": [user],
            "contexts": [context],
        }
        path.write_text(yaml.safe_dump(document))
        return path

    def put(self, manifest: dict[str, Any]) -> None:
        """Create the object, or replace the one of the same kind and name."""
        body = copy.deepcopy(manifest)
        self._do(self.store.put(_key(body), body))

    def put_all(self, manifests: list[dict[str, Any]]) -> None:
        async def put_all() -> None:
            for manifest in manifests:
                await self.store.put(_key(manifest), manifest)

        self._do(put_all())

    def delete(self, manifest: dict[str, Any]) -> None:
        async def delete() -> None:
            key = _key(manifest)
            body = self.store.objects.pop(key)
            await self.store.change("DELETED", key[0], body)

        self._do(delete())

    def vanish(self, manifest: dict[str, Any]) -> None:
        """Delete an object so that no watch tells."""

        async def vanish() -> None:
            self.store.objects.pop(_key(manifest))

        self._do(vanish())

    def get(self, kind: str, name: str, namespace: str = "") -> dict[str, Any] | None:
        plural = _PLURALS[kind].rpartition("/")[2]
        body = self.store.objects.get((plural, namespace, name))
        return copy.deepcopy(body)

    def events(self, namespace: str = "kube-system") -> list[dict[str, Any]]:
        return [
            copy.deepcopy(body)
            for (plural, found, _), body in list(self.store.objects.items())
            if plural == "events" and found == namespace
        ]

    def undeclare(self, path: str) -> None:
        """Take a kind away and all its objects, as when its CRD is deleted."""

        async def undeclare() -> None:
            del self._handler.resources[path]
            key = _key(_crd(path))
            if crd := self.store.objects.pop(key, None):
                await self.store.change("DELETED", key[0], crd)
            await self.store.end(path.rpartition("/")[2])

        self._do(undeclare())

    def declare(self, path: str) -> None:
        """Bring a kind back, with the CRD that tells."""

        async def declare() -> None:
            self._handler.declare(path, *RESOURCES[path])
            crd = _crd(path)
            await self.store.put(_key(crd), crd)

        self._do(declare())

    def declare_before_watch_of_crds(self, path: str) -> None:
        """Bring a kind back after it was missed, and before its CRD is watched."""

        def declare() -> None:
            self._handler.declare(path, *RESOURCES[path])
            crd = _crd(path)
            crd["metadata"]["resourceVersion"] = "1"
            self.store.objects[_key(crd)] = crd

        self.store.before_watch["customresourcedefinitions"] = declare


def _crd(path: str) -> dict[str, Any]:
    group, _, plural = path.split("/")
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {"group": group, "names": {"plural": plural, "kind": RESOURCES[path][0]}},
    }


def _key(manifest: dict[str, Any]) -> tuple[str, str, str]:
    metadata = manifest["metadata"]
    plural = _PLURALS[manifest["kind"]].rpartition("/")[2]
    return plural, metadata.get("namespace", ""), metadata["name"]
