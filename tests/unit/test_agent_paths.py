"""What an agent makes of tunnels, probes and BFD, and when it writes."""

import json
import struct

import pytest

from ovnmesh import ovn_keys as keys
from ovnmesh.agent.echo import checksum, only
from ovnmesh.agent.mtu import tunnel_mtu
from ovnmesh.agent.paths import Paths, best_path, judge, settle
from ovnmesh.agent.prober import Prober
from ovnmesh.agent.tunnels import Tunnel, read_tunnels, read_up, relevant
from ovnmesh.agent.window import ENOUGH, PATIENCE_S, WINDOW, Quality, Window
from ovnmesh.model.finding import Severity
from ovnmesh.model.interconnect import IcGateway, IcPort, Interconnect
from ovnmesh.model.northbound import Northbound, RouterPort
from ovnmesh.model.observed import Observed
from ovnmesh.model.paths import ChassisReport, Path, decode_paths, encode_paths
from ovnmesh.model.report import NodeView
from ovnmesh.model.southbound import Chassis, Southbound
from ovnmesh.views.site_paths import check_paths, site_paths
from ovnmesh.web.metrics import AgentMetrics


def tunnel(chassis: str = "far", remote: str = "10.0.0.2", **changes: object) -> Tunnel:
    fields: dict = {"local_ip": "10.0.0.1", "kind": "geneve", "bfd": True, "up": True, **changes}
    return Tunnel(chassis, remote, **fields)


def vswitch(tag: str, **interface: object) -> dict:
    return {
        "Port": {
            "p": {"external_ids": {"ovn-chassis-id": tag}, "interfaces": frozenset({"i"})},
            "pod": {"external_ids": {}, "interfaces": frozenset({"other"})},
        },
        "Interface": {"i": {"type": "geneve", "bfd": {"enable": "true"}, **interface}},
    }


# --- tunnels --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "remote", "overhead"),
    [
        ("geneve", "10.0.0.2", 58),
        ("geneve", "fd00::2", 78),
        ("vxlan", "10.0.0.2", 50),
        ("vxlan", "fd00::2", 70),
        ("stt", "10.0.0.2", None),
    ],
)
def test_overhead(kind: str, remote: str, overhead: int | None) -> None:
    assert tunnel(remote=remote, kind=kind).overhead_bytes == overhead


def test_tunnels_are_those_that_ovn_controller_tags() -> None:
    rows = vswitch("far@10.0.0.2", options={"remote_ip": "10.0.0.2"}, bfd_status={})
    assert read_tunnels(rows, "fd00::1, 10.0.0.1") == (tunnel(up=None),)


def test_a_tunnel_between_two_of_several_addresses() -> None:
    options = {"remote_ip": "10.0.0.2", "local_ip": "10.0.9.1"}
    rows = vswitch("far@10.0.0.2%10.0.9.1", options=options, bfd={}, bfd_status={})
    assert read_tunnels(rows, "10.0.0.1") == (tunnel(local_ip="10.0.9.1", bfd=False, up=None),)


def test_a_tunnel_without_an_address_is_skipped() -> None:
    assert read_tunnels(vswitch("far@x", options={"remote_ip": "flow"}), "10.0.0.1") == ()


@pytest.mark.parametrize(
    ("status", "up"),
    [
        ({}, None),
        ({"forwarding": "false", "state": "down", "flap_count": "0"}, None),
        ({"forwarding": "true", "state": "up", "flap_count": "1"}, True),
        ({"forwarding": "false", "state": "down", "flap_count": "2"}, False),
    ],
)
def test_bfd_status(status: dict[str, str], up: bool | None) -> None:
    assert read_up({"bfd_status": status}) is up


def test_reported_are_tunnels_with_bfd_and_those_abroad() -> None:
    watched, abroad = tunnel("a"), tunnel("b", bfd=False)
    assert relevant((watched, abroad, tunnel("c", bfd=False)), {"b"}) == (watched, abroad)


# --- probes ---------------------------------------------------------------------------------------


def probed(answers: list[float | None]) -> Quality | None:
    window = Window()
    for second, rtt_s in enumerate(answers):
        number = window.send(second)
        if rtt_s is not None:
            window.answer(number, second + rtt_s)
    return window.quality(len(answers) + PATIENCE_S)


def test_nothing_is_said_before_enough_probes() -> None:
    assert probed([0.01] * (ENOUGH - 1)) is None
    assert probed([0.01] * ENOUGH) == Quality(10.0, 0.0, True)


def test_median_and_loss() -> None:
    assert probed([0.001, 0.002, 0.9] * 4 + [None] * 3) == Quality(2.0, 0.2, True)


