"""The OpenStack provider with a real Neutron behind a real Keystone. Needs root for the lab.

Catalog, region, roles, wrong passwords, tokens that are no longer valid; and the same contract that
the provider fulfils on the fake Neutron of the unit tests.
"""

import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from provider_contract import CONFIG, ProviderContract, can_read, subnet, subnets, watching

from openstack_cloud import CloudHarness
from ovnmesh.errors import ProviderError
from ovnmesh.lab.boot import teardown
from ovnmesh.lab.openstack import keystone, objects
from ovnmesh.lab.runner import LabRunner
from ovnmesh.lab.values.spec import parse_spec
from ovnmesh.model.remote import parse_remote
from ovnmesh.providers.openstack import provider as provider_module
from ovnmesh.providers.openstack.provider import OpenStackProvider
from ovnmesh.providers.openstack.row_events import NeutronEvents
from servers import wait_for

pytestmark = [pytest.mark.root, pytest.mark.timeout(1200)]
CIDR = "192.168.1.0/24"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabRunner]:
    directory = tmp_path_factory.mktemp("keystone")
    site = {"name": "os1", "nodes": 1, "vms": 0, "keystone": True}
    try:
        yield LabRunner.up(parse_spec({"openstack": [site]}, "test"), directory, bare=True)
    finally:
        teardown.down(directory)


class Reader:
    """A provider of router0, with an entry of clouds.yaml of its own."""

    def __init__(self, lab: LabRunner, folder: Path) -> None:
        site = lab.lab.site("os1")
        self.entry = yaml.safe_load(site.require_openstack().clouds_yaml.read_text())["clouds"][
            "os1"
        ]
        self.clouds_yaml, self.file = folder / "clouds.yaml", folder / "os1.yaml"
        document = {
            "az-name": "os1",
            "cloud": "mine",
            "clouds-yaml": str(self.clouds_yaml),
            "routers": ["router0"],
            "ic-db-host": "192.168.65.3",
            "gw-nodes": "enable-chassis-as-gw",
        }
        self.write_cloud()
        self.file.write_text(yaml.safe_dump(document))
        self.provider = OpenStackProvider(self.file)
        self.stop = threading.Event()

    def write_cloud(self, **auth: str) -> None:
        entry = {**self.entry, "auth": {**self.entry["auth"], **auth}}
        self.clouds_yaml.write_text(yaml.safe_dump({"clouds": {"mine": entry}}))

    def start(self) -> None:
        watch = (lambda: None, self.stop)
        threading.Thread(target=self.provider.watch, args=watch, daemon=True).start()

    def subnets(self) -> list[str]:
        state = can_read(self.provider)
        if state is None or state.problems:
            return []
        return [str(prefix) for prefix in state.local]

    def error(self) -> str:
        try:
            return "; ".join(map(str, self.provider.read().problems))
        except ProviderError as error:
            return str(error)


@pytest.fixture
def reader(lab, tmp_path, monkeypatch) -> Iterator[Reader]:
    monkeypatch.setattr(provider_module, "POLL_S", 0.5)
    monkeypatch.setattr(provider_module, "LAST_BACKOFF_S", 1.0)
    made = Reader(lab, tmp_path)
    yield made
    made.stop.set()


def test_neutron_is_found_in_the_catalog(reader) -> None:
    reader.start()
    wait_for(lambda: reader.subnets() == [CIDR], 20, reader.error)
    (router,) = reader.provider.read().routers
    assert router.ports_named_after == "router0"
    assert any(str(prefix).startswith("172.31.") for prefix in reader.provider.read().denied)


def test_a_region_that_is_not_in_the_catalog(reader) -> None:
    reader.entry["region_name"] = "Elsewhere"
    reader.write_cloud()
    reader.start()
    wait_for(lambda: "region" in reader.error(), 20, reader.error)
    reader.entry["region_name"] = "RegionOne"
    reader.write_cloud()
    wait_for(lambda: reader.subnets() == [CIDR], 20, reader.error)


def test_a_wrong_password_is_told_without_telling_it(reader) -> None:
    reader.write_cloud(password="not-this-secret")
    reader.start()
    wait_for(lambda: "401" in reader.error(), 20, reader.error)
    assert "secret" not in reader.error()
    reader.write_cloud()
    wait_for(lambda: reader.subnets() == [CIDR], 20, reader.error)


def test_a_token_that_is_no_longer_valid_is_replaced(reader, lab) -> None:
    reader.start()
    wait_for(lambda: reader.subnets() == [CIDR], 20, reader.error)
    site = lab.lab.site("os1")
    # Other keys make every token invalid, as time does; Neutron forgets what it has checked.
    repository = site.require_openstack().directory / "keystone" / "fernet"
    shutil.rmtree(repository)
    keystone._write_keys(repository)
    lab.fault_kill("os1", "neutron")
    wait_for(lambda: "cannot be reached" in reader.error(), 20, reader.error)
    lab.fault_kill("os1", "neutron", heal=True)
    # Neutron's first answers may be those for a user who is no administrator: another thread is
    # still loading its rules (neutron/policy.py, init). Then there is no such router for a moment.
    wait_for(lambda: reader.subnets() == [CIDR], 30, reader.error)


def test_a_user_with_the_role_reader_is_enough(reader, lab) -> None:
    with objects.connect(lab.lab.site("os1")) as connection:
        identity = connection.identity
        project = identity.find_project("admin", ignore_missing=False)
        user = identity.create_user(
            name="ovnmesh", password="only-to-read", default_project_id=project.id
        )
        role = identity.find_role("reader", ignore_missing=False)
        identity.assign_project_role_to_user(project, user, role)
    reader.write_cloud(username="ovnmesh", password="only-to-read")
    reader.start()
    wait_for(lambda: reader.subnets() == [CIDR], 20, reader.error)


class TestRealNeutronContract(ProviderContract):
    # Longer than two readings are apart.
    quiet_s = 1.5
    patience_s = 30.0
    document = "os1.yaml"
    # Neutron takes ten seconds and more to start: the watch that survives says the same.
    test_source_away_and_back = None

    @pytest.fixture
    def harness(self, lab, tmp_path, monkeypatch):
        # An API that goes is noticed by asking: NB is still there.
        monkeypatch.setattr(provider_module, "POLL_S", 1.0)
        monkeypatch.setattr(provider_module, "LAST_BACKOFF_S", 1.0)
        site = lab.lab.site("os1")
        with objects.connect(site) as connection:
            clouds = site.require_openstack().clouds_yaml
            events = NeutronEvents(parse_remote(site.nb))
            made = CloudHarness(tmp_path, connection.network, clouds, "os1", events)
            made.take_away = lambda: lab.fault_kill("os1", "neutron")
            made.bring_back = lambda: lab.fault_kill("os1", "neutron", heal=True)
            yield made
            made.clean_up()

    def read(self, harness):
        return harness.read()

    def kept_out(self, name):
        return f"subnet {name}: tag ovnmesh-no-interconnection"

    def test_rows_that_neutron_writes_are_events(self, harness, monkeypatch):
        monkeypatch.setattr(provider_module, "POLL_S", 600.0)
        harness.put(CONFIG)
        with watching(harness.provider, self.quiet_s) as watcher:
            harness.put(subnet("s1", "10.16.0.0/16"))
            assert watcher.wait_for(1, self.patience_s)
            assert subnets(harness.provider.read()) == ["s1"]
