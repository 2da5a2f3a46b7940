"""The OpenStack provider against a fake Neutron: the contract, and what only an API can do."""

import re
import threading
import time
from ipaddress import ip_network

import openstack.config
import pytest
from keystoneauth1 import exceptions as keystone
from openstack import exceptions as sdk
from openstack.connection import Connection
from provider_contract import (
    CONFIG,
    ProviderContract,
    as_text,
    can_read,
    config_with,
    subnet,
    subnets,
    watching,
)

from fake_neutron import FakeNeutron
from openstack_cloud import CloudHarness
from ovnmesh.errors import ProviderError, ProviderPending
from ovnmesh.model.desired import Router
from ovnmesh.providers.files import watching as folders
from ovnmesh.providers.openstack import api, provider
from ovnmesh.providers.openstack.provider import OpenStackProvider
from ovnmesh.providers.openstack.site_file import parse_site_file
from servers import wait_for

QUIET_S = 0.15


@pytest.fixture(autouse=True)
def _short_intervals(monkeypatch):
    """What takes seconds in production takes less here; nothing else changes."""
    monkeypatch.setattr(folders, "_RETRY_S", 0.05)
    monkeypatch.setattr(folders, "_LOOK_UP_S", 0.05)
    monkeypatch.setattr(provider, "FIRST_BACKOFF_S", 0.05)
    monkeypatch.setattr(provider, "LAST_BACKOFF_S", 0.1)
    monkeypatch.setattr(provider, "COALESCE_S", 0.01)
    monkeypatch.setattr(provider, "SPACING_S", 0.01)
    monkeypatch.setattr(provider, "POLL_S", 0.05)


class Events:
    """A stand-in for the northbound database: `fire` is a change of a row."""

    def __init__(self):
        self.followed = []
        self.fire = lambda: None

    def follow(self, routers):
        self.followed = list(routers)

    def watch(self, on_change, stop):
        self.fire = on_change
        stop.wait()


@pytest.fixture
def cloud(tmp_path):
    neutron = FakeNeutron()
    clouds_yaml = neutron.clouds_yaml(tmp_path / "clouds.yaml")
    config = openstack.config.OpenStackConfig(config_files=[str(clouds_yaml)], load_envvars=False)
    connection = Connection(config=config.get_one("mycloud"))
    folder = tmp_path / "site"
    folder.mkdir()
    harness = CloudHarness(folder, connection.network, clouds_yaml, events=Events())
    harness.api, harness.clouds_yaml = neutron, clouds_yaml
    harness.take_away, harness.bring_back = neutron.take_away, neutron.bring_back
    yield harness
    connection.close()
    neutron.close()


@pytest.fixture
def one_reading_at_start(cloud, monkeypatch):
    """The folder is watched from the first reading on.

    Otherwise a second reading follows the first or not, by chance: the watch tells that it has
    begun, and the file counts as changed if that comes before its first reading.
    """

    def watch(folder, on_change, stop):
        wait_for(lambda: stop.is_set() or not isinstance(cloud.provider._last, ProviderPending))
        folders.watch_folder(folder, on_change, stop)

    monkeypatch.setattr(provider, "watch_folder", watch)


class TestOpenStackContract(ProviderContract):
    quiet_s = QUIET_S
    document = "os1.yaml"

    @pytest.fixture
    def harness(self, cloud):
        return cloud

    def read(self, harness):
        return harness.read()

    def kept_out(self, name):
        return f"subnet {name}: tag ovnmesh-no-interconnection"


def external(cloud, *cidrs):
    """Give the router a gateway on a network with these subnets."""
    network = cloud.api.add("networks", **{"router:external": True})
    made = [
        cloud.api.add("subnets", network_id=network["id"], cidr=cidr, name=f"public{i}")
        for i, cidr in enumerate(cidrs)
    ]
    address = str(next(ip_network(cidrs[0]).hosts()))
    fixed = [{"subnet_id": made[0]["id"], "ip_address": address}]
    cloud.api.objects["routers"][cloud.router.id]["external_gateway_info"] = {
        "network_id": network["id"],
        "external_fixed_ips": fixed,
    }
    return made


def test_a_router_becomes_a_logical_router_with_a_label(cloud):
    cloud.put(CONFIG)
    ovn_name = f"neutron-{cloud.router.id}"
    assert cloud.read().routers == (Router(ovn_name, cloud.router.name),)
    assert set(cloud.provider._events.followed) == {cloud.router.name, ovn_name}


