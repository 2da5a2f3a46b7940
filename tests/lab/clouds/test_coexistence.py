"""What a real Neutron does to its own rows, and to ours: nothing is lost, nothing is left behind.

Changes go through Neutron's API or its own tools; ping trains run over them, and our rows are
compared before and after.
"""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from meshlab import eventually
from openstack_lab import OpenStackLab
from ovnmesh.host.process import wait_until
from ovnmesh.lab.openstack import neutron
from ovnmesh.lab.runner import LabRunner

INTO, OUT = ("az1/pod0", "os1/vm-1"), ("os1/vm-0", "az1/pod1")
#: What only rows of ours and of ovn-ic have.
OURS = re.compile(r"ovnmesh|ic-learned-route|interconn-ts|router0-ts|ts-router0")
OUR_KEYS = re.compile(r"ic-|bfd-|ovnmesh-")
#: What a learned route may at most be there for, before northd and ovn-ic have settled.
STORM = 20


class Cloud(OpenStackLab):
    """The lab, seen from os1."""

    def __init__(self, runner: LabRunner) -> None:
        super().__init__(runner)
        self.neutron = self.api("os1")
        self.site = runner.lab.site("os1")

    def router0(self) -> Any:
        return self.router("os1")

    def make_router0(self, subnet: Any) -> None:
        """The router as the lab has made it."""
        gateway = {"network_id": self.public().id}
        router = self.neutron.create_router(name="router0", external_gateway_info=gateway)
        self.neutron.add_interface_to_router(router, subnet=subnet)
        names = self.runner.lab.site("os1").require_openstack().routers_file
        names.write_text(json.dumps({"router0": f"neutron-{router.id}"}))

    def public(self) -> Any:
        return self.neutron.find_network("public", ignore_missing=False)

    def our_rows(self) -> list[str]:
        """Our rows in Neutron's northbound database, with their UUIDs."""
        rows = (_without_their_keys(row) for row in self.dump("os1"))
        return [row for row in rows if OURS.search(row) and "neutron:" not in row]

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


def _without_their_keys(row: str) -> str:
    """The global rows without keys of Neutron and northd.

    Neutron's maintenance sets some at its first round: fdb_removal_limit, ignore_lsp_down.
    """
    table, _, text = row.partition(" ")
    if table not in ("NB_Global", "SB_Global"):
        return row
    cells = json.loads(text)
    for column in ("options", "external_ids"):
        cells[column] = [pair for pair in cells[column][1] if OUR_KEYS.match(pair[0])]
    return f"{table} {json.dumps(cells, sort_keys=True)}"


@pytest.fixture(scope="module")
def cloud(opened: OpenStackLab) -> Iterator[Cloud]:
    made = Cloud(opened.runner)
    yield made
    made.close()


@pytest.fixture(autouse=True)
def in_order(cloud: Cloud) -> None:
    cloud.wait_in_order("az1", "os1", timeout_s=60)


def test_updates_of_the_router(cloud: Cloud) -> None:
    with cloud.undisturbed():
        cloud.neutron.update_router(cloud.router0(), description="changed")
        cloud.neutron.update_router(cloud.router0(), description="")


def test_the_gateway_of_the_router_is_taken_away_and_set_again(cloud: Cloud) -> None:
    assert cloud.ping("os1/vm-0", "outside", 3).lost == 0
    with cloud.undisturbed():
        cloud.neutron.update_router(cloud.router0(), external_gateway_info={})
        assert cloud.ping("os1/vm-0", "outside", 2).received == 0
        cloud.neutron.update_router(
            cloud.router0(), external_gateway_info={"network_id": cloud.public().id}
        )
        eventually(lambda: cloud.ping("os1/vm-0", "outside", 2).lost == 0)


def test_a_floating_ip_comes_and_goes(cloud: Cloud) -> None:
    port = cloud.neutron.find_port("vm-1", ignore_missing=False)
    with cloud.undisturbed():
        floating = cloud.neutron.create_ip(floating_network_id=cloud.public().id, port_id=port.id)
        eventually(lambda: cloud.ping("os1/vm-1", "outside", 2).lost == 0)
        cloud.neutron.delete_ip(floating)


def test_another_subnet_comes_and_goes(cloud: Cloud) -> None:
    with cloud.undisturbed():
        network = cloud.neutron.create_network(name="more")
        subnet = cloud.neutron.create_subnet(
            network_id=network.id, ip_version=4, cidr="10.201.7.0/24"
        )
        cloud.neutron.add_interface_to_router(cloud.router0(), subnet=subnet)
        eventually(lambda: "10.201.7.0/24" in cloud.routes("az1"))
        cloud.neutron.remove_interface_from_router(cloud.router0(), subnet=subnet)
        eventually(lambda: "10.201.7.0/24" not in cloud.routes("az1"))
        cloud.neutron.delete_network(network)


