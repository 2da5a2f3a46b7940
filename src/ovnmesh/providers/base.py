"""What a source of configuration must offer, whatever cloud it is.

Implemented by `manifests` (YAML files), `kubernetes` and `openstack`. Called by the
controller. Must not know OVN, must not decide anything: it reads and reports, and says "look
again" when something may have changed. Every implementation passes the contract in
tests/unit/provider_contract.py.
"""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from ovnmesh.config import InterconnectConfig
from ovnmesh.errors import Problem
from ovnmesh.model.denied import Reasons
from ovnmesh.model.desired import Router
from ovnmesh.model.report import PassReport


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """One whole reading of the source, in the words of no cloud.

    Attributes:
        config: the parsed ``ovn-ic-config``, or None if it is missing or wrong.
        config_present: whether the document exists at all (missing is not "leave").
        routers: logical routers to connect.
        local: the site's own networks that others may learn, each with what it is.
        denied: networks and addresses never to be advertised or learned, each with every reason.
        shared_database: see `Desired`.
        problems: everything wrong with the documents; non-empty means "keep the last good state".
    """

    config: InterconnectConfig | None = None
    config_present: bool = True
    routers: tuple[Router, ...] = ()
    local: Reasons = field(default_factory=dict)
    denied: Reasons = field(default_factory=dict)
    shared_database: bool = False
    problems: tuple[Problem, ...] = ()


class Provider(Protocol):
    """A source of configuration for one site.

    Attributes:
        advice: what to do about findings in this cloud, by code; see `model.finding.with_advice`.
    """

    advice: Mapping[str, str]

    def read(self) -> Wish:
        """Read everything now.

        Raises:
            ProviderError: the source cannot be read; the caller keeps the last good state.
        """
        ...

    def watch(self, on_change: Callable[[], None], stop: threading.Event) -> None:
        """Block, calling `on_change` whenever a new `read` may differ, until `stop` is set.

        Must survive the source going away and coming back; must not raise.
        """
        ...


class Publisher(Protocol):
    """A place where the outcome of passes is told to the users of a cloud, in its own words."""

    def publish(self, report: PassReport) -> None:
        """Take note of a pass; must return at once, and must not raise."""
        ...
