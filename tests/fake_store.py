"""What a fake Kubernetes API holds: the objects, and what happened to them.

Used by `fake_kubernetes`, which serves it; lives in the server's thread. Knows lists with field
selectors, watches that go on from a version (410 if it is forgotten) or begin with what there is,
patches, status as a subresource, and generations. Every request is recorded.
"""

import asyncio
import copy
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any


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


class Store:
    """The objects, and what happened to them."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str, str], dict[str, Any]] = {}
        self.calls: list[Call] = []
        self.refuse: dict[tuple[str, str], int] = {}
        """HTTP status by verb and resource, for requests that are to be denied."""
        self.refusal_headers: dict[str, str] = {}
        self.token = "secret"
        """Of who may ask; everybody else is answered with 401."""
        self.hung = False
        """Whether requests are taken and not answered for now."""
        self.before_watch: dict[str, Callable[[], None]] = {}
        """Called once, in the server's thread, before a resource is watched."""
        self.watches = 0
        """Watches that are open."""
        self._version = 100
        self._log: list[tuple[int, str, dict[str, Any]]] = []
        self._oldest = 0
        self._changed = asyncio.Condition()
        self._epoch = 0
        self._mutes = 0
        self._ends: Counter[str] = Counter()

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
        if request.headers.get("Authorization") != f"Bearer {self.token}":
            raise ApiRefusal(401, "Unauthorized")
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

    async def mute(self) -> None:
        """Let the watches that are open hear nothing any more, as if their packets were lost."""
        async with self._changed:
            self._mutes += 1
            self._changed.notify_all()

    async def end(self, plural: str) -> None:
        """Take every object of a kind away, and end its watches."""
        for key in [key for key in self.objects if key[0] == plural]:
            await self.change("DELETED", plural, self.objects.pop(key))
        async with self._changed:
            self._ends[plural] += 1
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
        found = self._matching(request)
        begin = int(request.params.get("continue", "0"))
        end = begin + int(request.params.get("limit", "0") or len(found))
        metadata = {"resourceVersion": str(self._version)}
        if end < len(found):
            metadata["continue"] = str(end)
        items = copy.deepcopy(found[begin:end])
        return {"kind": "List", "apiVersion": "v1", "metadata": metadata, "items": items}

    async def serve_watch(self, request: Any) -> AsyncIterator[Any]:
        self.watches += 1
        try:
            async for event in self._watch(request):
                yield event
        finally:
            self.watches -= 1

    async def _watch(self, request: Any) -> AsyncIterator[Any]:
        plural = request.resource.plural
        self.before_watch.pop(plural, lambda: None)()
        yield b""
        seen = int(request.params.get("resourceVersion", "0") or 0)
        epoch, mutes, ends = self._epoch, self._mutes, self._ends[plural]
        if not seen:
            for body in copy.deepcopy(self._matching(request)):
                yield {"type": "ADDED", "object": body}
            seen = self._version
        while True:
            if mutes != self._mutes:
                await asyncio.Event().wait()
            async with self._changed:
                if seen < self._oldest or epoch != self._epoch:
                    gone = {"kind": "Status", "code": 410, "reason": "Expired"}
                    yield {"type": "ERROR", "object": gone | {"message": "too old"}}
                    return
                new = [entry for entry in self._log if entry[0] > seen]
                if not new:
                    if ends != self._ends[plural]:
                        return
                    await self._changed.wait()
                    continue
            if mutes != self._mutes:
                continue
            for version, changed, event in new:
                seen = version
                metadata = event["object"]["metadata"]
                if (
                    changed == plural
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
