"""What every provider must do, whatever its source; not collected by itself.

A provider's tests subclass `ProviderContract`, or `ClusterContract` for one that reads documents of
Kubernetes, and give a fixture `harness` that can put documents (or what they stand for) into the
provider's real source, take them out, and make the source unreadable for a while.
"""

import copy
import threading
import time
from contextlib import contextmanager
from ipaddress import ip_address
from typing import Protocol

import pytest

from ovnmesh.config import InterconnectConfig
from ovnmesh.errors import ProviderError
from ovnmesh.providers.base import Provider
from servers import wait_for

CONFIG = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "ovn-ic-config", "namespace": "kube-system"},
    "data": {
        "enable-ic": "true",
        "az-name": "az1",
        "ic-db-host": "192.168.65.3",
        "gw-nodes": "n2,n1",
        "auto-route": "true",
    },
}
PARSED_CONFIG = InterconnectConfig(
    enable_ic=True,
    az_name="az1",
    ic_db_hosts=(ip_address("192.168.65.3"),),
    gw_nodes=("n2", "n1"),
    auto_route=True,
)


class Harness(Protocol):
    """A source of configuration under test."""

    provider: Provider

    def put(self, manifest: dict) -> None:
        """Create the object, or replace the one of the same kind and name."""

    def delete(self, manifest: dict) -> None:
        """Delete the object of this kind and name."""

    def take_away(self) -> None:
        """Make the whole source unreadable."""

    def bring_back(self) -> None:
        """Make it readable again, with the content it had."""


def subnet(name, cidr, **spec):
    return {
        "apiVersion": "kubeovn.io/v1",
        "kind": "Subnet",
        "metadata": {"name": name},
        "spec": {"cidrBlock": cidr, **spec},
    }


def node(name, address):
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name},
        "status": {"addresses": [{"type": "InternalIP", "address": address}]},
    }


def config_with(**data):
    manifest = copy.deepcopy(CONFIG)
    manifest["data"].update({key.replace("_", "-"): value for key, value in data.items()})
    return manifest


def as_text(reasons):
    """Prefixes as text, each with its reasons."""
    return {str(prefix): whys for prefix, whys in reasons.items()}


def subnets(wish):
    """Names of the subnets that others may learn."""
    return sorted({what.removeprefix("subnet ") for whats in wish.local.values() for what in whats})


def can_read(provider):
    try:
        return provider.read()
    except ProviderError:
        return None


class Watcher:
    """Runs a provider's watch and counts its calls."""

    def __init__(self, provider):
        self.calls = 0
        self.stop = threading.Event()
        self._changed = threading.Condition()
        self.thread = threading.Thread(target=provider.watch, args=(self._on_change, self.stop))
        self.thread.start()

    def _on_change(self):
        with self._changed:
            self.calls += 1
            self._changed.notify_all()

    def wait_for(self, calls, timeout_s=5.0):
        with self._changed:
            return self._changed.wait_for(lambda: self.calls >= calls, timeout_s)

    def settle(self, quiet_s=0.08):
        """Wait until no call has come for a while, and forget those that came."""
        with self._changed:
            while self._changed.wait(quiet_s):
                pass
            self.calls = 0


@contextmanager
def watching(provider, quiet_s=0.08, patience_s=30.0):
    """Watch; what the beginning of the watch itself reports is over after `quiet_s` of silence."""
    watcher = Watcher(provider)
    try:
        assert watcher.wait_for(1, patience_s), (
            "the first call must cover what happened before the watch"
        )
        watcher.settle(quiet_s)
        yield watcher
    finally:
        watcher.stop.set()
        watcher.thread.join(5)
        assert not watcher.thread.is_alive()


