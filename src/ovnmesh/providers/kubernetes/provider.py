"""Implements `base.Provider`, and `base.Publisher`, on the Kubernetes API.

Called by the controller. Reads the ConfigMap `ovn-ic-config`, the Interconnection, Nodes and
Kube-OVN's Subnets: whole lists first, then what the watch brings. While the API does not answer,
`read` says so and the controller keeps the last good state, for hours if need be. Must not decide
what a wrong document means.
"""

import logging
import threading
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from ovnmesh.errors import Problem, ProviderError
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
from ovnmesh.providers.kubernetes.api import Api, KindUnknown
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
    SubnetObject,
)
from ovnmesh.providers.kubernetes.publisher import Publisher
from ovnmesh.providers.kubernetes.watch import Watch
from ovnmesh.providers.sources import ADVICE, Document, choose_config, make_wish

LOG = logging.getLogger(__name__)

_LISTS_S = 0.1
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
        self._watch = Watch(self._api.connection, self)
        self._publisher = Publisher(self._api, self._cache, self._on_created)
        self._watching = False
        #: Why places of the API do not answer, by place.
        self._silent: dict[str, str] = {}
        self._on_change: Callable[[], None] = lambda: None
        self._lists_over = threading.Timer(0, self._on_change)

    def read(self) -> Wish:
        """Read everything now; without requests while a watch keeps what was read up to date.

        Raises:
            ProviderError: the API cannot be asked, or refuses.
        """
        silent = dict(self._silent)
        if self._watching and silent:
            raise ProviderError(f"Kubernetes API: {'; '.join(sorted(set(silent.values())))}")
        if not self._watching:
            self._cache.outdate()
        for kind in KINDS:
            if self._cache.begin_list(kind):
                objects = None
                try:
                    objects = {
                        body["metadata"]["name"]: kind.reduce(body) for body in self._api.list(kind)
                    }
                    self._watch.require(kind)
                except KindUnknown:
                    objects = {}
                finally:
                    self._cache.end_list(kind, objects)
        found = self._cache.objects(INTERCONNECTIONS, ConfigObject).values()
        self._publisher.observed_generation = max((each.generation for each in found), default=0)
        return self._wish()

    def watch(self, on_change: Callable[[], None], stop: threading.Event) -> None:
        """Block, calling `on_change` whenever a new `read` may differ, until `stop` is set."""
        self._on_change = on_change
        self._cache.outdate()
        self._watching = True
        try:
            # The first call comes with the first lists, or with the news that there are none.
            self._watch.run(stop)
        finally:
            self._lists_over.cancel()
            self._publisher.stop()
            self._watching = False
            self._silent.clear()

    def publish(self, report: PassReport) -> None:
        """Tell the cluster what a pass found; returns at once."""
        self._publisher.publish(report)

    def on_event(self, kind: Kind, body: Body, *, deleted: bool) -> None:
        """Called by the watch."""
        if self._cache.take_event(kind, body, deleted=deleted):
            self._on_change()
        elif kind is INTERCONNECTIONS:
            self._publisher.look()

    def on_list(self, kind: Kind) -> None:
        """Called by the watch."""
        self._cache.outdate(kind)
        # All kinds are listed at about the same time: one call for all.
        self._lists_over.cancel()
        self._lists_over = threading.Timer(_LISTS_S, self._on_change)
        self._lists_over.start()

    def on_answer(self, place: str, problem: str) -> None:
        """Called by the watch."""
        if bool(problem) == (place in self._silent):
            return  # as before
        if problem:
            self._silent[place] = problem
            LOG.warning("Kubernetes API: %s; trying again", problem)
        else:
            del self._silent[place]
            if not self._silent:
                LOG.info("Kubernetes API answers again")
                self._cache.outdate()
        self._on_change()

    def _on_created(self) -> None:
        self._watch.require(INTERCONNECTIONS)

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
