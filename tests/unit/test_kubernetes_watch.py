"""What an API server, a network or an administrator may do to the watches of the provider."""

import subprocess
import threading
import time
from pathlib import Path

import pytest
from api_harness import ApiHarness, wait_for_state
from provider_contract import CONFIG, Watcher, config_with, node, subnet, subnets, watching

from ovnmesh.providers.kubernetes import api as requests
from ovnmesh.providers.kubernetes import watch
from servers import wait_for

SUBNETS = "kubeovn.io/v1/subnets"
CRDS = "customresourcedefinitions"
EVERY_KIND = ["configmaps", "interconnections", "nodes", "subnets"]


@pytest.fixture
def harness(tmp_path):
    with ApiHarness(tmp_path) as harness:
        yield harness


def test_every_kind_is_listed_once_and_watched_once(harness):
    harness.put(CONFIG)
    harness.put(node("n1", "10.0.0.1"))
    with watching(harness.provider):
        for _ in range(3):
            assert harness.provider.read().config_present
        wait_for(lambda: harness.api.store.watches == 4)
        assert sorted(harness.asked("list")) == EVERY_KIND
        assert sorted(harness.asked("watch")) == EVERY_KIND


def test_a_watch_whose_packets_are_lost_is_begun_again(harness, monkeypatch):
    monkeypatch.setattr(requests, "SILENCE_S", 1.0)
    harness.put(CONFIG)
    with watching(harness.provider):
        harness.api.mute()
        harness.put(config_with(az_name="az9"))
        wait_for_state(harness, lambda state: state.config.az_name == "az9")
        # From where it was: what has not changed is not sent again.
        assert sorted(harness.asked("list")) == EVERY_KIND


def test_a_connection_is_asked_whether_the_other_host_is_still_there(harness):
    with watching(harness.provider):
        wait_for(lambda: harness.api.store.watches == 4)
        rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()]
        timers = [row[5] for row in rows if row[2].endswith(f":{harness.api.port:04X}")]
        # proc(5), "tr": 2 is the timer of keepalives.
        assert len([timer for timer in timers if timer.startswith("02:")]) == 4


def test_an_api_that_hangs_is_told_and_caught_up_with(harness, monkeypatch):
    monkeypatch.setattr(requests, "TIMEOUT_S", 0.5)
    monkeypatch.setattr(requests, "SILENCE_S", 1.0)
    harness.put(CONFIG)
    with watching(harness.provider):
        harness.api.store.hung = True
        harness.api.mute()
        wait_for(lambda: "timed out" in harness.problem())
        harness.put(config_with(az_name="az9"))
        harness.api.store.hung = False
        wait_for_state(harness, lambda state: state.config.az_name == "az9")


def test_a_quiet_watch_outlives_the_patience_for_an_answer(harness, monkeypatch):
    monkeypatch.setattr(requests, "TIMEOUT_S", 1.0)
    with watching(harness.provider):
        time.sleep(2.5)
        assert sorted(harness.asked("watch")) == EVERY_KIND


def test_stopping_does_not_wait_for_an_api_that_hangs(harness):
    harness.api.store.hung = True
    watcher = Watcher(harness.provider)
    wait_for(lambda: len(harness.asked("list")) == 4)
    watcher.stop.set()
    watcher.thread.join(requests.TIMEOUT_S / 2)  # less than they would wait for an answer
    assert not watcher.thread.is_alive()


def test_an_api_that_is_not_there_yet_is_found_when_it_comes(harness):
    harness.take_away()
    with watching(harness.provider) as watcher:
        assert "no answer from http://127.0.0.1" in harness.problem()
        harness.put(CONFIG)
        watcher.settle()
        harness.bring_back()
        assert watcher.wait_for(1, 8)
        wait_for_state(harness, lambda state: state.config_present)


def test_an_api_that_comes_back_with_an_older_copy_of_its_data_is_believed(harness):
    harness.put(CONFIG)
    with watching(harness.provider):
        harness.take_away()
        wait_for(lambda: len(list(filter(None, harness.provider._problems.values()))) == 4)
        harness.api.vanish(CONFIG)
        harness.bring_back()
        wait_for_state(harness, lambda state: not state.config_present)


