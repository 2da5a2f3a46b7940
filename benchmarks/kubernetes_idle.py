"""What does an idle controller ask of the Kubernetes API, and what do Nodes and Subnets cost it?

Two joined sites without a data path (`databases`) at the same time, the real controller process in
both: one configured by an API (the tests' fake in a process of its own, `fake_api`), one by a
folder with the same ConfigMap, Nodes and Subnets. The Subnets are in the configuration only: what
rows in OVN cost is what `idle` measures. Then every Node's status is updated once in ten seconds,
which real kubelets do every five minutes while nothing changes.
"""

import json
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import yaml

from benchmarks.cluster_objects import make_node, make_subnet
from benchmarks.common import Report, say, summary
from benchmarks.databases import FIRST_PORT, Databases
from benchmarks.fake_api import FakeApi
from benchmarks.mesh import cpu_s, rss_mb, wait_still
from ovnmesh.host.process import wait_until

API, FOLDER = "API", "folder"
CONTENTS = ((3, 2), (1_000, 1_000))
"""Nodes and Subnets: the least that can be joined, and many."""
PASSES = 5
_OBJECTS_IN_FILE = 50
"""A file of the folder has at most a mebibyte."""
COLUMNS = (
    "Nodes, Subnets",
    "configured by",
    "requests a minute",
    "open watches",
    "CPU idle, % of a core",
    "RSS (peak), MB",
    "CPU from start to rest, s",
)


@dataclass(slots=True)
class Side:
    """One of both sites.

    Attributes:
        name: where its configuration is.
        databases: its databases.
        pid: its controller.
        started_s: processor time its controller had used when it first rested, in seconds.
    """

    name: str
    databases: Databases
    pid: int = 0
    started_s: float = 0.0

    def passes(self) -> int:
        """Passes so far."""
        return int(self.databases.metrics()["ovnmesh_pass_seconds_count"])

    def pass_s(self) -> float:
        """Seconds in passes so far."""
        return self.databases.metrics()["ovnmesh_pass_seconds_sum"]

    def used(self, percent: float) -> dict[str, object]:
        """What it uses, `percent` of a core among it."""
        return {
            "cpu_percent": round(percent, 4),
            "rss_mb": round(rss_mb(self.pid), 1),
            "peak_mb": round(rss_mb(self.pid, peak=True), 1),
            "start_cpu_s": round(self.started_s, 2),
        }


def run(quick: bool) -> Report:
    """Measure.

    Args:
        quick: 20 s instead of 120, and 10 s of heartbeats instead of 60.
    """
    data: dict[str, object] = {"node_json_bytes": len(json.dumps(make_node(500)))}
    data["subnet_json_bytes"] = len(json.dumps(make_subnet(500)))
    rows = []
    for content in CONTENTS:
        name = f"{content[0]:,} and {content[1]:,}"
        found = _measure(content, *((20, 10) if quick else (120, 60)))
        data[name] = found
        rows += [[name, *row] for row in _rows(found)]
        say(f"{name}: {rows[-2][2:]}, {rows[-1][2:]}")
        say(f"one pass, ms: {found['pass_ms']}")
        if "heartbeats" in found:
            say(f"heartbeats: {found['heartbeats']}")
    few, many = (data[f"{nodes:,} and {subnets:,}"] for nodes, subnets in CONTENTS)
    data["growth_mb"] = {
        who: round(many[who]["rss_mb"] - few[who]["rss_mb"], 1) for who in (API, FOLDER)
    }
    return Report((__doc__ or "").split("\n")[0], COLUMNS, rows, data)


def _rows(found: dict[str, object]) -> list[list[str]]:
    by_api, plain = found[API], found[FOLDER]
    ratios = found["ratio_to_folder"]
    api_row = [
        API,
        f"{by_api['requests_a_minute']:.1f}",
        str(sum(by_api["open_watches"].values())),
        f"{by_api['cpu_percent']:.3f} ({ratios['cpu_percent']:.2f} times)",
        f"{by_api['rss_mb']:.0f} ({by_api['peak_mb']:.0f}) ({ratios['rss_mb']:.2f} times)",
        f"{by_api['start_cpu_s']:.1f}",
    ]
    plain_row = [
        FOLDER,
        "",
        "",
        f"{plain['cpu_percent']:.3f}",
        f"{plain['rss_mb']:.0f} ({plain['peak_mb']:.0f})",
        f"{plain['start_cpu_s']:.1f}",
    ]
    return [api_row, plain_row]