def test_extra_routes_count_as_the_routers_own_networks(cloud):
    cloud.put(CONFIG)
    row = cloud.api.objects["routers"][cloud.router.id]
    hop = "10.16.0.9"
    row["routes"] = [
        {"destination": "172.20.0.0/16", "nexthop": hop},
        {"destination": "0.0.0.0/0", "nexthop": hop},
    ]
    what = f"route of {cloud.router.name}"
    assert as_text(cloud.read().local) == {"172.20.0.0/16": (what,)}


def put_routers(cloud, text):
    cloud.put(CONFIG)
    written = cloud.file.read_text()
    before = f"routers:\n- {cloud.router.name}\n"
    assert before in written
    cloud.file.write_text(written.replace(before, f"routers: {text}\n"))


def test_names_and_ids_may_be_mixed_and_unsafe_names_are_replaced(cloud):
    odd = cloud.api.add("routers", name="a b")
    twins = [cloud.api.add("routers", name="twin") for _ in range(2)]
    put_routers(
        cloud,
        f"[a b, {twins[0]['id']}, {{name: {twins[1]['id']}, transit-switches: [ts1]}}, "
        f"{cloud.router.name}]",
    )
    state = cloud.read()
    assert state.problems == ()
    assert state.routers == (
        Router(f"neutron-{odd['id']}", odd["id"]),
        Router(f"neutron-{twins[0]['id']}", twins[0]["id"]),
        Router(f"neutron-{twins[1]['id']}", twins[1]["id"], ("ts1",)),
        Router(f"neutron-{cloud.router.id}", cloud.router.name),
    )


def test_routers_that_are_missing_ambiguous_or_named_twice(cloud):
    twins = sorted(cloud.api.add("routers", name="twin")["id"] for _ in range(2))
    name = cloud.router.name
    put_routers(cloud, f"[twin, {name}x, {name}, {cloud.router.id}]")
    said = [str(problem) for problem in cloud.read().problems]
    place = "os1.yaml:8, routers: found"
    assert said == [
        f'{place} "twin", a name of 2 routers ({twins[0]}, {twins[1]}); '
        "expected the id of the one that is meant",
        f'{place} "{name}x", which is no router of cloud "mycloud"; expected a router '
        f'that this user may see (`openstack router list`): did you mean "{name}"?',
        f'{place} "{cloud.router.id}", the same router as "{name}"; expected each router only once',
    ]


def test_external_networks_and_the_files_own_list_are_denied(cloud):
    external(cloud, "172.24.4.0/24", "fd99::/64")
    cloud.put(CONFIG)
    cloud.file.write_text(cloud.file.read_text() + "deny: [10.99.0.0/16]\n")
    outside = f"of the external network of {cloud.router.name}"
    assert as_text(cloud.read().denied) == {
        "10.99.0.0/16": ("deny of os1.yaml",),
        "172.24.4.0/24": (f"subnet public0 {outside}",),
        "fd99::/64": (f"subnet public1 {outside}",),
    }


def test_a_network_that_is_denied_twice_keeps_both_reasons(cloud):
    external(cloud, "172.24.4.0/24")
    cloud.put(CONFIG)
    cloud.file.write_text(cloud.file.read_text() + "deny: [172.24.4.0/24]\n")
    why = f"subnet public0 of the external network of {cloud.router.name}"
    assert as_text(cloud.read().denied) == {"172.24.4.0/24": ("deny of os1.yaml", why)}


def test_an_external_subnet_that_cannot_be_seen_must_be_named_in_the_file(cloud):
    (hidden,) = external(cloud, "172.24.4.0/24")
    cloud.api.hidden.add(hidden["id"])
    cloud.put(CONFIG)
    (problem,) = cloud.read().problems
    assert hidden["id"] in problem.found
    assert "172.24.4.1" in problem.expected
    cloud.file.write_text(cloud.file.read_text() + "deny: [172.24.4.0/24]\n")
    assert cloud.read().problems == ()


def test_a_subnet_that_cannot_be_seen_is_a_problem(cloud):
    cloud.put(CONFIG)
    cloud.put(subnet("s1", "10.16.0.0/16"))
    (found,) = cloud.api.objects["subnets"]
    cloud.api.hidden.add(found)
    (problem,) = cloud.read().problems
    assert f"may not see subnet {found}" in problem.found


