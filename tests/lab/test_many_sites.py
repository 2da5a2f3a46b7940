"""Four sites, of which one joins and leaves; a member run by hand; dual stack, two switches."""

import json
import subprocess
import time
from collections.abc import Iterator
from itertools import permutations
from pathlib import Path

import pytest

from meshlab import MeshLab, eventually
from ovnmesh import ovn_keys as keys
from ovnmesh.host.process import spawn
from ovnmesh.lab.boot import teardown
from ovnmesh.lab.runner import LabRunner
from ovnmesh.lab.values.spec import uniform_spec
from ovnmesh.lab.values.topology import Node, Site

pytestmark = [pytest.mark.root, pytest.mark.datapath]


def start(folder: Path, **wanted: object) -> Iterator[MeshLab]:
    try:
        yield MeshLab(LabRunner.up(uniform_spec(**wanted), folder))  # type: ignore[arg-type]
    finally:
        teardown.down(folder)


@pytest.fixture(scope="module")
def four(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MeshLab]:
    """Four small sites, all joined."""
    yield from start(tmp_path_factory.mktemp("four"), sites=4, nodes=2)


@pytest.fixture(scope="module")
def dual(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MeshLab]:
    """Two dual-stack sites over two transit switches."""
    yield from start(tmp_path_factory.mktemp("dual"), sites=2, nodes=1, protocol="dual", ts_count=2)


def pairs(sites: list[str]) -> list[tuple[str, str]]:
    return [(f"{one}/pod0", f"{other}/pod1") for one, other in permutations(sites, 2)]


def test_all_pairs_of_four_sites(four: MeshLab) -> None:
    four.wait_joined(30)
    for source, target in pairs(four.names):
        assert four.ping(source, target, 3).lost == 0, (source, target)


def test_a_fourth_leaves_and_joins_without_disturbing_the_others(four: MeshLab) -> None:
    rest = [("az1/pod0", "az2/pod1"), ("az2/pod0", "az3/pod1"), ("az3/pod0", "az1/pod1")]
    with four.lossless(*rest):
        four.configure("az4", enable_ic="false")
        eventually(lambda: four.status("az4")["state"] == "idle")
        eventually(lambda: all("10.19.0.0/16" not in four.routes(s) for s in ("az1", "az2", "az3")))
        eventually(lambda: not any("ovnmesh" in line for line in four.dump("az4")))
    before = four.dump("az4")
    with four.lossless(*rest):
        four.configure("az4", enable_ic="true")
        four.wait_joined(30)
        eventually(lambda: four.ping("az4/pod0", "az1/pod1").lost == 0)
        four.configure("az4", enable_ic="false")
        eventually(lambda: four.status("az4")["state"] == "idle")
        eventually(lambda: not any("ovnmesh" in line for line in four.dump("az4")))
    assert four.dump("az4") == before
    assert "az4" not in four.ic_text()
    four.reset()


def test_a_member_run_by_hand(four: MeshLab) -> None:
    """The documents' manual steps at az4; the others run ovnmesh. Nobody touches its rows."""
    four.configure("az4", enable_ic="false")
    eventually(lambda: not any("ovnmesh" in line for line in four.dump("az4")))
    four.runner.fault_kill("az4", "controller")
    for node in four.runner.lab.site("az4").nodes:
        four.runner.fault_kill(f"az4/{node.name}", "agent")
    site = four.runner.lab.site("az4")
    ovn_ic = join_by_hand(four, site)
    try:
        eventually(lambda: four.ping("az4/pod0", "az1/pod1", 2).lost == 0, 20)
        eventually(lambda: four.ping("az3/pod1", "az4/pod0", 2).lost == 0)
        mine = four.nbctl("az4", "get", "Logical_Router_Port", "az4-ts", "networks").strip()
        theirs = {
            four.nbctl(s, "get", "Logical_Router_Port", f"{s}-ts", "networks").strip()
            for s in ("az1", "az2", "az3")
        }
        assert mine not in theirs
        taken = four.nbctl("az1", "get", "Logical_Router_Port", "az1-ts", "networks")
        address = taken.strip().strip('[]"')
        four.nbctl("az4", "set", "Logical_Router_Port", "az4-ts", f'networks="{address}"')
        eventually(
            lambda: four.nbctl("az1", "get", "Logical_Router_Port", "az1-ts", "networks") != taken,
            what="ours moves away from theirs",
        )
        assert address in four.nbctl("az4", "get", "Logical_Router_Port", "az4-ts", "networks")
        eventually(lambda: four.ping("az4/pod0", "az1/pod1", 2).lost == 0)
        eventually(lambda: four.ping("az1/pod0", "az2/pod1", 2).lost == 0)
    finally:
        ovn_ic.terminate()
        ovn_ic.wait()
        leave_by_hand(four, site)
    four.runner.fault_kill("az4", "controller", heal=True)
    for node in four.runner.lab.site("az4").nodes:
        four.runner.fault_kill(f"az4/{node.name}", "agent", heal=True)
    four.reset()


