"""What a real Neutron does to its own rows, and to ours: nothing is lost, nothing is left behind.

One Kubernetes-shaped site and one OpenStack site, in one mesh. Changes go through Neutron's API or
its own tools; ping trains run over them, and our rows are compared before and after.
"""

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from meshlab import eventually, lossless_test, steady
from openstack_lab import OpenStackLab
from ovnmesh.host.process import wait_until
from ovnmesh.lab import teardown
from ovnmesh.lab.openstack import neutron, objects
from ovnmesh.lab.runner import LabRunner
from ovnmesh.lab.spec import uniform_spec, with_openstack

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root: namespaces"),
    # The first of all may have to install Neutron.
    pytest.mark.timeout(1200),
    lossless_test,
]

INTO, OUT = ("az1/pod0", "os1/vm-1"), ("os1/vm-0", "az1/pod1")
#: What only rows of ours and of ovn-ic have.
OURS = re.compile(r"ovnmesh|ic-learned-route|interconn-ts|router0-ts|ts-router0")
OUR_OPTIONS = re.compile(r"ic-|bfd-|ovnmesh-")
#: What a learned route may at most be there for, before northd and ovn-ic have settled.
STORM = 20


class Mesh(OpenStackLab):
    """The lab, with one connection to Neutron."""

    def __init__(self, runner: LabRunner, connection: Any) -> None:
        super().__init__(runner)
        self.api = connection.network
        self.site = runner.lab.site("os1")

    def router0(self) -> Any:
        return self.api.find_router("router0", ignore_missing=False)

    def router(self, site: str, name: str = "router0") -> str:
        """OVN's name of a router, as it is now."""
        return f"neutron-{self.api.find_router(name, ignore_missing=False).id}"

    def public(self) -> Any:
        return self.api.find_network("public", ignore_missing=False)

    def our_rows(self) -> list[str]:
        """Our rows in Neutron's northbound database, with their UUIDs."""
        return [
            _without_their_options(row)
            for row in self.dump("os1")
            if OURS.search(row) and "neutron:" not in row and not row.startswith("Datapath")
        ]

    @contextmanager
    def undisturbed(self) -> Iterator[None]:
        """What happens inside costs neither a packet nor a row of ours."""
        before = self.our_rows()
        assert {"Logical_Router_Port", "Gateway_Chassis"} <= {row.split()[0] for row in before}
        with self.lossless(INTO, OUT):
            yield
        eventually(lambda: self.our_rows() == before, 15, lambda: self._changes(before))
        assert self.status("os1")["state"] == "joined"

    def _changes(self, before: list[str]) -> str:
        now = self.our_rows()
        return f"gone: {set(before) - set(now)}; new: {set(now) - set(before)}"


def _without_their_options(row: str) -> str:
    """NB_Global's options are Neutron's as well: its maintenance sets some at its first round."""
    table, _, text = row.partition(" ")
    if table != "NB_Global":
        return row
    cells = json.loads(text)
    cells["options"] = [pair for pair in cells["options"][1] if OUR_OPTIONS.match(pair[0])]
    return f"{table} {json.dumps(cells, sort_keys=True)}"


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    directory = tmp_path_factory.mktemp("coexistence")
    spec = with_openstack(uniform_spec(sites=1, nodes=2), ["os1"], keystone=False)
    try:
        runner = LabRunner.up(spec, directory)
        with objects.connect(runner.lab.site("os1")) as connection:
            objects.allow_ingress(connection, runner.lab.site("az1").ovn_default.cidrs)
            mesh = Mesh(runner, connection)
            mesh.wait_in_order("az1", "os1")
            for pair in (INTO, OUT):
                mesh.reaches(*pair, timeout_s=30)
            yield mesh
    finally:
        teardown.down(directory)


@steady
def test_updates_of_the_router(mesh: Mesh) -> None:
    with mesh.undisturbed():
        mesh.api.update_router(mesh.router0(), description="changed")
        mesh.api.update_router(mesh.router0(), description="")


@steady
def test_the_gateway_of_the_router_is_taken_away_and_set_again(mesh: Mesh) -> None:
    assert mesh.ping("os1/vm-0", "outside", 3).lost == 0
    with mesh.undisturbed():
        mesh.api.update_router(mesh.router0(), external_gateway_info={})
        assert mesh.ping("os1/vm-0", "outside", 2).received == 0
        mesh.api.update_router(
            mesh.router0(), external_gateway_info={"network_id": mesh.public().id}
        )
        eventually(lambda: mesh.ping("os1/vm-0", "outside", 2).lost == 0)


@steady
def test_a_floating_ip_comes_and_goes(mesh: Mesh) -> None:
    port = mesh.api.find_port("vm-1", ignore_missing=False)
    with mesh.undisturbed():
        floating = mesh.api.create_ip(floating_network_id=mesh.public().id, port_id=port.id)
        eventually(lambda: mesh.ping("os1/vm-1", "outside", 2).lost == 0)
        mesh.api.delete_ip(floating)