def test_repair_by_neutron_ovn_db_sync_util(cloud: Cloud) -> None:
    with cloud.undisturbed():
        neutron.repair(cloud.site)


def test_neutron_and_its_maintenance_worker_restart(cloud: Cloud) -> None:
    worker = neutron.start_maintenance_worker(cloud.site)
    folder = cloud.site.require_openstack().directory / "neutron"
    log = folder / f"{neutron.MAINTENANCE_WORKER}.log"

    def wait_for(text: str) -> None:
        wait_until(lambda: text in log.read_text(), f"{text}; see {log}", 120, interval_s=0.5)

    try:
        wait_for("Idl for MaintenanceWorker")
        with cloud.undisturbed():
            cloud.runner.fault_kill("os1", "neutron")
            cloud.runner.fault_kill("os1", "neutron", heal=True)
            # All tasks run once at the start, in alphabetical order, and every ten minutes.
            wait_for("OVN maintenance task update_router_distributed_flag finished")
            assert "task check_for_inconsistencies finished" in log.read_text()
    finally:
        worker.terminate()
        worker.wait(30)
        log.unlink()


def test_a_disabled_router_is_taken_off_without_a_storm_of_routes(cloud: Cloud) -> None:
    before = cloud.our_rows()
    learned = {site: sorted(cloud.learned_routes(site)) for site in ("az1", "os1")}
    cloud.neutron.update_router(cloud.router0(), is_admin_state_up=False)
    eventually(lambda: cloud.ping(*INTO, 2).received == 0)
    eventually(lambda: "192.168.1.0/24" not in cloud.routes("az1"))
    assert all(len(cloud.learned_routes(site)) < STORM for site in learned)
    cloud.neutron.update_router(cloud.router0(), is_admin_state_up=True)
    cloud.wait_in_order("az1", "os1")
    cloud.reaches(*INTO, timeout_s=30)
    eventually(lambda: {site: sorted(cloud.learned_routes(site)) for site in learned} == learned)
    assert len(cloud.our_rows()) == len(before)


def test_a_deleted_router_leaves_nothing_and_its_successor_joins(cloud: Cloud) -> None:
    old, learned = cloud.router0(), sorted(cloud.learned_routes("os1"))
    subnet = cloud.neutron.find_subnet("provider-v4", ignore_missing=False)
    cloud.neutron.update_router(old, external_gateway_info={})
    cloud.neutron.remove_interface_from_router(old, subnet=subnet)
    cloud.neutron.delete_router(old)
    eventually(lambda: "lrp-router0-ts" not in cloud.nbctl("os1", "show", "ts"))
    eventually(lambda: "192.168.1.0/24" not in cloud.routes("az1"))
    assert len(cloud.learned_routes("az1")) < STORM
    eventually(lambda: cloud.codes("os1"))
    cloud.make_router0(subnet)
    cloud.wait_in_order("az1", "os1", timeout_s=60)
    for pair in (INTO, OUT):
        cloud.reaches(*pair, timeout_s=30)
    eventually(lambda: sorted(cloud.learned_routes("os1")) == learned)


def test_the_record_of_the_site_names_its_router(cloud: Cloud) -> None:
    raw = cloud.nbctl("os1", "get", "NB_Global", ".", "external_ids:ovnmesh-site")
    record = json.loads(json.loads(raw))
    (router,) = record["routers"]
    assert (router["name"], router["ports_named_after"]) == (
        f"neutron-{cloud.router0().id}",
        "router0",
    )
    assert record["local"] == ["192.168.1.0/24"]


def test_leaving_removes_all_of_ours_and_nothing_of_neutron_s(cloud: Cloud) -> None:
    theirs = [row for row in cloud.dump("os1") if "neutron:" in row and "lrp-" not in row]
    cloud.change_site_file("os1", enable_ic=False)
    eventually(lambda: cloud.status("os1")["state"] == "idle", 30, lambda: cloud.status("os1"))
    eventually(lambda: not cloud.learned_routes("os1"))
    left = [row for row in cloud.our_rows() if not row.startswith(("NB_Global", "SB_Global"))]
    assert left == []
    stay = {row for row in theirs if row.startswith(("Logical_Switch", "NAT", "ACL"))}
    assert stay <= set(cloud.dump("os1"))
    cloud.change_site_file("os1", enable_ic=True)
    cloud.wait_in_order("az1", "os1")
    cloud.reaches(*INTO, timeout_s=30)
