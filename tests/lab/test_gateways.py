"""Gateways that fail, return, are drained and preferred; one active or all; two chassis are enough.

Outages are bounded with room for a busy machine; what they are is in docs/benchmarks.md.
"""

import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bfd_sessions import column, sessions, wait_for_bfd
from meshlab import MeshLab, eventually
from ovnmesh.lab.boot import teardown
from ovnmesh.lab.ping import PingResult
from ovnmesh.lab.runner import LabRunner
from ovnmesh.lab.values.spec import LabSpec, SiteSpec

pytestmark = [pytest.mark.root, pytest.mark.datapath]

#: BFD timers of these labs, in milliseconds, three packets each: a machine that withholds its
#: processors for 0.3 s must not look like a dead gateway. The default is tested once.
SLOW, DEFAULT = 300, 100
#: Longest outage of a failover beyond what BFD takes to notice, which is hundredths of a second.
FAILOVER_MS = 500.0
#: Longest outage of a planned switch.
SWITCH_MS = 150.0
#: The same when only a path dies: 0.2 s to be sure, the move.
PATH_MS = 1200.0
#: Longer than two probes of ovn-controller's database connection (ovn-remote-probe-interval, 5 s):
#: a node that was away for less may act on what it remembers when it returns.
AWAY_S = 16.0


def start(folder: Path, nodes: int, gateways: int, **wanted: object) -> Iterator[MeshLab]:
    def site(name: str) -> SiteSpec:
        names = [f"{name}-gw", *(f"{name}-n{i}" for i in range(1, nodes))]
        return SiteSpec(name=name, nodes=tuple(names), gw_nodes=tuple(names[:gateways]))

    spec = LabSpec(sites=(site("az1"), site("az2")), **wanted)  # type: ignore[arg-type]
    try:
        lab = MeshLab(LabRunner.up(spec, folder))
        lab.wait_joined()
        set_timers(lab, SLOW)
        lab.first = {site: lab.config(site) for site in lab.names}
        wait_for_bfd(lab)
        places = gateways * lab.runner.lab.ts_count
        eventually(lambda: all(in_line(lab, site) == places for site in lab.names))
        lab.reset()  # a session that went down once more has moved a gateway
        yield lab
    finally:
        teardown.down(folder)


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MeshLab]:
    """Two sites of three nodes, two of them gateways; pod2 is on the third."""
    yield from start(tmp_path_factory.mktemp("three"), nodes=3, gateways=2)


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MeshLab]:
    """Two sites of two nodes, both gateways: nobody else is there to tell who is dead."""
    yield from start(tmp_path_factory.mktemp("two"), nodes=2, gateways=2)


@pytest.fixture(scope="module")
def spread(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MeshLab]:
    """Two transit switches; three nodes, two gateways."""
    yield from start(tmp_path_factory.mktemp("spread"), nodes=3, gateways=2, ts_count=2)


@pytest.fixture(autouse=True)
def left_as_found(request: pytest.FixtureRequest) -> Iterator[None]:
    """Each test leaves its lab in its first configuration, its first gateways serving."""
    yield
    for name in {"three", "two", "spread"} & set(request.fixturenames):
        lab: MeshLab = request.getfixturevalue(name)
        lab.reset()
        wait_for_bfd(lab)


def set_timers(lab: MeshLab, interval_ms: int) -> None:
    """Configure both sites, and wait until the nodes have it."""
    for site in ("az1", "az2"):
        lab.configure(site, bfd_min_rx=str(interval_ms), bfd_min_tx=str(interval_ms))
    for site in ("az1", "az2"):
        eventually(lambda: timer(lab, site) == {f"min_rx={interval_ms}"})  # noqa: B023


def timer(lab: MeshLab, site: str) -> set[str]:
    """How often the first gateway of a site wants to hear from others."""
    lines = column(lab, site, f"{site}-gw", "bfd")
    return {word for line in lines for word in line.split() if "min_rx" in word}


def in_line(lab: MeshLab, site: str) -> int:
    """Places in line of all transit switches; a gateway joins a line once the first hears it."""
    return len(json.loads(lab.ovnmesh("gateway", "list", site, "-o", "json", check=False).stdout))


def outage(results: list[PingResult]) -> float:
    assert all(result.received > 20 for result in results), results
    return max(result.longest_gap_ms for result in results)


def reset(lab: MeshLab, site: str) -> None:
    lab.ovnmesh("gateway", "reset", site)