def test_only_the_window_counts() -> None:
    assert probed([None] * 100 + [0.01] * WINDOW) == Quality(10.0, 0.0, True)
    assert probed([0.01] * 100 + [None] * WINDOW) == Quality(None, 1.0, True)


def test_a_late_answer_counts_once_and_a_strange_one_never() -> None:
    window = Window()
    numbers = [window.send(0.0) for _ in range(ENOUGH)]
    for number in numbers:
        window.answer(number, 3.0)
        window.answer(number, 9.0)
    window.answer(4711, 1.0)
    assert window.quality(10.0) == Quality(3000.0, 0.0, True)


def test_a_probe_on_its_way_is_not_lost() -> None:
    window = Window()
    for _ in range(ENOUGH):
        window.answer(window.send(0.0), 0.1)
    window.send(5.0)
    assert window.quality(5.0 + PATIENCE_S / 2) == Quality(100.0, 0.0, True)


def test_sequence_numbers_have_sixteen_bits() -> None:
    window = Window()
    numbers = {window.send(0.0) for _ in range(2**16 + 5)}
    assert numbers == set(range(2**16))


def test_filter_lets_echo_replies_pass_and_nothing_else() -> None:
    assert struct.unpack("=I", only(0, version=4)) == (0xFFFFFFFE,)
    words = struct.unpack("=8I", only(129, version=6))
    passing = [32 * i + bit for i in range(8) for bit in range(32) if not words[i] >> bit & 1]
    assert passing == [129]


def test_the_example_of_the_checksum() -> None:
    """RFC 1071, section 3: the sum ddf2 of these words, complemented."""
    assert checksum(bytes.fromhex("0001f203f4f5f6f7")) == 0xFFFF - 0xDDF2
    assert checksum(bytes.fromhex("ffffffffffff0001")) == 0xFFFE


# --- judgement ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("up", "quality", "path"),
    [
        (True, None, Path(True)),
        (True, Quality(1.0, 0.1, True), Path(True, 1.0, 0.1)),
        (True, Quality(None, 1.0, True), Path(True)),
        (False, Quality(None, 1.0, True), Path(False, None, 1.0)),
        (False, Quality(None, 1.0, False), Path(False, None, 1.0)),
        (None, Quality(None, 1.0, False), Path(None)),
        (None, Quality(None, 1.0, True), Path(None, None, 1.0)),
    ],
)
def test_silence_is_loss_only_where_it_means_something(
    up: bool | None, quality: Quality | None, path: Path
) -> None:
    assert judge(up, quality) == path


def test_of_parallel_tunnels_one_that_is_up_is_enough() -> None:
    assert best_path([Path(False), Path(True, 9.0, 0.0)]) == Path(True, 9.0, 0.0)
    assert best_path([Path(True, 9.0, 0.0), Path(True, 1.0, 0.0)]) == Path(True, 1.0, 0.0)
    assert best_path([Path(None, 1.0, 0.0), Path(False)]).up is False
    assert best_path([Path(None)]) == Path(None)


def test_a_state_is_news_and_chance_is_not() -> None:
    known = {"a": Path(True, 1.0, 0.0)}
    assert settle(known, {"a": Path(True, 2.9, 0.04)}, refresh=True) == known
    assert settle(known, {"a": Path(True, 99.0, 1.0)}, refresh=False) == known
    assert settle(known, {"a": Path(False, 99.0, 1.0)}, refresh=False) == {
        "a": Path(False, 1.0, 0.0)
    }
    assert settle(known, {}, refresh=False) == {}
    for news in (Path(True, 3.1, 0.0), Path(True, 1.0, 0.06), Path(True)):
        assert settle(known, {"a": news}, refresh=True) == {"a": news}
    slow = {"a": Path(True, 100.0, 0.0)}
    assert settle(slow, {"a": Path(True, 124.0, 0.0)}, refresh=True) == slow


def test_what_is_written_reads_back_the_same() -> None:
    window = Window()
    for second in range(ENOUGH):
        window.answer(window.send(second), second + 0.0012345)
    path = judge(True, window.quality(99.0))
    assert decode_paths(encode_paths({"a": path})) == {"a": path}


