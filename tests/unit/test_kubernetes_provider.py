"""The Kubernetes provider against a fake API: the contract, and what only an API can do."""

import time

import pytest
from api_harness import ApiHarness, wait_for_state
from provider_contract import CONFIG, ClusterContract, config_with, node, subnet, subnets, watching

from ovnmesh.errors import ProviderError
from ovnmesh.providers.kubernetes.provider import KubernetesProvider
from servers import wait_for, wait_quiet


@pytest.fixture
def harness(tmp_path):
    with ApiHarness(tmp_path) as harness:
        yield harness


class TestContract(ClusterContract):
    @pytest.fixture
    def harness(self, tmp_path):
        with ApiHarness(tmp_path) as harness:
            yield harness


def test_watching_asks_for_nothing_while_nothing_changes(harness):
    harness.put(CONFIG)
    harness.put(node("n1", "10.0.0.1"))
    with watching(harness.provider):
        harness.provider.read()
        wait_quiet(lambda: len(harness.api.store.calls))
        asked = len(harness.api.store.calls)
        harness.provider.read()
        time.sleep(1.0)
        assert len(harness.api.store.calls) == asked


def test_a_change_is_read_without_a_request(harness):
    harness.put(CONFIG)
    with watching(harness.provider) as watcher:
        harness.provider.read()
        wait_quiet(lambda: (watcher.calls, len(harness.api.store.calls)))
        watcher.settle()
        asked = len(harness.api.store.calls)
        harness.put(subnet("s1", "10.16.0.0/16"))
        assert watcher.wait_for(1)
        assert subnets(harness.provider.read()) == ["s1"]
        assert len(harness.api.store.calls) == asked


def test_what_changes_elsewhere_in_an_object_is_no_change(harness):
    harness.put(node("n1", "10.0.0.1"))
    with watching(harness.provider) as watcher:
        harness.provider.read()
        wait_quiet(lambda: (watcher.calls, len(harness.api.store.calls)))
        watcher.settle()
        heartbeat = node("n1", "10.0.0.1")
        heartbeat["status"]["conditions"] = [{"type": "Ready", "lastHeartbeatTime": "now"}]
        harness.put(heartbeat)
        assert not watcher.wait_for(1, timeout_s=0.5)


def test_an_object_deleted_while_the_watch_had_expired_is_gone(harness):
    gone = subnet("gone", "10.17.0.0/16")
    harness.put(subnet("kept", "10.16.0.0/16"))
    harness.put(gone)
    with watching(harness.provider) as watcher:
        assert len(harness.provider.read().local) == 2
        harness.api.vanish(gone)
        harness.api.forget()
        assert watcher.wait_for(1)
        wait_for(lambda: subnets(harness.provider.read()) == ["kept"])


def test_the_last_object_deleted_while_the_api_was_away_is_gone(harness):
    harness.put(CONFIG)
    with watching(harness.provider):
        assert harness.provider.read().config_present
        harness.api.stop()
        harness.api.vanish(CONFIG)
        harness.api.forget()
        harness.api.start()
        wait_for_state(harness, lambda state: not state.config_present)


def test_the_subnet_kind_may_come_later_and_go(harness):
    harness.put(CONFIG)
    path = "kubeovn.io/v1/subnets"
    harness.api.undeclare(path)
    with watching(harness.provider) as watcher:
        state = harness.provider.read()
        assert (state.local, state.problems) == ({}, ())
        watcher.settle()
        harness.api.declare(path)
        harness.put(subnet("s1", "10.16.0.0/16"))
        wait_for_state(harness, lambda state: subnets(state) == ["s1"])
        harness.api.undeclare(path)
        wait_for_state(harness, lambda state: state.local == {})


def test_a_kind_that_goes_while_it_is_watched_does_not_end_the_other_watches(harness):
    harness.put(CONFIG)
    harness.put(subnet("s1", "10.16.0.0/16"))
    path = "kubeovn.io/v1/subnets"
    with watching(harness.provider):
        assert len(harness.provider.read().local) == 1
        harness.api.undeclare(path)
        wait_for_state(harness, lambda state: state.local == {})
        harness.put(config_with(az_name="az9"))
        wait_for_state(harness, lambda state: state.config.az_name == "az9")
        harness.api.declare(path)
        harness.put(subnet("s2", "10.17.0.0/16"))
        wait_for_state(harness, lambda state: subnets(state) == ["s2"])


def test_a_denied_list_is_an_error_that_names_the_rules(harness):
    harness.api.store.refuse["list", "nodes"] = 403
    with pytest.raises(ProviderError, match=r"cannot list nodes: .*ClusterRole"):
        harness.provider.read()


def test_a_denied_watch_heals_by_itself(harness):
    harness.put(CONFIG)
    harness.api.store.refuse["watch", "nodes"] = 403
    with watching(harness.provider):
        time.sleep(0.5)
        harness.api.store.refuse.clear()
        wait_for_state(harness, lambda state: state.config_present)
        harness.put(config_with(az_name="az9"))
        wait_for(lambda: harness.provider.read().config.az_name == "az9")


def test_no_mark_is_left_on_anybody_s_objects(harness):
    harness.put(CONFIG)
    harness.put(node("n1", "10.0.0.1"))
    harness.put(subnet("s1", "10.16.0.0/16"))
    with watching(harness.provider):
        harness.provider.read()
        time.sleep(1.0)
    writes = [c for c in harness.api.store.calls if c.verb in ("create", "patch", "delete")]
    assert writes == []


def test_missing_kubeconfig_says_what_was_expected(tmp_path):
    provider = KubernetesProvider(tmp_path / "none")
    with pytest.raises(ProviderError, match="expected a kubeconfig"):
        provider.read()


def test_thousands_of_objects(harness):
    harness.put(CONFIG)
    harness.api.put_all([node(f"n{i}", f"10.1.{i // 250}.{i % 250 + 1}") for i in range(2000)])
    harness.api.put_all([subnet(f"s{i}", f"10.{i // 256}.{i % 256}.0/24") for i in range(2000)])
    with watching(harness.provider) as watcher:
        state = harness.provider.read()
        assert (len(state.denied), len(state.local)) == (2000, 2000)
        watcher.settle(0.5)
        harness.put(subnet("extra", "172.16.0.0/24"))
        assert watcher.wait_for(1)
        assert len(harness.provider.read().local) == 2001