def mark(gateway: Node, value: str) -> None:
    """Make a node an interconnection gateway, or no longer."""
    subprocess.run(
        ["ovs-vsctl", f"--db=unix:{gateway.directory}/db.sock", "set", "Open_vSwitch", ".",
         f"external_ids:ovn-is-interconn={value}"],
        check=True,
    )  # fmt: skip


def leave_by_hand(mesh: MeshLab, site: Site) -> None:
    """What an operator undoes, and forgets; what is left of ovn-ic's is the next ovn-ic's."""
    mark(site.nodes[0], "false")
    lrp, lsp = f"{site.name}-ts", f"ts-{site.name}"
    mesh.nbctl(
        site.name, "lrp-del", lrp, "--", "lsp-del", lsp,
        "--", "lr-policy-del", "ovn-cluster", "29500", f'outport == "{lrp}"',
        "--", "remove", "NB_Global", ".", "options", "ic-route-adv", "ic-route-learn",
        "--", "set", "NB_Global", ".", 'name=""',
    )  # fmt: skip
    mesh.ovnmesh("forget", site.name, "--yes")


def join_by_hand(mesh: MeshLab, site: Site) -> "subprocess.Popen[bytes]":
    """The documents' steps, typed by an operator; returns the ovn-ic that was started."""
    gateway = site.nodes[0]
    mark(site.nodes[0], "true")
    mesh.nbctl(site.name, "set", "NB_Global", ".", f"name={site.name}")
    ovn_ic = spawn(
        ["ovn-ic", f"--ovnnb-db={site.nb}", f"--ovnsb-db={site.sb}",
         "--ic-nb-db=tcp:192.168.65.3:6645", "--ic-sb-db=tcp:192.168.65.3:6646",
         f"--unixctl={site.directory}/byhand.ctl", "--no-chdir"],
        netns=site.control_netns,
        log=site.directory / "byhand.log",
    )  # fmt: skip
    eventually(lambda: "(ts)" in mesh.nbctl(site.name, "show"))
    chassis = mesh.tool(
        "ovn-sbctl", site.name, "--bare", "--columns=name", "find", "Chassis",
        f"hostname={gateway.name}",
    ).strip()  # fmt: skip
    lrp, lsp = f"{site.name}-ts", f"ts-{site.name}"
    mesh.nbctl(
        site.name, "lrp-add", "ovn-cluster", lrp, "00:02:ef:11:39:4f", "169.254.100.73/24",
        "--", "lsp-add", "ts", lsp, "--", "lsp-set-addresses", lsp, "router",
        "--", "lsp-set-type", lsp, "router", "--", "lsp-set-options", lsp, f"router-port={lrp}",
        "--", "lrp-set-gateway-chassis", lrp, chassis, "100",
        "--", "lr-policy-add", "ovn-cluster", "29500", f'outport == "{lrp}"', "allow",
        "--", "set", "NB_Global", ".", "options:ic-route-adv=true", "options:ic-route-learn=true",
    )  # fmt: skip
    return ovn_ic


def test_dual_stack_over_two_transit_switches(dual: MeshLab) -> None:
    dual.wait_joined(30)
    for version in (4, 6):
        for one, other in permutations(dual.names, 2):
            target = dual.runner.address_of(f"{other}/pod0", version)
            eventually(lambda t=target, o=one: dual.ping(f"{o}/pod0", t, 3).lost == 0)
    show = dual.tool("ovn-ic-nbctl", "az1", "show")
    assert "ts1" in show
    networks = dual.nbctl("az1", "get", "Logical_Router_Port", "az1-ts1", "networks")
    assert "169.254.101." in networks
    assert "fd00:a9fe:65:" in networks


def test_idle_mesh_writes_nothing(dual: MeshLab) -> None:
    """Not one transaction in any database of the mesh while nothing changes."""
    dual.wait_joined(30)
    # Agents write their first figures when they have measured for some seconds.
    eventually(lambda: all(measured(dual, site) for site in dual.names), 60, "paths are measured")

    def reports() -> list[dict[str, list]]:
        return [measured(dual, site) for site in dual.names]

    time.sleep(1)
    for _ in range(5):
        before, figures = sizes(dual), reports()
        time.sleep(5)
        after = sizes(dual)
        if reports() == figures:
            break  # otherwise a path became slower or faster, and its agent had to write
    assert after == before


def measured(mesh: MeshLab, site: str) -> dict[str, list]:
    """What the site's agents report, once every path is up and has its figures."""
    ids = mesh.tool(
        "ovn-sbctl", site, "-f", "json", "--columns=external_ids", "list", "Chassis_Private"
    )
    found: dict[str, list] = {}
    for (row,) in json.loads(ids)["data"]:
        found |= json.loads(dict(row[1]).get(keys.PATHS, "{}"))
    whole = all(up is True and rtt_ms is not None for up, rtt_ms, _ in found.values())
    return found if whole else {}


def sizes(mesh: MeshLab) -> dict[str, int]:
    return {
        str(path): path.stat().st_size
        for path in mesh.runner.directory.rglob("*.db")
        if "nodes" not in path.parts
    }