def test_a_reading_takes_few_requests_however_many_subnets(cloud):
    external(cloud, "172.24.4.0/24")
    cloud.put(CONFIG)
    for i in range(100):
        made = cloud.api.add("subnets", network_id=f"net{i}", cidr=f"10.1.{i}.0/24")
        cloud.api.attach(cloud.router.id, made["id"])
    # Not through the provider: its thread may begin another reading before this one is counted.
    asked = api.Api(parse_site_file(cloud.file.read_bytes(), cloud.file).site)
    before = len(cloud.api.lists())
    found = api.read_neutron(asked, [cloud.router.name])
    asked.close()
    assert len(found.subnets) == 101
    # Routers, ports, three lists of at most 40 subnets, the external network's.
    assert len(cloud.api.lists()) - before == 6


def test_leaving_asks_nobody(cloud):
    cloud.take_away()
    cloud.put(config_with(enable_ic="false"))
    state = cloud.read()
    assert state.problems == ()
    assert state.config.enable_ic is False


def test_reading_never_waits_for_the_api(cloud):
    cloud.put(CONFIG)
    cloud.api.delay_s = 30.0
    watch = OpenStackProvider(cloud.file)
    stop = threading.Event()
    thread = threading.Thread(target=watch.watch, args=(lambda: None, stop))
    thread.start()
    wait_for(lambda: cloud.api.calls)
    with pytest.raises(ProviderPending, match="is being read"):
        watch.read()
    stop.set()
    thread.join(15)
    assert not thread.is_alive()
    cloud.api.delay_s = 0


def test_rows_that_neutron_writes_are_events(cloud, one_reading_at_start, monkeypatch):
    monkeypatch.setattr(provider, "POLL_S", 60.0)
    cloud.put(CONFIG)
    with watching(cloud.provider, QUIET_S) as watcher:
        cloud.put(subnet("s1", "10.16.0.0/16"))
        assert not watcher.wait_for(1, timeout_s=0.3)
        cloud.provider._events.fire()
        assert watcher.wait_for(1)
        assert subnets(cloud.provider.read()) == ["s1"]


def test_a_burst_of_rows_is_read_once(cloud, one_reading_at_start, monkeypatch):
    monkeypatch.setattr(provider, "POLL_S", 60.0)
    monkeypatch.setattr(provider, "COALESCE_S", 0.3)
    cloud.put(CONFIG)
    with watching(cloud.provider, QUIET_S):
        cloud.api.calls.clear()
        began = time.monotonic()
        for _ in range(50):
            cloud.provider._events.fire()
            time.sleep(0.002)
        took_s = time.monotonic() - began
        time.sleep(0.6)
        # Once, routers and ports; more often only if the burst itself took longer than that.
        assert 2 <= len(cloud.api.lists()) <= 2 * (1 + took_s // provider.COALESCE_S)


def test_tags_are_found_by_looking_now_and_then(cloud):
    cloud.put(CONFIG)
    cloud.put(subnet("s1", "10.16.0.0/16"))
    with watching(cloud.provider, QUIET_S) as watcher:
        for each in cloud.api.objects["subnets"].values():
            each["tags"] = ["ovnmesh-no-interconnection"]
        assert watcher.wait_for(1)
        assert "tag ovnmesh-no-interconnection" in str(cloud.provider.read().denied)


def test_an_outage_is_told_once_and_ends_by_itself(cloud, caplog, monkeypatch):
    caplog.set_level("INFO", "ovnmesh")
    cloud.put(CONFIG)
    with watching(cloud.provider, QUIET_S) as watcher:
        cloud.take_away()
        assert watcher.wait_for(1)
        asked = len(cloud.api.calls)
        time.sleep(0.5)  # several attempts
        with pytest.raises(ProviderError, match=r"cloud \"mycloud\": the API at http.* cannot be"):
            cloud.provider.read()
        assert watcher.calls == 1
        cloud.bring_back()
        wait_for(lambda: len(cloud.api.calls) > asked)
        assert watcher.wait_for(2)
        # On its way back it may fail for other reasons than before.
        wait_for(lambda: can_read(cloud.provider))
        assert cloud.provider.read().problems == ()
    told = [record.message for record in caplog.records if record.levelname == "WARNING"]
    assert len(told) == 1
    assert any("can be read again" in record.message for record in caplog.records)


def test_a_failing_api_is_left_in_peace(cloud, one_reading_at_start, monkeypatch):
    monkeypatch.setattr(provider, "FIRST_BACKOFF_S", 20.0)
    monkeypatch.setattr(provider, "LAST_BACKOFF_S", 60.0)
    cloud.put(CONFIG)
    cloud.api.refuse = 503
    with watching(cloud.provider, QUIET_S) as watcher:
        cloud.api.calls.clear()
        for _ in range(20):
            cloud.provider._events.fire()
            time.sleep(0.01)
        assert cloud.api.calls == []
        cloud.api.refuse = 0
        cloud.put(config_with(az_name="az9"))  # somebody mends the file: at once
        assert watcher.wait_for(1)
        assert cloud.provider.read().config.az_name == "az9"


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (401, r"credentials are refused \(401\); expected .*clouds.yaml"),
        (403, r"may not do that \(403\); expected the role reader"),
        (503, r"fails \(HTTP status 503\)"),
    ],
)
def test_refusals_say_what_to_do(cloud, status, said):
    cloud.put(CONFIG)
    cloud.api.refuse = status
    with pytest.raises(ProviderError, match=said):
        cloud.read()