def fail_over(lab: MeshLab, dead: str, survivor: str, source: str, target: str) -> float:
    """Take the active gateway's link away; the longest outage in milliseconds."""
    with lab.trains((source, target)) as results:
        lab.runner.fault_link(f"az1/{dead}")
        eventually(lambda: lab.active_gateway("az1") == survivor)
    return outage(results)


def test_failover_and_a_return_that_nobody_notices(three: MeshLab) -> None:
    try:
        lost_ms = fail_over(three, "az1-gw", "az1-n1", "az1/pod2", "az2/pod2")
        assert 0 < lost_ms < 3 * SLOW + FAILOVER_MS
        time.sleep(AWAY_S)
        with three.trains(("az1/pod2", "az2/pod2"), ("az2/pod2", "az1/pod2")) as results:
            three.runner.fault_link("az1/az1-gw", heal=True)
            eventually(lambda: all(sessions(three, "az1", "az1-n1")))
            time.sleep(1)
        assert [result.lost for result in results] == [0, 0]
        assert three.active_gateway("az1") == "az1-n1"
    finally:
        three.runner.fault_link("az1/az1-gw", heal=True)
        wait_for_bfd(three)
        reset(three, "az1")
    assert three.active_gateway("az1") == "az1-gw"


def test_with_preempt_the_first_takes_over_again(three: MeshLab) -> None:
    three.configure("az1", gateway_preempt="true")
    try:
        fail_over(three, "az1-gw", "az1-n1", "az1/pod2", "az2/pod2")
        three.runner.fault_link("az1/az1-gw", heal=True)
        eventually(lambda: three.active_gateway("az1") == "az1-gw", 20)
        refused = three.ovnmesh("gateway", "prefer", "az1", "az1-n1", check=False)
        assert refused.returncode == 2
        assert "gateway-preempt" in refused.stderr
    finally:
        three.runner.fault_link("az1/az1-gw", heal=True)
        three.configure("az1", gateway_preempt="false")
        wait_for_bfd(three)


def test_drain_prefer_undrain_and_reset(three: MeshLab) -> None:
    with three.trains(("az1/pod2", "az2/pod2"), ("az2/pod2", "az1/pod2")) as results:
        done = three.ovnmesh("gateway", "drain", "az1", "az1-gw")
        assert "ts on az1-n1" in done.stderr
        assert three.active_gateway("az1") == "az1-n1"
    assert outage(results) < SWITCH_MS
    listed = three.ovnmesh("gateway", "list", "az1").stdout
    assert "drained" in listed
    assert three.ovnmesh("gateway", "drain", "az1", "az1-gw").stderr.count("nothing to do") == 1
    refused = three.ovnmesh("gateway", "drain", "az1", "az1-n1", check=False)
    assert refused.returncode == 2
    assert "only gateway left" in refused.stderr
    with three.lossless():
        three.ovnmesh("gateway", "undrain", "az1", "az1-gw")
    assert three.active_gateway("az1") == "az1-n1"
    three.ovnmesh("gateway", "prefer", "az1", "az1-gw")
    assert three.active_gateway("az1") == "az1-gw"
    unknown = three.ovnmesh("gateway", "prefer", "az1", "az1-n2", check=False)
    assert unknown.returncode == 2
    assert "a gateway of the site" in unknown.stderr
    three.ovnmesh("gateway", "prefer", "az1", "az1-n1")
    reset(three, "az1")
    assert three.active_gateway("az1") == "az1-gw"


def test_a_gateway_without_a_path_gives_way_to_one_that_has(three: MeshLab) -> None:
    """Only the path between the active gateways of two sites dies; OVN alone never notices."""
    ends = ("az1/az1-gw", "az2/az2-gw")
    try:
        with three.trains(("az1/pod2", "az2/pod2"), ("az2/pod2", "az1/pod2")) as results:
            three.runner.fault_path(*ends)
            eventually(lambda: three.active_gateway("az1") == "az1-n1")
            time.sleep(0.5)
        assert 0 < outage(results) < 3 * SLOW + PATH_MS
        assert three.active_gateway("az2") == "az2-gw"  # az1 was to move, and nobody else
        with three.lossless(("az1/pod2", "az2/pod2"), ("az2/pod2", "az1/pod2")):
            three.runner.fault_path(*ends, heal=True)
            wait_for_bfd(three)
        assert three.active_gateway("az1") == "az1-n1"
    finally:
        three.runner.fault_path(*ends, heal=True)
        wait_for_bfd(three)


