"""A Kubernetes API in a process of its own, so that its work is not counted as the controller's.

Started by `kubernetes_idle`, through `FakeApi`; run by itself it is the server, which takes one
command a line from its stdin and answers with one line of JSON. Every request is counted when it
comes, and a watch for as long as it is open. Bookmarks come every minute, as from a real server:
without them, a watch is begun again after 75 s. Must not measure the controller.
"""

import asyncio
import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from benchmarks.cluster_objects import beat, make_node, make_subnet

_BOOKMARK_S = 60.0
"""Kubernetes, staging/src/k8s.io/apiserver/pkg/storage/cacher, defaultBookmarkFrequency."""
_TURN_S = 0.1
"""Heartbeats are spread evenly, this far apart."""


class FakeApi:
    """The server, as the benchmark sees it.

    Args:
        kubeconfig: written once it serves.
        config_map: file with the ConfigMap, as YAML.
        nodes: number of Nodes.
        subnets: number of Subnets.
    """

    def __init__(self, kubeconfig: Path, config_map: Path, nodes: int, subnets: int) -> None:
        words = [str(kubeconfig), str(config_map), str(nodes), str(subnets)]
        argv = [sys.executable, "-m", "benchmarks.fake_api", *words]
        pipe = subprocess.PIPE
        self._child = subprocess.Popen(argv, stdin=pipe, stdout=pipe, text=True)
        self._answer()

    def requests(self) -> tuple[Counter[str], Counter[str]]:
        """Requests since the last question, by name, and watches that are open now."""
        came, is_open = self._ask("requests")
        return Counter(came), Counter(is_open)

    def beat(self, seconds: float) -> int:
        """Let every Node's status be updated once in ten seconds; returns how many were."""
        updates: int = self._ask(f"beat {seconds}")
        return updates

    def add_subnet(self, number: int) -> None:
        """Make one more Subnet."""
        self._ask(f"subnet {number}")

    def stop(self) -> None:
        """End it."""
        self._child.communicate()

    def _ask(self, command: str) -> Any:
        assert self._child.stdin is not None
        self._child.stdin.write(f"{command}\n")
        self._child.stdin.flush()
        return self._answer()

    def _answer(self) -> Any:
        assert self._child.stdout is not None
        return json.loads(self._child.stdout.readline())


class _Counting:
    """Stands in front of the fake's handler, which records neither discovery nor ends."""

    def __init__(self, handler: Callable[[Any], Awaitable[Any]]) -> None:
        self._handler = handler
        self.came: Counter[str] = Counter()
        self.open: Counter[str] = Counter()

    def take(self) -> tuple[Counter[str], Counter[str]]:
        came, self.came = self.came, Counter()
        return came, +self.open

    async def __call__(self, request: Any) -> Any:
        watch = "watch" in request.query
        name = f"{'WATCH' if watch else request.method} {request.path}"
        self.came[name] += 1
        self.open[name] += watch
        try:
            return await self._handler(request)
        finally:
            self.open[name] -= watch


def _bookmark(version: int) -> dict[str, Any]:
    return {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": str(version)}}}


def _with_bookmarks(serve: Callable[..., AsyncIterator[Any]]) -> Callable[..., AsyncIterator[Any]]:
    """The fake's way to serve a watch, with bookmarks while nothing happens."""

    async def served(store: Any, request: Any) -> AsyncIterator[Any]:
        events = serve(store, request)
        coming = asyncio.ensure_future(anext(events))
        while True:
            done, _ = await asyncio.wait([coming], timeout=_BOOKMARK_S)
            if not done:
                yield _bookmark(store._version)
                continue
            try:
                yield coming.result()
            except StopAsyncIteration:
                return
            coming = asyncio.ensure_future(anext(events))

    return served


def _serve(kubeconfig: Path, config_map: Path, nodes: int, subnets: int) -> None:
    # The fake is the tests' own, which is not part of any package: their folder is where it is.
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
    from fake_kubernetes import FakeKubernetes, Store

    Store.serve_watch = _with_bookmarks(Store.serve_watch)
    api = FakeKubernetes()
    api.stop()
    counting = _Counting(api._handler)
    api._handler = counting
    api.start()
    known = [make_node(number) for number in range(nodes)]
    api.put_all([yaml.safe_load(config_map.read_text()), *known])
    api.put_all([make_subnet(number) for number in range(subnets)])
    api.kubeconfig(kubeconfig)
    _say("ready")
    for line in sys.stdin:
        command, *words = line.split()
        if command == "requests":
            _say(counting.take())
        elif command == "subnet":
            _say(api.put(make_subnet(int(words[0]))))
        else:
            _say(_beat(api, known, float(words[0])))


def _beat(api: Any, nodes: list[dict[str, Any]], seconds: float) -> int:
    began, done = time.monotonic(), 0
    while (passed := time.monotonic() - began) < seconds:
        due = int(passed * len(nodes) / 10)
        moment = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        some = [nodes[number % len(nodes)] for number in range(done, due)]
        for node in some:
            beat(node, moment)
        api.put_all(some)
        done = due
        time.sleep(_TURN_S)
    return done


def _say(what: object) -> None:
    print(json.dumps(what), flush=True)


if __name__ == "__main__":
    _serve(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