class ProviderContract:
    quiet_s = 0.08
    #: Seconds that a change may take to be reported.
    patience_s = 5.0
    #: What a problem of the configuration names.
    document = "ConfigMap kube-system/ovn-ic-config"

    @pytest.fixture
    def harness(self):
        raise NotImplementedError

    def read(self, harness):
        """What the provider says of what has been put."""
        return harness.provider.read()

    def kept_out(self, name):
        """Why a Subnet that is not to be shared is denied."""
        return f"Subnet {name}: disableInterConnection"

    def test_empty_source(self, harness):
        state = self.read(harness)
        assert (state.config, state.config_present) == (None, False)
        assert (state.local, state.denied, state.problems) == ({}, {}, ())

    def test_everything_is_read_and_ordered(self, harness):
        harness.put(CONFIG)
        harness.put(subnet("ovn-default", "10.16.0.0/16"))
        harness.put(subnet("join", "100.64.0.0/16,fd00:64::/64", disableInterConnection=True))
        state = self.read(harness)
        assert state.problems == ()
        assert state.config == PARSED_CONFIG
        assert state.config_present
        assert as_text(state.local) == {"10.16.0.0/16": ("subnet ovn-default",)}
        why = (self.kept_out("join"),)
        assert as_text(state.denied) == {"100.64.0.0/16": why, "fd00:64::/64": why}
        assert self.read(harness) == state

    def test_edit_then_revert_reads_the_same(self, harness):
        harness.put(CONFIG)
        before = self.read(harness)
        harness.put(config_with(az_name="az9"))
        assert self.read(harness).config.az_name == "az9"
        harness.put(CONFIG)
        assert self.read(harness) == before

    def test_wrong_config_is_present_with_its_problems(self, harness):
        harness.put(config_with(az_name="prod east", gw_nodes="n1,n1"))
        state = self.read(harness)
        assert (state.config, state.config_present) == (None, True)
        keys = [p.where.rpartition(", ")[2].removeprefix("data.") for p in state.problems]
        assert keys == ["az-name", "gw-nodes"]
        assert all(self.document in p.where for p in state.problems)

    def test_deleted_config_is_absent(self, harness):
        harness.put(CONFIG)
        harness.delete(CONFIG)
        state = self.read(harness)
        assert (state.config, state.config_present, state.problems) == (None, False, ())

    def test_source_away_and_back(self, harness):
        harness.put(CONFIG)
        before = self.read(harness)
        harness.take_away()
        with pytest.raises(ProviderError):
            self.read(harness)
        harness.bring_back()
        assert self.read(harness) == before

    def test_watch_reports_every_change(self, harness):
        with watching(harness.provider, self.quiet_s) as watcher:
            for change in (
                lambda: harness.put(CONFIG),
                lambda: harness.put(config_with(auto_route="false")),
                lambda: harness.delete(CONFIG),
            ):
                change()
                assert watcher.wait_for(1, self.patience_s)
                watcher.settle(self.quiet_s)

    def test_watch_is_silent_while_nothing_changes(self, harness):
        harness.put(CONFIG)
        with watching(harness.provider, self.quiet_s) as watcher:
            harness.provider.read()
            assert not watcher.wait_for(1, timeout_s=0.2)

    def test_watch_stops_at_once(self, harness):
        took_s = []
        while not took_s or (min(took_s) >= 0.5 and len(took_s) < 3):
            # The least counts: what the machine adds to one attempt says nothing of the watch.
            with watching(harness.provider, self.quiet_s) as watcher:
                begin = time.monotonic()
                watcher.stop.set()
                watcher.thread.join(5)
                took_s.append(time.monotonic() - begin)
        assert min(took_s) < 0.5, took_s

    def test_watch_survives_the_source_going_away(self, harness):
        harness.put(CONFIG)
        with watching(harness.provider, self.quiet_s) as watcher:
            before = harness.provider.read()
            harness.take_away()
            assert watcher.wait_for(1, self.patience_s)
            watcher.settle(self.quiet_s)
            with pytest.raises(ProviderError):
                harness.provider.read()
            harness.bring_back()
            # On its way back it may fail for other reasons than before.
            wait_for(lambda: can_read(harness.provider), self.patience_s)
            assert watcher.wait_for(1, self.patience_s)
            watcher.settle(self.quiet_s)
            assert harness.provider.read() == before
            harness.put(config_with(az_name="az9"))
            assert watcher.wait_for(1, self.patience_s)
        assert self.read(harness).config.az_name == "az9"


class ClusterContract(ProviderContract):
    """Further rules for sources that hold documents of Kubernetes, Nodes among them."""

    def test_nodes_are_read_and_ordered(self, harness):
        harness.put(node("n2", "10.0.0.2"))
        harness.put(node("n1", "10.0.0.1"))
        assert as_text(harness.provider.read().denied) == {
            "10.0.0.1/32": ("address of node n1",),
            "10.0.0.2/32": ("address of node n2",),
        }

    def test_addresses_of_nodes_may_be_advertised(self, harness):
        harness.put(config_with(advertise_nodes="true"))
        for name in ("n1", "n2"):
            harness.put(node(name, f"10.0.0.{name[1]}"))
        assert harness.provider.read().denied == {}

    def test_subnets_of_other_vpcs_are_left_out(self, harness):
        harness.put(subnet("ours", "10.16.0.0/16", vpc="ovn-cluster"))
        harness.put(subnet("theirs", "10.17.0.0/16", vpc="vpc9"))
        harness.put(subnet("inner", "10.18.0.0/16", vpc="vpc9", disableInterConnection=True))
        state = harness.provider.read()
        assert subnets(state) == ["ours"]
        assert state.denied == {}
        assert [router.name for router in state.routers] == ["ovn-cluster"]

    def test_wrong_subnet_does_not_hide_the_others(self, harness):
        harness.put(CONFIG)
        harness.put(subnet("bad", "10.16.0.1/16"))
        harness.put(subnet("good", "10.17.0.0/16"))
        state = harness.provider.read()
        assert subnets(state) == ["good"]
        (problem,) = state.problems
        assert "Subnet bad" in problem.where
        assert state.config == PARSED_CONFIG

    def test_unknown_gateway_is_a_problem(self, harness):
        harness.put(config_with(gw_nodes="n1,n9"))
        harness.put(node("n1", "10.0.0.1"))
        (problem,) = harness.provider.read().problems
        assert problem.found == '"n9", which is no node of this site'