def test_the_reason_told_is_the_last_one(harness):
    harness.put(CONFIG)
    with watching(harness.provider):
        harness.take_away()
        wait_for(lambda: "no answer" in harness.problem())
        harness.api.store.refuse["watch", "nodes"] = 403
        harness.bring_back()
        wait_for(lambda: "cannot watch nodes" in harness.problem())
        wait_for(lambda: "no answer" not in harness.problem())


def test_one_denied_kind_is_told_once_until_it_is_granted(harness, caplog):
    harness.put(CONFIG)
    harness.api.store.refuse["watch", "subnets"] = 403
    with watching(harness.provider):
        wait_for(lambda: "cannot watch subnets" in harness.problem())
        assert "ClusterRole" in harness.problem()
        time.sleep(3)
        assert harness.problem()
        told = [r for r in caplog.records if "watch subnets" in r.message]
        assert len(told) == 1
        # The other kinds are kept up with, and this one is not listed again and again.
        assert harness.asked("list").count("subnets") == 1
        harness.put(config_with(az_name="az9"))
        harness.api.store.refuse.clear()
        wait_for_state(harness, lambda state: state.config.az_name == "az9")


def test_a_version_that_is_refused_is_no_trouble(harness):
    harness.api.store.refuse["watch", "nodes"] = 410
    with watching(harness.provider):
        wait_for(lambda: harness.asked("list").count("nodes") > 2)
        assert not harness.problem()
        harness.api.store.refuse.clear()
        harness.put(node("n1", "10.0.0.1"))
        wait_for_state(harness, lambda state: len(state.denied) == 1)


def test_expired_watches_leave_nothing_behind(harness):
    harness.put(node("n1", "10.0.0.1"))
    with watching(harness.provider) as watcher:
        wait_for(lambda: harness.api.store.watches == 4)
        files, threads = open_files(), threading.active_count()
        rounds = 5
        for _ in range(rounds):
            lists = len(harness.asked("list"))
            harness.api.forget()
            wait_for(lambda lists=lists: len(harness.asked("list")) >= lists + 4)
            wait_for(lambda: harness.api.store.watches == 4)
        assert watcher.calls == 0  # nothing had changed
        # A connection kept for later may come or go; what stays behind each time does not pass.
        wait_for(lambda: open_files() < files + rounds)
        wait_for(lambda: threading.active_count() < threads + rounds)


def open_files():
    return len(list(Path("/proc/self/fd").iterdir()))


def test_a_kind_that_is_not_there_is_not_asked_for_again_and_again(harness):
    harness.api.undeclare(SUBNETS)
    with watching(harness.provider):
        wait_for(lambda: harness.api.store.watches == 4)
        assert harness.asked("watch").count(CRDS) == 1
        asked = len(harness.api.store.calls)
        time.sleep(1.5)
        assert len(harness.api.store.calls) == asked
        assert not harness.problem()


def test_a_kind_that_comes_just_before_its_crd_is_watched_is_not_missed(harness):
    harness.api.undeclare(SUBNETS)
    harness.api.declare_before_watch_of_crds(SUBNETS)
    with watching(harness.provider):
        wait_for(lambda: harness.asked("watch").count("subnets") == 1)
        harness.put(subnet("s1", "10.16.0.0/16"))
        wait_for_state(harness, lambda state: len(state.local) == 1)


def test_a_kind_that_comes_is_found_without_the_right_to_watch_crds(harness, monkeypatch):
    monkeypatch.setattr(watch, "_ABSENT_S", 0.5)
    harness.api.undeclare(SUBNETS)
    harness.api.store.refuse["watch", CRDS] = 403
    with watching(harness.provider):
        wait_for(lambda: harness.asked("watch").count(CRDS) >= 2)
        assert not harness.problem()
        harness.api.declare(SUBNETS)
        harness.put(subnet("s1", "10.16.0.0/16"))
        wait_for_state(harness, lambda state: len(state.local) == 1)


