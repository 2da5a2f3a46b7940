"""A Kubernetes API in a thread, on kmock: what the provider's tests need of a server, and no more.

kmock brings HTTP, discovery and errors; kept here are objects with resource versions, lists with
field selectors, watches that go on from a version (410 if it is forgotten), patches, status as a
subresource, and generations. Every request is recorded. The same provider contract runs against a
real kube-apiserver where there is one (tests/lab/test_real_kubernetes.py).
"""

import asyncio
import copy
import json
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import attrs
import kmock
import yaml
from aiohttp import web
from kmock._internal.k8s import KubernetesScaffold

RESOURCES = {
    "v1/configmaps": ("ConfigMap", True),
    "v1/nodes": ("Node", False),
    "v1/events": ("Event", True),
    "v1/namespaces": ("Namespace", False),
    "apiextensions.k8s.io/v1/customresourcedefinitions": ("CustomResourceDefinition", False),
    "kubeovn.io/v1/subnets": ("Subnet", False),
    "ovnmesh.io/v1/interconnections": ("Interconnection", False),
}
_PLURALS = {kind: path for path, (kind, _) in RESOURCES.items()}
_VERBS = ["get", "list", "watch", "create", "patch", "delete"]


@dataclass(frozen=True)
class Call:
    """One request, in the words of RBAC."""

    verb: str
    group: str
    resource: str
    namespace: str
    name: str
    user_agent: str


class ApiRefusal(Exception):
    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status, self.reason = status, reason


@attrs.define(kw_only=True)
class _Handler(KubernetesScaffold):
    store: "Store" = attrs.field()

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

    async def __call__(self, raw_request: Any) -> web.StreamResponse:
        if raw_request.path != "/api/v1/namespaces":
            return await super().__call__(raw_request)
        # kmock 0.8 takes the path of this collection for that of something inside a namespace.
        verb = "watch" if raw_request.query.get("watch") else "list"
        name = raw_request.query.get("fieldSelector", "").removeprefix("metadata.name=")
        self.store.calls.append(Call(verb, "", "namespaces", "", name, ""))
        if verb == "list":
            item = {"metadata": {"name": "kube-system", "uid": "ns", "resourceVersion": "1"}}
            return web.json_response({"metadata": {"resourceVersion": "1"}, "items": [item]})
        response = web.StreamResponse()
        await response.prepare(raw_request)
        await asyncio.Event().wait()
        return response

    async def _handle(self, request: Any) -> web.StreamResponse:
        if request.resource is not None and request.resource.plural is not None:
            known = {resource.plural for resource in self._get_resources()}
            if request.resource.plural not in known:
                # As the real one answers for a group it does not know.
                return web.Response(status=404, text="404 page not found\n")
        try:
            self.store.record(request)
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
            return web.Response(body=text, status=refusal.status, content_type="application/json")