def test_bfd_timers_follow_the_configuration(three: MeshLab) -> None:
    try:
        with three.lossless():
            three.configure("az1", bfd_min_rx="400")
            eventually(lambda: timer(three, "az1") == {"min_rx=400"})
    finally:
        set_timers(three, SLOW)


def test_failover_with_the_default_timers(three: MeshLab) -> None:
    set_timers(three, DEFAULT)
    try:
        lost_ms = fail_over(three, "az1-gw", "az1-n1", "az1/pod2", "az2/pod2")
        assert 0 < lost_ms < 3 * DEFAULT + FAILOVER_MS
    finally:
        three.runner.fault_link("az1/az1-gw", heal=True)
        set_timers(three, SLOW)
        wait_for_bfd(three)


def test_a_chassis_registered_under_another_name_is_gateway_again(three: MeshLab) -> None:
    node = three.runner.lab.site("az1").node("az1-n1")
    command = ["ovs-vsctl", f"--db=unix:{node.db_socket}", "set", "Open_vSwitch", "."]

    def names() -> str:
        return three.nbctl("az1", "--bare", "--columns=chassis_name", "list", "Gateway_Chassis")

    def rename(old: str, new: str) -> None:
        subprocess.run([*command, f"external_ids:system-id={new}"], check=True)
        # OVN 23.03 does not register it while the tunnel address is the old row's.
        three.tool("ovn-sbctl", "az1", "chassis-del", old)

    try:
        with three.trains(("az1/pod2", "az2/pod2")) as results:
            rename(node.system_id, "renamed")
            eventually(lambda: "renamed" in names(), 20)
            eventually(lambda: node.system_id not in names(), 20)
        # Not quite lossless: all nodes make their tunnels to it anew, and OVS drops what misses
        # while it reconfigures a bridge (lib/dpif-netdev.c, upcall_rwlock).
        assert outage(results) < SWITCH_MS
    finally:
        rename("renamed", node.system_id)
        eventually(lambda: node.system_id in names() and "renamed" not in names(), 20)
        wait_for_bfd(three)


def test_a_site_of_two_chassis_fails_over(two: MeshLab) -> None:
    try:
        lost_ms = fail_over(two, "az1-gw", "az1-n1", "az1/pod1", "az2/pod1")
        assert 0 < lost_ms < 3 * SLOW + FAILOVER_MS
    finally:
        two.runner.fault_link("az1/az1-gw", heal=True)
        wait_for_bfd(two)


def test_active_active_spreads_and_loses_only_the_dead_gateways_flows(spread: MeshLab) -> None:
    spread.configure("az1", gateway_mode="active-active")
    spread.configure("az2", gateway_mode="active-active")
    for site in ("az1", "az2"):
        eventually(lambda: spread.active_gateway(site, "ts") == f"{site}-gw")  # noqa: B023
        eventually(lambda: spread.active_gateway(site, "ts1") == f"{site}-n1")  # noqa: B023
    pairs = [
        (f"az1/{one}", f"az2/{other}") for one in ("pod1", "pod2") for other in ("pod1", "pod2")
    ]
    try:
        with spread.trains(*pairs) as results:
            spread.runner.fault_link("az1/az1-gw")
            eventually(lambda: spread.active_gateway("az1", "ts") == "az1-n1")
            time.sleep(0.5)
        assert outage(results) < 3 * SLOW + FAILOVER_MS, results
        assert spread.active_gateway("az1", "ts1") == "az1-n1"
    finally:
        spread.runner.fault_link("az1/az1-gw", heal=True)
        wait_for_bfd(spread)
        reset(spread, "az1")
    assert spread.active_gateway("az1", "ts") == "az1-gw"
    assert spread.active_gateway("az1", "ts1") == "az1-n1"


def test_uneven_numbers_of_gateways(spread: MeshLab) -> None:
    """Two gateways at one site, one at the other, on two switches."""
    spread.configure("az1", gateway_mode="active-active")
    spread.configure("az2", gateway_mode="active-active", gw_nodes="az2-gw")
    eventually(lambda: spread.active_gateway("az2", "ts1") == "az2-gw")
    eventually(lambda: spread.active_gateway("az1", "ts1") == "az1-n1")
    for source in ("pod0", "pod1", "pod2"):
        eventually(lambda s=source: spread.ping(f"az1/{s}", "az2/pod1").lost == 0)
        eventually(lambda s=source: spread.ping("az2/pod1", f"az1/{s}").lost == 0)