def test_a_crd_deleted_and_made_again_is_followed_each_time(harness):
    harness.put(CONFIG)
    with watching(harness.provider):
        for number in range(3):
            harness.put(subnet(f"s{number}", f"10.{number}.0.0/16"))
            wait_for_state(harness, lambda s, n=number: subnets(s) == [f"s{n}"])
            harness.api.undeclare(SUBNETS)
            wait_for_state(harness, lambda state: state.local == {} and state.config_present)
            harness.api.declare(SUBNETS)
        assert harness.asked("list").count("nodes") == 1


@pytest.mark.parametrize("status", [429, 500])
def test_a_storm_of_refusals_is_waited_for_and_leaves_no_trace(harness, status, caplog):
    harness.put(CONFIG)
    storm = {(verb, plural): status for verb in ("list", "watch") for plural in EVERY_KIND}
    with watching(harness.provider):
        idle_s = cpu_of_a_second()
        harness.api.store.refuse = storm
        harness.api.forget()
        wait_for(lambda: harness.problem())
        asked, began = len(harness.api.store.calls), time.monotonic()
        time.sleep(4)
        # Each kind after 0.1 s, twice that, and so on, to 3 s; or half of it, as chance will.
        most = 7 + (time.monotonic() - began - 4) // 1.5
        assert len(harness.api.store.calls) - asked <= most * len(EVERY_KIND)
        assert len([r for r in caplog.records if r.levelname == "WARNING"]) == len(EVERY_KIND)
        harness.put(config_with(az_name="az9"))
        harness.api.store.refuse = {}
        wait_for_state(harness, lambda state: state.config.az_name == "az9")
        wait_for(lambda: harness.api.store.watches == 4)
        asked = len(harness.api.store.calls)
        assert cpu_of_a_second() < idle_s + 0.05
        assert len(harness.api.store.calls) == asked


def cpu_of_a_second():
    began = time.process_time()
    time.sleep(1)
    return time.process_time() - began


def test_an_api_that_says_when_to_come_again_is_not_asked_before(harness):
    harness.api.store.refuse["watch", "nodes"] = 429
    harness.api.store.refusal_headers = {"Retry-After": "3"}
    began = time.monotonic()
    with watching(harness.provider):
        wait_for(lambda: harness.problem())
        time.sleep(1.5)
        asked, took_s = harness.asked("watch").count("nodes"), time.monotonic() - began
        assert asked == 1 or took_s >= 3
        harness.api.store.refuse.clear()
        wait_for(lambda: not harness.problem())


def test_credentials_that_were_changed_are_read_again(harness):
    harness.put(CONFIG)
    with watching(harness.provider):
        harness.api.store.token = "another"
        harness.api.forget()
        wait_for(lambda: "valid token" in harness.problem())
        harness.api.kubeconfig(harness.kubeconfig)
        wait_for_state(harness, lambda state: state.config_present)


def test_any_character_may_stand_in_an_object(harness):
    text = "a\u0085b\u2028c\u000bd\r\n" + "\U0001f407" * 100_000
    with watching(harness.provider):
        told = node("n1", "10.0.0.1")
        told["metadata"]["annotations"] = {"note": text}
        harness.put(told)
        wait_for_state(harness, lambda state: len(state.denied) == 1)
        harness.put(node("n2", "10.0.0.2"))
        wait_for_state(harness, lambda state: len(state.denied) == 2)
        assert harness.asked("list").count("nodes") == 1


def test_over_tls_it_is_watched_and_stopped_alike(tmp_path):
    certificate = tmp_path / "both.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    command += ["-nodes", "-subj", "/CN=api", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run([*command, "-out", "cert", "-keyout", "key"], cwd=tmp_path, check=True)
    certificate.write_bytes((tmp_path / "cert").read_bytes() + (tmp_path / "key").read_bytes())
    with ApiHarness(tmp_path, certificate) as harness, watching(harness.provider) as watcher:
        harness.put(CONFIG)
        wait_for_state(harness, lambda state: state.config_present)
        watcher.stop.set()
        watcher.thread.join(2)
        assert not watcher.thread.is_alive()