class Store:
    """The objects, and what happened to them."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str, str], dict[str, Any]] = {}
        self.calls: list[Call] = []
        self.refuse: dict[tuple[str, str], int] = {}
        """HTTP status by verb and resource, for requests that are to be denied."""
        self.before_list: dict[str, Callable[[], None]] = {}
        """Called once, in the server's thread, before a resource is listed."""
        self._version = 100
        self._log: list[tuple[int, str, dict[str, Any]]] = []
        self._oldest = 0
        self._changed = asyncio.Condition()
        self._epoch = 0

    def record(self, request: Any) -> None:
        resource = request.resource
        if resource is None or resource.plural is None or request.action is None:
            return
        verbs = {"FETCH": "get", "UPDATE": "patch"}
        verb = verbs.get(request.action.name, request.action.name.lower())
        plural = resource.plural + (f"/{request.subresource}" if request.subresource else "")
        name = request.name or _selected(request)
        agent = request.headers.get("User-Agent", "")
        call = Call(verb, resource.group or "", plural, request.namespace or "", name, agent)
        self.calls.append(call)
        status = self.refuse.get((verb, plural))
        if status:
            raise ApiRefusal(status, f"{verb} {plural} is denied")

    async def change(self, kind: str, plural: str, body: dict[str, Any]) -> None:
        async with self._changed:
            self._version += 1
            body["metadata"]["resourceVersion"] = str(self._version)
            event = {"type": kind, "object": copy.deepcopy(body)}
            self._log.append((self._version, plural, event))
            self._changed.notify_all()

    async def forget(self) -> None:
        """Let every watch expire: resource versions seen so far are too old (410)."""
        async with self._changed:
            self._version += 1
            self._oldest = self._version
            self._log.clear()
            self._epoch += 1
            self._changed.notify_all()

    def _matching(self, request: Any) -> list[dict[str, Any]]:
        name = _selected(request)
        return [
            body
            for (plural, namespace, found), body in sorted(self.objects.items())
            if plural == request.resource.plural
            and request.namespace in (None, namespace)
            and name in ("", found)
        ]

    async def serve_list(self, request: Any) -> dict[str, Any]:
        self.before_list.pop(request.resource.plural, lambda: None)()
        found = self._matching(request)
        begin = int(request.params.get("continue", "0"))
        end = begin + int(request.params.get("limit", "0") or len(found))
        metadata = {"resourceVersion": str(self._version)}
        if end < len(found):
            metadata["continue"] = str(end)
        items = copy.deepcopy(found[begin:end])
        return {"kind": "List", "apiVersion": "v1", "metadata": metadata, "items": items}

    async def serve_watch(self, request: Any) -> AsyncIterator[Any]:
        yield b""
        seen = int(request.params.get("resourceVersion", "0") or 0)
        epoch = self._epoch
        while True:
            async with self._changed:
                if seen < self._oldest or epoch != self._epoch:
                    gone = {
                        "kind": "Status",
                        "code": 410,
                        "reason": "Expired",
                        "message": "too old",
                    }
                    yield {"type": "ERROR", "object": gone}
                    return
                new = [entry for entry in self._log if entry[0] > seen]
                if not new:
                    await self._changed.wait()
                    continue
            for version, plural, event in new:
                seen = version
                metadata = event["object"]["metadata"]
                if (
                    plural == request.resource.plural
                    and request.namespace in (None, metadata.get("namespace", ""))
                    and _selected(request) in ("", metadata["name"])
                ):
                    yield event

    async def serve_fetch(self, request: Any) -> dict[str, Any]:
        return copy.deepcopy(self._get(request))

    async def serve_create(self, request: Any) -> dict[str, Any]:
        body = json.loads(request.body)
        key = (request.resource.plural, request.namespace or "", body["metadata"]["name"])
        if key in self.objects:
            raise ApiRefusal(409, "AlreadyExists")
        if request.namespace:
            body["metadata"]["namespace"] = request.namespace
        await self.put(key, body)
        return copy.deepcopy(self.objects[key])

    async def serve_update(self, request: Any) -> dict[str, Any]:
        body = self._get(request)
        patch = json.loads(request.body)
        if request.subresource == "status":
            before = body.get("status")
            body["status"] = patch["status"]
            if before == body["status"]:
                return copy.deepcopy(body)
        else:
            _merge(body, patch)
        await self.change("MODIFIED", request.resource.plural, body)
        return copy.deepcopy(body)

    def _get(self, request: Any) -> dict[str, Any]:
        key = (request.resource.plural, request.namespace or "", request.name)
        if key not in self.objects:
            raise ApiRefusal(404, "NotFound")
        return self.objects[key]

    async def put(self, key: tuple[str, str, str], body: dict[str, Any]) -> None:
        known = self.objects.get(key)
        metadata = body.setdefault("metadata", {})
        if known is not None:
            old = known["metadata"]
            metadata["uid"] = old["uid"]
            changed = known.get("spec") != body.get("spec")
            metadata["generation"] = old["generation"] + changed
            body.setdefault("status", known.get("status", {}))
        else:
            metadata["uid"] = f"uid-{self._version}"
            metadata["generation"] = 1
        self.objects[key] = body
        await self.change("MODIFIED" if known else "ADDED", key[0], body)


def _selected(request: Any) -> str:
    """The name that a field selector asks for."""
    return str(request.params.get("fieldSelector", "")).removeprefix("metadata.name=")


def _merge(target: dict[str, Any], patch: dict[str, Any]) -> None:
    """JSON merge patch, RFC 7386."""
    for key, value in patch.items():
        if value is None:
            target.pop(key, None)
        elif isinstance(value, dict):
            if not isinstance(target.get(key), dict):
                target[key] = {}
            _merge(target[key], value)
        else:
            target[key] = value


class FakeKubernetes:
    """An API server that tests fill, read, break and mend."""

    def __init__(self) -> None:
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
            site = web.TCPSite(self._runner, "127.0.0.1", self.port, reuse_address=True)
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

    def kubeconfig(self, path: Path) -> Path:
        cluster = {"name": "fake", "cluster": {"server": f"http://127.0.0.1:{self.port}"}}
        user = {"name": "us", "user": {"token": "secret"}}
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
        """Take a kind away, as when its CRD is deleted."""

        async def undeclare() -> None:
            del self._handler.resources[path]

        self._do(undeclare())

    def declare(self, path: str) -> None:
        """Bring a kind back, with the CRD that tells."""

        async def declare() -> None:
            self._handler.declare(path, *RESOURCES[path])
            crd = _crd(path)
            await self.store.put(_key(crd), crd)

        self._do(declare())

    def declare_before_list_of_crds(self, path: str) -> None:
        """Bring a kind back after clients have discovered what there is: no watch tells."""

        def declare() -> None:
            self._handler.declare(path, *RESOURCES[path])
            crd = _crd(path)
            self.store.objects[_key(crd)] = crd

        self.store.before_list["customresourcedefinitions"] = declare


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
