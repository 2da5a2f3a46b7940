"""A site that Kube-OVN's ovn-ic-controller connected is taken over, and no packet is lost.

Kube-OVN itself cannot be had here; what its controller writes (pkg/controller/ovn_ic.go) is written
with the documents' commands: ports of the documents' names, gateway chassis, a policy for each
remote prefix, the vendor's mark, the nodes' marks.
"""

from collections.abc import Iterator

import pytest

from benchmarks import manual_steps
from meshlab import MeshLab, eventually
from ovnmesh.lab import daemons
from ovnmesh.lab.boot import teardown
from ovnmesh.lab.runner import LabRunner
from ovnmesh.lab.values.spec import parse_spec
from ovnmesh.lab.values.topology import ROUTER, Site

pytestmark = [pytest.mark.root, pytest.mark.datapath]


@pytest.fixture
def kube_ovn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MeshLab]:
    """Two sites connected by another's hand; our controllers run and are told to stay out."""
    folder = tmp_path_factory.mktemp("kube-ovn")
    site = {"nodes": 3, "pods": 1, "enable_ic": False}
    try:
        mesh = MeshLab(LabRunner.up(parse_spec({"sites": [site, site]}, "test"), folder))
        manual_steps.connect(mesh.runner.lab)
        for each in mesh.runner.lab.sites:
            vendor = "external_ids:vendor=kube-ovn"
            daemons.nbctl(each, "set", "Logical_Router_Port", f"{each.name}-ts", vendor)
            daemons.nbctl(each, "set", "Logical_Switch_Port", f"ts-{each.name}", vendor)
        eventually(lambda: mesh.ping("az1/pod1", "az2/pod2", 3).lost == 0)
        yield mesh
    finally:
        teardown.down(folder)


def rows(site: Site) -> dict[str, str]:
    """Identity and addresses of what the other controller made."""
    lrp, lsp = f"{site.name}-ts", f"ts-{site.name}"
    return {
        "lrp": daemons.nbctl(site, "get", "Logical_Router_Port", lrp, "_uuid", "mac", "networks"),
        "lsp": daemons.nbctl(site, "get", "Logical_Switch_Port", lsp, "_uuid", "options"),
        "gateways": daemons.nbctl(site, "lrp-get-gateway-chassis", lrp),
    }


def test_taken_over_from_another_controller_without_losing_a_packet(kube_ovn: MeshLab) -> None:
    sites = kube_ovn.runner.lab.sites
    before = {site.name: rows(site) for site in sites}
    with kube_ovn.lossless():
        for site in sites:  # the documents' way: one cluster after the other
            manual_steps.stop_ovn_ic(site)
            kube_ovn.configure(site.name, enable_ic="true")
            eventually(lambda: kube_ovn.status(site.name)["state"] == "joined")  # noqa: B023
    kube_ovn.wait_joined()
    assert {site.name: rows(site) for site in sites} == before
    for site in sites:
        policies = daemons.nbctl(site, "lr-policy-list", ROUTER)
        assert f'outport == "{site.name}-ts"' in policies


def test_the_old_policies_may_be_removed_under_traffic(kube_ovn: MeshLab) -> None:
    sites = kube_ovn.runner.lab.sites
    for site in sites:
        manual_steps.stop_ovn_ic(site)
        kube_ovn.configure(site.name, enable_ic="true")
    kube_ovn.wait_joined()
    with kube_ovn.lossless():
        for site in sites:
            found = daemons.nbctl(
                site,
                "--bare",
                "--columns=_uuid,match",
                "find",
                "Logical_Router_Policy",
                f"priority={manual_steps.POLICY_PRIORITY}",
            )
            for uuid, match in (block.split("\n", 1) for block in found.strip().split("\n\n")):
                if not match.startswith("outport =="):
                    daemons.nbctl(site, "lr-policy-del", ROUTER, uuid)
    kube_ovn.assert_all_pairs()