@steady
def test_another_subnet_comes_and_goes(mesh: Mesh) -> None:
    with mesh.undisturbed():
        network = mesh.api.create_network(name="more")
        subnet = mesh.api.create_subnet(network_id=network.id, ip_version=4, cidr="10.201.7.0/24")
        mesh.api.add_interface_to_router(mesh.router0(), subnet=subnet)
        eventually(lambda: "10.201.7.0/24" in mesh.routes("az1"))
        mesh.api.remove_interface_from_router(mesh.router0(), subnet=subnet)
        eventually(lambda: "10.201.7.0/24" not in mesh.routes("az1"))
        mesh.api.delete_network(network)


@steady
def test_repair_by_neutron_ovn_db_sync_util(mesh: Mesh) -> None:
    with mesh.undisturbed():
        neutron.repair(mesh.site)


@steady
def test_neutron_and_its_maintenance_worker_restart(mesh: Mesh) -> None:
    worker = neutron.start_maintenance_worker(mesh.site)
    folder = mesh.site.require_openstack().directory / "neutron"
    log = folder / f"{neutron.MAINTENANCE_WORKER}.log"

    def wait_for(text: str) -> None:
        wait_until(lambda: text in log.read_text(), f"{text}; see {log}", 120, interval_s=0.5)

    try:
        wait_for("Idl for MaintenanceWorker")
        with mesh.undisturbed():
            mesh.runner.fault_kill("os1", "neutron")
            mesh.runner.fault_kill("os1", "neutron", heal=True)
            # All tasks run once at the start, in alphabetical order, and every ten minutes.
            wait_for("OVN maintenance task update_router_distributed_flag finished")
            assert "task check_for_inconsistencies finished" in log.read_text()
    finally:
        worker.terminate()
        worker.wait(30)
        log.unlink()


def test_a_disabled_router_is_taken_off_without_a_storm_of_routes(mesh: Mesh) -> None:
    before = mesh.our_rows()
    learned = {site: sorted(mesh.learned_routes(site)) for site in ("az1", "os1")}
    mesh.api.update_router(mesh.router0(), is_admin_state_up=False)
    eventually(lambda: mesh.ping(*INTO, 2).received == 0)
    eventually(lambda: "192.168.1.0/24" not in mesh.routes("az1"))
    assert all(len(mesh.learned_routes(site)) < STORM for site in learned)
    mesh.api.update_router(mesh.router0(), is_admin_state_up=True)
    mesh.wait_in_order("az1", "os1")
    mesh.reaches(*INTO, timeout_s=30)
    eventually(lambda: {site: sorted(mesh.learned_routes(site)) for site in learned} == learned)
    assert len(mesh.our_rows()) == len(before)


def test_a_deleted_router_leaves_nothing_and_its_successor_joins(mesh: Mesh) -> None:
    old = mesh.router0()
    subnet = mesh.api.find_subnet("provider-v4", ignore_missing=False)
    mesh.api.update_router(old, external_gateway_info={})
    mesh.api.remove_interface_from_router(old, subnet=subnet)
    mesh.api.delete_router(old)
    eventually(lambda: "lsp-ts-router0" not in mesh.nbctl("os1", "show", "ts"))
    eventually(lambda: "192.168.1.0/24" not in mesh.routes("az1"))
    assert len(mesh.learned_routes("az1")) < STORM
    assert mesh.codes("os1")
    new = mesh.api.create_router(
        name="router0", external_gateway_info={"network_id": mesh.public().id}
    )
    mesh.api.add_interface_to_router(new, subnet=subnet)
    mesh.wait_in_order("az1", "os1", timeout_s=60)
    for pair in (INTO, OUT):
        mesh.reaches(*pair, timeout_s=30)
    assert len(mesh.learned_routes("os1")) == 2


def test_the_record_of_the_site_names_its_router(mesh: Mesh) -> None:
    raw = mesh.nbctl("os1", "get", "NB_Global", ".", "external_ids:ovnmesh-site")
    record = json.loads(json.loads(raw))
    assert record["routers"] == [[f"neutron-{mesh.router0().id}", "router0"]]
    assert record["local"] == ["192.168.1.0/24"]


def test_leaving_removes_all_of_ours_and_nothing_of_neutron_s(mesh: Mesh) -> None:
    theirs = [row for row in mesh.dump("os1") if "neutron:" in row and "lrp-" not in row]
    mesh.change_site_file("os1", enable_ic=False)
    eventually(lambda: mesh.status("os1")["state"] == "idle", 30, lambda: mesh.status("os1"))
    eventually(lambda: not mesh.learned_routes("os1"))
    left = [row for row in mesh.our_rows() if not row.startswith(("NB_Global", "SB_Global"))]
    assert left == []
    stay = {row for row in theirs if row.startswith(("Logical_Switch", "NAT", "ACL"))}
    assert stay <= set(mesh.dump("os1"))
    repaired = neutron.repair(mesh.site)
    assert "ERROR" not in repaired
