"""Implements `base.Provider`, and `base.Publisher`, on the Kubernetes API.

Called by the controller. Reads the ConfigMap `ovn-ic-config`, the Interconnection, Nodes and
Kube-OVN's Subnets; while it watches, it reads what the watch has brought and asks for nothing.
While the API does not answer, `read` says so and the controller keeps the last good state, for
hours if need be. Must not decide what a wrong document means.
"""

import logging
import threading
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from ovnmesh.errors import Problem, ProviderError, ProviderPending
from ovnmesh.model.report import PassReport
from ovnmesh.ovn_keys import DEFAULT_ROUTER
from ovnmesh.providers.base import Wish
from ovnmesh.providers.cluster import (
    CONFIG_NAME,
    CONFIG_NAMESPACE,
    INTERCONNECTION_NAME,
    Node,
    Subnet,
)
from ovnmesh.providers.kubernetes.api import UNKNOWN, Api, Refused
from ovnmesh.providers.kubernetes.cache import Cache
from ovnmesh.providers.kubernetes.kinds import (
    CONFIG_MAPS,
    INTERCONNECTIONS,
    KINDS,
    NODES,
    SUBNETS,
    Body,
    ConfigObject,
    Kind,
    NodeObject,
    Reduced,
    SubnetObject,
)
from ovnmesh.providers.kubernetes.publisher import Publisher
from ovnmesh.providers.kubernetes.watch import follow
from ovnmesh.providers.sources import ADVICE, Document, choose_config, make_wish

LOG = logging.getLogger(__name__)

_Value = TypeVar("_Value", Node, Subnet)


class KubernetesProvider:
    """Configuration of one cluster, and what became of it.

    Args:
        kubeconfig: see `api.Api`.
        router: name of the cluster's logical router.
    """

    advice = ADVICE

    def __init__(self, kubeconfig: Path | None = None, router: str = DEFAULT_ROUTER) -> None:
        self._router = router
        self._api = Api(kubeconfig)
        self._cache = Cache()
        self._publisher = Publisher(self._api, self._cache)
        self._on_change: Callable[[], None] = lambda: None
        self._watching = False
        #: Why kinds cannot be watched, by kind; written by the threads of all kinds.
        self._problems: dict[str, str] = {}
        self._lock = threading.Lock()

    def read(self) -> Wish:
        """Read everything now; without requests while a watch keeps what was read up to date.

        Raises:
            ProviderPending: the watch has only just begun.
            ProviderError: the API cannot be asked, or refuses.
        """
        if not self._watching:
            self._list()
        elif problems := self._told():
            raise ProviderError("; ".join(sorted(problems)))
        elif not self._cache.complete:
            raise ProviderPending("Kubernetes API: being read for the first time")
        found = self._cache.objects(INTERCONNECTIONS, ConfigObject).values()
        self._publisher.observed_generation = max((each.generation for each in found), default=0)
        return self._wish()

    def watch(self, on_change: Callable[[], None], stop: threading.Event) -> None:
        """Block, calling `on_change` whenever a new `read` may differ, until `stop` is set."""
        self._on_change = on_change
        self._cache.clear()
        self._problems.clear()
        self._watching = True
        try:
            # The first call comes with the first lists, or with the news that there are none.
            follow(self._api, self, stop)
        finally:
            self._publisher.stop()
            self._watching = False

    def publish(self, report: PassReport) -> None:
        """Tell the cluster what a pass found; returns at once."""
        # A pass before the first reading knows less of the cluster than what was told last.
        if self._cache.complete or self._told():
            self._publisher.publish(report)

    def on_list(self, kind: Kind, objects: dict[str, Reduced]) -> None:
        """Called by the watch."""
        self._changed(kind, self._cache.take_list(kind, objects))

    def on_event(self, kind: Kind, body: Body, *, deleted: bool) -> None:
        """Called by the watch."""
        self._changed(kind, self._cache.take_event(kind, body, deleted=deleted))

    def on_answer(self, kind: Kind, problem: str) -> None:
        """Called by the watch."""
        with self._lock:
            before = self._told()
            self._problems[kind.plural] = problem
            now = self._told()
        for new in now - before:
            LOG.warning("%s; trying again", new)
        if before and not now:
            LOG.info("Kubernetes API answers again")
        if before != now:
            self._on_change()

    def _changed(self, kind: Kind, differs: bool) -> None:
        if differs:
            self._on_change()
        elif kind is INTERCONNECTIONS:
            self._publisher.look()

    def _told(self) -> set[str]:
        return set(filter(None, self._problems.copy().values()))

    def _list(self) -> None:
        for kind in KINDS:
            try:
                objects, _ = self._api.list(kind)
            except Refused as refusal:
                if refusal.status != UNKNOWN:
                    raise
                objects = {}
            self._cache.take_list(kind, objects)

    def _wish(self) -> Wish:
        subnets, wrong_subnets = _sort_out(
            each.parsed for each in self._cache.objects(SUBNETS, SubnetObject).values()
        )
        nodes, wrong_nodes = _sort_out(
            each.parsed for each in self._cache.objects(NODES, NodeObject).values()
        )
        documents = self._documents()
        # A node that could not be parsed has its own problem; do not call it unknown as well.
        config, wrong = choose_config(documents, () if wrong_nodes else nodes)
        problems = (*wrong, *wrong_subnets, *wrong_nodes)
        wish = make_wish(config, subnets, nodes, self._router)
        return replace(wish, config_present=bool(documents), problems=problems)

    def _documents(self) -> list[Document]:
        documents = []
        for found in self._cache.objects(CONFIG_MAPS, ConfigObject).values():
            where = f"ConfigMap {CONFIG_NAMESPACE}/{CONFIG_NAME}"
            documents.append(Document(where, found.content))
        for found in self._cache.objects(INTERCONNECTIONS, ConfigObject).values():
            if found.content is not None:
                where = f"Interconnection {INTERCONNECTION_NAME}"
                documents.append(Document(where, found.content, typed=True))
        return documents


def _sort_out(
    found: Iterable[_Value | tuple[Problem, ...]],
) -> tuple[tuple[_Value, ...], tuple[Problem, ...]]:
    """Values, and what is wrong with the others."""
    values: list[_Value] = []
    problems: list[Problem] = []
    for each in found:
        if isinstance(each, tuple):
            problems += each
        else:
            values.append(each)
    return tuple(values), tuple(problems)