def test_changes_in_time() -> None:
    """State and MTU at once; figures at first after twelve seconds, then every ten."""
    paths, written = Paths(Prober()), {"foreign": "1"}

    def at(now_s: float, path: Path, mtu: int | None = 1442) -> list[str]:
        found = paths.changes(ChassisReport({"a": path}, mtu), written, now_s)
        written.update(found)
        return sorted(found)

    both = sorted((keys.PATHS, keys.TUNNEL_MTU))
    assert at(0, Path(None)) == both
    assert at(1, Path(True)) == [keys.PATHS]
    assert at(11, Path(True, 1.0, 0.0)) == []
    assert at(12, Path(True, 1.0, 0.0)) == [keys.PATHS]
    assert at(13, Path(True, 50.0, 0.0)) == []
    assert at(14, Path(False, 50.0, 0.0)) == [keys.PATHS]
    assert json.loads(written[keys.PATHS]) == {"a": [False, 1.0, 0.0]}
    assert at(23, Path(False, 50.0, 0.9), mtu=1342) == both
    assert written[keys.TUNNEL_MTU] == "1342"
    assert json.loads(written[keys.PATHS]) == {"a": [False, 50.0, 0.9]}
    assert at(24, Path(False, 50.0, 0.9), mtu=None) == []


def test_a_restarted_agent_keeps_the_figures_of_its_predecessor() -> None:
    written = {keys.PATHS: encode_paths({"a": Path(True, 1.0, 0.0)})}
    assert Paths(Prober()).changes(ChassisReport({"a": Path(True)}), written, 5.0) == {}


def test_the_least_mtu_of_all_tunnels_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    outer = {"10.0.0.2": 1500, "10.0.0.3": 1400, "10.0.0.4": None, "fd00::2": 1500}
    monkeypatch.setattr("ovnmesh.agent.mtu.path_mtu", lambda local, remote: outer[remote])
    far = [tunnel(remote=ip) for ip in outer]
    assert tunnel_mtu(far) == 1400 - 58
    assert tunnel_mtu([far[0], far[3]]) == 1500 - 78
    assert tunnel_mtu([far[2], tunnel(kind="stt")]) is None


# --- what people see ------------------------------------------------------------------------------


def observed(path: Path, active: str = "gw", far_active: str = "far") -> Observed:
    lrp = RouterPort("u", "az1-ts", "m", (), frozenset(), {keys.OWNER: "id", "ovnmesh-ts": "ts"})
    nb = Northbound("id", "az1", {}, {}, "r", (lrp,), {}, {}, {}, ())
    local = Chassis("1", "gw", "az1-gw", True, False)
    inside = Chassis("2", "n1", "az1-n1", False, False)
    sb = Southbound(
        (local, inside), {"az1-ts": active}, {"gw": ChassisReport({"far": path, "n1": Path(False)})}
    )
    port = IcPort("p", "ts-az2", "ts", "az2", far_active, 2, "", None)
    ic = Interconnect(
        "g", {}, {}, {}, (IcGateway("x", "far", "az2", "az2-gw"),), (port,), (), {}
    )  # fmt: skip
    return Observed(nb, sb, ic)


def test_paths_that_lead_out_are_shown() -> None:
    (line,) = site_paths(observed(Path(True, 1.5, 0.0)))
    assert (line.node, line.az, line.peer, line.state) == ("az1-gw", "az2", "az2-gw", "up")
    assert (line.rtt_ms, line.loss, line.active) == (1.5, 0.0, True)
    assert list(check_paths([line])) == []


@pytest.mark.parametrize(
    ("active", "far_active", "severity"),
    [
        ("gw", "far", Severity.ERROR),
        ("n1", "far", Severity.WARNING),
        ("gw", "other", Severity.WARNING),
    ],
)
def test_a_dead_path_is_an_error_where_traffic_takes_it(
    active: str, far_active: str, severity: Severity
) -> None:
    lines = site_paths(observed(Path(False), active, far_active))
    (finding,) = check_paths(lines)
    assert (finding.code, finding.severity) == ("path-down", severity)
    assert "az1-gw to az2-gw of az2" in finding.message


def test_a_path_that_nobody_watches_is_no_finding() -> None:
    assert list(check_paths(site_paths(observed(Path(None))))) == []


def test_metrics_name_what_is_known_and_forget_what_is_gone() -> None:
    metrics = AgentMetrics()
    paths = {"far": Path(True, 1.5, 0.1), "dark": Path(None)}
    metrics.record(NodeView(True, ChassisReport(paths, 1442), {"far": "az2-gw"}))
    labels = {"chassis": "far", "hostname": "az2-gw"}
    value = metrics.registry.get_sample_value
    assert value("ovnmesh_path_up", labels) == 1
    assert value("ovnmesh_path_rtt_seconds", labels) == 0.0015
    assert value("ovnmesh_path_loss_ratio", labels) == 0.1
    assert value("ovnmesh_tunnel_mtu_bytes") == 1442
    assert value("ovnmesh_path_up", {"chassis": "dark", "hostname": ""}) is None
    metrics.record(NodeView(False))
    assert value("ovnmesh_path_up", labels) is None
    assert value("ovnmesh_tunnel_mtu_bytes") == 0