def test_an_answer_that_is_no_neutron_s(cloud):
    cloud.put(CONFIG)
    cloud.api.garbage = True
    with pytest.raises(ProviderError, match='cloud "mycloud": the '):
        cloud.read()


def test_an_api_that_does_not_answer_in_time(cloud, monkeypatch):
    monkeypatch.setattr(api, "TIMEOUT_S", 0.2)
    cloud.put(CONFIG)
    cloud.api.delay_s = 30.0
    with pytest.raises(ProviderError, match=r"does not answer in time|cannot be reached"):
        cloud.read()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (
            "clouds: {other: {}}",
            r'cloud "mycloud": found no such entry in .*; expected one of other',
        ),
        (
            "clouds:\n  mycloud:\n  - password: [s3cret\n",
            r"/clouds.yaml, line 4",
        ),
        (
            "clouds: {mycloud: {auth: {password: s3cret, auth_url: 'http://127.0.0.1:1/v3'}}}",
            r"cloud \"mycloud\": .*",
        ),
    ],
)
def test_a_wrong_clouds_yaml_is_told_without_secrets(cloud, content, said):
    cloud.put(CONFIG)
    cloud.clouds_yaml.write_text(content)
    with pytest.raises(ProviderError, match=said) as caught:
        cloud.read()
    assert "s3cret" not in str(caught.value)


def test_a_missing_clouds_yaml_is_named(cloud):
    cloud.put(CONFIG)
    cloud.clouds_yaml.unlink()
    with pytest.raises(ProviderError, match=r"which cannot be read .*expected a clouds.yaml"):
        cloud.read()


def test_new_credentials_are_taken_without_a_restart(cloud):
    cloud.put(CONFIG)
    good = cloud.clouds_yaml.read_text()
    cloud.clouds_yaml.write_text(good.replace(cloud.api.url, "http://127.0.0.1:1"))
    with watching(cloud.provider, QUIET_S) as watcher:
        with pytest.raises(ProviderError):
            cloud.provider.read()
        cloud.clouds_yaml.write_text(good)
        assert watcher.wait_for(1)
        # The first reading may have met a file that was only begun.
        wait_for(lambda: can_read(cloud.provider))
        assert cloud.provider.read().problems == ()


def test_an_unreadable_site_file_is_an_error(tmp_path):
    folder = tmp_path / "os1.yaml"
    folder.mkdir()
    found = OpenStackProvider(folder)
    looked, stop = threading.Event(), threading.Event()
    thread = threading.Thread(target=found.watch, args=(looked.set, stop))
    thread.start()
    assert looked.wait(5)
    stop.set()
    thread.join(5)
    with pytest.raises(ProviderError, match="expected a file that can be read"):
        found.read()


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (keystone.Unauthorized(), r"refused \(401\)"),
        (keystone.SSLError("to https://api:5000/v3: x"), "https://api:5000 has a certificate"),
        (keystone.ConnectTimeout("https://api:5000/v3"), "does not answer in time"),
        (keystone.EndpointNotFound(), "no network service that fits; expected one, in the region"),
        (keystone.MissingRequiredOptions([]), "expected a whole entry"),
        (keystone.ServiceUnavailable(), "HTTP status 503"),
        (sdk.ForbiddenException("no", http_status=403), "expected the role reader"),
    ],
)
def test_every_refusal_has_its_words(error, said):
    assert re.search(said, api.explain(error))
