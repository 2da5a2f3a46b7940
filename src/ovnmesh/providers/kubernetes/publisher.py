"""Writes what passes found: gateway labels of Nodes, Events, the Interconnection's status.

Called by the provider. Only the controller that acts publishes. Works in a thread of its own, since
an API that does not answer must not hold up the controller, and level-triggered: what is written
follows from the latest report and from what stands in the cluster, so a lost write is made up for
by the next attempt. Labels come first and at once; then, when a burst of passes is over, Events,
and the status, by which it is known what has been told. Must not read databases.
"""

import logging
import socket
import threading
from datetime import UTC, datetime

from ovnmesh.errors import ProviderError
from ovnmesh.model.backoff import Backoff
from ovnmesh.model.report import PassReport, SiteState
from ovnmesh.providers.cluster import CONFIG_NAME, CONFIG_NAMESPACE, INTERCONNECTION_NAME
from ovnmesh.providers.kubernetes.api import Api
from ovnmesh.providers.kubernetes.cache import Cache
from ovnmesh.providers.kubernetes.events import About, find_news, make_event
from ovnmesh.providers.kubernetes.kinds import (
    CONFIG_MAPS,
    GATEWAY_LABEL,
    INTERCONNECTIONS,
    NODES,
    ConfigObject,
    NodeObject,
)
from ovnmesh.providers.kubernetes.status import Reading, Status, make_status, same_status

LOG = logging.getLogger(__name__)

#: Passes come in bursts, and what is only true in between is no news.
SETTLE_S = 0.3
_FIRST_RETRY_S, _LAST_RETRY_S = 1.0, 30.0
_SILENT = (SiteState.STANDBY, SiteState.CONNECTING)


class Publisher:
    """Publishes the latest report.

    Args:
        api: the requests.
        cache: what is known of the cluster.
    """

    def __init__(self, api: Api, cache: Cache) -> None:
        self._api = api
        self._cache = cache
        self._instance = socket.gethostname()
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._latest: PassReport | None = None
        #: What was written last, and what Events were made of last: either write may fail.
        self._told: Status | None = None
        self._announced: Status | None = None
        self._failure = ""
        self._thread: threading.Thread | None = None
        #: Generation of the Interconnection that the provider read last.
        self.observed_generation = 0

    def publish(self, report: PassReport) -> None:
        """Take note of a pass; returns at once."""
        if not report.acting or report.state in _SILENT:
            # Whoever acts tells; what was told before may have been changed by them.
            self._latest = self._told = self._announced = None
            return
        self._latest = report
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, daemon=True)
            self._thread.start()
        self._wake.set()

    def look(self) -> None:
        """What stands in the cluster may have changed; returns at once."""
        self._wake.set()

    def stop(self) -> None:
        """Publish no more; what is being written is finished."""
        self._stopping.set()
        self._wake.set()

    def _work(self) -> None:
        retry_s: float | None = None
        backoff = Backoff(_FIRST_RETRY_S, _LAST_RETRY_S)
        while not self._stopping.is_set():
            self._wake.wait(retry_s)
            self._wake.clear()
            retry_s = None
            try:
                # At once: agents act on the controller's list, kube-ovn-cni on the label, and
                # while the two differ, it could take back what an agent has just set.
                self._label_nodes(self._latest)
                self._stopping.wait(SETTLE_S)
                self._write(self._latest)
                self._failure = ""
                backoff.succeeded()
            except ProviderError as error:
                if str(error) != self._failure:
                    self._failure = str(error)
                    LOG.warning("%s; status not published, trying again", error)
                retry_s = backoff.failed()
            except Exception:
                # The thread's top: a mistake of ours or of a library must not silence it for ever.
                LOG.exception("status not published")
                retry_s = _LAST_RETRY_S

    def _write(self, report: PassReport | None) -> None:
        if report is None:
            return  # another controller acts
        known = self._interconnection()
        stands = (known and known.status) or {}
        previous = self._previous()
        if (
            report.state is SiteState.DISCONNECTED
            and self._told
            and not same_status(stands, self._told)
        ):
            return  # another controller has taken over, and we do not even know it
        config = self._cache.objects(CONFIG_MAPS, ConfigObject).get(CONFIG_NAME)
        typed = known is not None and known.content is not None
        if not previous and report.state is SiteState.IDLE and config is None and not typed:
            return  # never configured: leave no trace
        source = "ConfigMap" if config else "Interconnection" if typed else ""
        reading = Reading(self.observed_generation, source, _now())
        status = make_status(report, previous, reading)
        self._label_nodes(report)  # the status remembers who was labelled: not before it is so
        about = _config_map(config) if config else _interconnection(known)
        announced = self._announced if self._announced is not None else previous
        for news in find_news(announced, status):
            if about is not None:
                self._api.post_event(make_event(news, about, self._instance, reading.now))
        self._announced = status
        if known is None and not self._api.create_interconnection():
            self._told = status  # the kind is not installed: nothing to keep it in
            return
        if not same_status(status, stands):
            self._api.apply_status(status)
        self._told = status

    def _interconnection(self) -> ConfigObject | None:
        return self._cache.objects(INTERCONNECTIONS, ConfigObject).get(INTERCONNECTION_NAME)

    def _previous(self) -> Status:
        """The status as it was told last, by us or by a controller before us."""
        if self._told is not None:
            return self._told
        known = self._interconnection()
        return (known and known.status) or {}

    def _label_nodes(self, report: PassReport | None) -> None:
        if report is None or report.view is None:
            return
        wanted = set(report.view.gateways)
        before = set(self._previous().get("gateways") or ())
        for name, node in self._cache.objects(NODES, NodeObject).items():
            if name in wanted:
                value = "true"
            elif node.label == "true" and (report.state is not SiteState.IDLE or name in before):
                value = "false"
            else:
                continue
            if node.label != value:
                self._api.label_node(name, {GATEWAY_LABEL: value})


def _config_map(found: ConfigObject) -> About:
    return About("v1", "ConfigMap", CONFIG_NAME, found.uid, CONFIG_NAMESPACE)


def _interconnection(found: ConfigObject | None) -> About | None:
    if found is None:
        return None
    return About("ovnmesh.io/v1", "Interconnection", INTERCONNECTION_NAME, found.uid)


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
