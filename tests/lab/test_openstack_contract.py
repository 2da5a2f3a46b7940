"""The provider contract against a real Neutron, with the rows that Neutron really writes as events.

Real Neutron, MariaDB and OVN. Needs root. The same contract on a fake one: tests/unit.
"""

import os
from collections.abc import Iterator

import pytest
from provider_contract import CONFIG, ProviderContract, subnet, watching
from typer.testing import CliRunner

from openstack_cloud import CloudHarness
from ovnmesh.cli.lab import app
from ovnmesh.controller.neutron_events import NeutronEvents
from ovnmesh.lab import teardown
from ovnmesh.lab.openstack import objects
from ovnmesh.lab.runner import LabRunner
from ovnmesh.lab.spec import uniform_spec, with_openstack
from ovnmesh.providers.openstack import provider

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root: namespaces"),
    # The first of all may have to install Neutron.
    pytest.mark.timeout(1200),
]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabRunner]:
    directory = tmp_path_factory.mktemp("contract")
    spec = with_openstack(uniform_spec(sites=0), ["os1"], keystone=False)
    try:
        yield LabRunner.up(spec, directory, bare=True)
    finally:
        teardown.down(directory)


class TestRealNeutronContract(ProviderContract):
    # Longer than two readings are apart.
    quiet_s = 1.5
    document = "os1.yaml"

    @pytest.fixture
    def harness(self, lab, tmp_path, monkeypatch):
        # An API that goes is noticed by asking: NB is still there.
        monkeypatch.setattr(provider, "POLL_S", 1.0)
        monkeypatch.setattr(provider, "LAST_BACKOFF_S", 1.0)
        site = lab.lab.site("os1")
        clouds = site.require_openstack().clouds_yaml

        def fault(*words):
            result = CliRunner().invoke(
                app, ["fault", "kill", *words], env={"OVNMESH_LAB_DIR": str(lab.directory)}
            )
            assert result.exit_code == 0, result.output

        with objects.connect(site) as connection:
            events = NeutronEvents(site.nb)
            made = CloudHarness(tmp_path, connection.network, clouds, "os1", events)
            made.take_away = lambda: fault("os1", "neutron")
            made.bring_back = lambda: fault("os1", "neutron", "--heal")
            yield made
            made.clean_up()

    def read(self, harness):
        return harness.read()

    def as_read(self, harness, *subnets):
        return harness.as_read(*subnets)

    def test_rows_are_events(self, harness, monkeypatch):
        monkeypatch.setattr(provider, "POLL_S", 600.0)
        harness.put(CONFIG)
        with watching(harness.provider, self.quiet_s) as watcher:
            harness.put(subnet("s1", "10.16.0.0/16"))
            assert watcher.wait_for(1)
            assert [each.name for each in harness.provider.read().subnets] == ["s1"]