def _measure(content: tuple[int, int], window_s: float, beat_s: float) -> dict[str, object]:
    root = Path(tempfile.mkdtemp(prefix="ovnmesh-"))
    ends: list[Callable[[], object]] = [lambda: shutil.rmtree(root, ignore_errors=True)]
    try:
        sides = []
        for place, name in enumerate((API, FOLDER)):
            (root / name).mkdir()
            databases = Databases(root / name, FIRST_PORT + 10 * place)
            ends.append(databases.stop)
            databases.start()
            databases.mark_gateway()
            databases.configure(auto_route=True)
            sides.append(Side(name, databases))
        by_api, plain = sides
        config_map = by_api.databases.manifests / "ovn-ic-config.yaml"
        kubeconfig = root / "kubeconfig"
        api = FakeApi(kubeconfig, config_map, *content)
        # It ends after the controllers.
        ends.insert(1, api.stop)
        manifests = plain.databases.manifests
        _write_folder(manifests, content)
        plain.pid = plain.databases.start_controller()
        source = ("--kubernetes", "--kubeconfig", str(kubeconfig))
        by_api.pid = by_api.databases.start_controller(*source)
        wait_still([side.pid for side in sides])
        for side in sides:
            side.started_s = cpu_s(side.pid)
        # Beyond the publisher's pause before it tells, and its first attempt again.
        time.sleep(5)
        found = _idle(by_api, plain, api, window_s)
        if content[0] >= 1_000:
            found["heartbeats"] = _heartbeats(by_api, api, beat_s)
        found["pass_ms"] = {
            API: summary(_passes(by_api, api.add_subnet)),
            FOLDER: summary(_passes(plain, lambda number: _write(manifests, number))),
        }
        return found
    finally:
        for end in reversed(ends):
            end()


def _idle(by_api: Side, plain: Side, api: FakeApi, window_s: float) -> dict[str, object]:
    sides = (by_api, plain)
    joining, _ = api.requests()
    passes = {side.name: side.passes() for side in sides}
    before, began = {side.name: cpu_s(side.pid) for side in sides}, time.monotonic()
    time.sleep(window_s)
    span_s = time.monotonic() - began
    found: dict[str, object] = {"window_s": round(span_s, 1)}
    used = {side.name: cpu_s(side.pid) - before[side.name] for side in sides}
    for side in sides:
        spent = side.used(100 * used[side.name] / span_s)
        found[side.name] = {**spent, "passes": side.passes() - passes[side.name]}
    came, is_open = api.requests()
    found[API] |= {
        "requests_a_minute": round(60 * came.total() / span_s, 2),
        "requests": dict(came),
        "open_watches": dict(is_open),
        "requests_to_join": dict(sorted(joining.items())),
    }
    found["ratio_to_folder"] = {
        what: round(found[API][what] / found[FOLDER][what], 2)
        for what in ("cpu_percent", "rss_mb", "peak_mb")
    }
    return found


def _heartbeats(side: Side, api: FakeApi, seconds: float) -> dict[str, object]:
    passes, before, began = side.passes(), cpu_s(side.pid), time.monotonic()
    updates = api.beat(seconds)
    span_s = time.monotonic() - began
    used_s = cpu_s(side.pid) - before
    time.sleep(1)
    came: Counter[str] = api.requests()[0]
    return {
        "updates": updates,
        "updates_a_second": round(updates / span_s, 1),
        "cpu_percent": round(100 * used_s / span_s, 2),
        "cpu_ms_per_update": round(1000 * used_s / updates, 3),
        "passes": side.passes() - passes,
        "requests": dict(came),
        "rss_mb": round(rss_mb(side.pid), 1),
    }


def _passes(side: Side, add_subnet: Callable[[int], object]) -> list[float]:
    """Milliseconds of some passes, each after a new Subnet has made it look at everything."""
    times = []
    for number in range(PASSES):
        count, seconds = side.passes(), side.pass_s()
        add_subnet(2_000 + number)
        # A look takes time from a pass that is under way.
        time.sleep(0.5)
        wait_until(lambda count=count: side.passes() > count, "a pass", timeout_s=60, interval_s=1)
        time.sleep(0.5)
        times.append(1000 * (side.pass_s() - seconds) / (side.passes() - count))
    return times


def _write_folder(folder: Path, content: tuple[int, int]) -> None:
    for kind, make, count in (("node", make_node, content[0]), ("subnet", make_subnet, content[1])):
        for start in range(0, count, _OBJECTS_IN_FILE):
            numbers = range(start, min(start + _OBJECTS_IN_FILE, count))
            text = yaml.dump_all([make(number) for number in numbers], Dumper=yaml.CSafeDumper)
            (folder / f"{kind}-{start:04}.yaml").write_text(text)


def _write(folder: Path, number: int) -> None:
    (folder / f"late-{number}.yaml").write_text(yaml.safe_dump(make_subnet(number)))
