"""How long from `kubectl apply` to the first ping across sites, with the API in the path?

Two labs at the same time, equal but for where their sites' configuration is: behind real
kube-apiservers, or in a folder. In turns: both ConfigMaps through the API, the same by two kubectl
processes, and both by a rename in the folders. The API's clients have their connections open, and
kubectl its cache of the API's kinds, as on the desk of somebody who uses them. Needs
KUBEBUILDER_ASSETS, the folder of etcd, kube-apiserver and kubectl.
"""

import os
import subprocess
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import yaml
from lightkube import Client, KubeConfig
from lightkube.resources.core_v1 import ConfigMap
from lightkube.types import PatchType

from benchmarks.common import Report, ratio, say, spread, summary
from benchmarks.journal import read_since
from benchmarks.mesh import BenchLab, bench_lab
from benchmarks.probe import Probe
from ovnmesh.host.process import run as run_command
from ovnmesh.lab.kubernetes.apiserver import ASSETS_VARIABLE
from ovnmesh.lab.values.topology import Site

API, KUBECTL, FOLDER = "API", "kubectl apply", "folder"
CONTESTANTS = (API, KUBECTL, FOLDER)
_PLACE = ("ovn-ic-config", "kube-system")

Change = Callable[[], object]
"""Puts one site's change in force; returns when that is done."""


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds from the start of the change.

    Attributes:
        accepted: both changes had been accepted (renamed, answered, kubectl ended).
        named: the later controller had made its first row in NB.
        replied: a ping was answered.
    """

    accepted: float
    named: float
    replied: float


def run(quick: bool) -> Report | None:
    """Measure; None without kube-apiserver.

    Args:
        quick: fewer rounds.
    """
    assets = Path(os.environ.get(ASSETS_VARIABLE, "") or "/nonexistent")
    missing = [p for p in ("etcd", "kube-apiserver", "kubectl") if not (assets / p).is_file()]
    if missing:
        say(f"left out: no {', '.join(missing)} in the folder that {ASSETS_VARIABLE} names")
        return None
    found: dict[str, list[Times]] = {who: [] for who in CONTESTANTS}
    with bench_lab(enable_ic=False, kubernetes=True) as by_api, bench_lab(enable_ic=False) as plain:
        by_api.wait_settled()
        plain.wait_settled()
        prepare = {
            API: (by_api, _by_client),
            KUBECTL: (by_api, lambda lab: _by_kubectl(lab, assets / "kubectl")),
            FOLDER: (plain, _by_rename),
        }
        for number in range(2 if quick else 7):
            # Another one begins each time.
            first = number % len(CONTESTANTS)
            for who in (*CONTESTANTS[first:], *CONTESTANTS[:first]):
                lab, ready = prepare[who]
                found[who].append(_measure(lab, lambda lab=lab, ready=ready: ready(lab)))
                say(f"round {number + 1}: {who} {found[who][-1].replied:.3f} s")
                _undo(lab)
        versions = _versions(by_api.sites[0], assets / "kubectl")
    return _report(found, versions)


def _measure(lab: BenchLab, ready: Callable[[], Sequence[Change]]) -> Times:
    time.sleep(2)
    offsets = [_nb(site).stat().st_size for site in lab.sites]
    probe = Probe(*lab.endpoints)
    time.sleep(0.5)
    changes = ready()
    with ThreadPoolExecutor(len(changes)) as threads:
        began = time.time()
        ends = [threads.submit(_timed, change) for change in changes]
        replied = probe.first_reply(60)
        accepted = max(end.result() for end in ends)
    time.sleep(0.2)
    named = []
    for site, offset in zip(lab.sites, offsets, strict=True):
        log = read_since(_nb(site), offset)
        named.append(next(t.time for t in log if t.mentions("NB_Global", "name")))
    return Times(accepted - began, max(named) - began, replied - began)


def _timed(change: Change) -> float:
    change()
    return time.time()


def _by_rename(lab: BenchLab) -> Sequence[Change]:
    return [lab.prepare(site.name, enable_ic="true") for site in lab.sites]


def _by_client(lab: BenchLab) -> Sequence[Change]:
    return [_patch(site, lab.config_map(site.name, enable_ic="true")) for site in lab.sites]


def _patch(site: Site, document: dict[str, object]) -> Change:
    client = Client(KubeConfig.from_file(site.kubeconfig), trust_env=False)
    # Opens the connection, and has the client's models made before threads use them.
    client.get(ConfigMap, _PLACE[0], namespace=_PLACE[1])

    def patch() -> None:
        patch_type = PatchType.MERGE
        client.patch(ConfigMap, _PLACE[0], document, namespace=_PLACE[1], patch_type=patch_type)
        client.close()

    return patch


def _by_kubectl(lab: BenchLab, kubectl: Path) -> Sequence[Change]:
    return [_apply(lab, site, kubectl) for site in lab.sites]


def _apply(lab: BenchLab, site: Site, kubectl: Path) -> Change:
    file = site.api_directory / "ovn-ic-config.yaml"
    command = [*_kubectl(site, kubectl), "apply", f"--filename={file}"]
    # Fills its cache, and leaves the annotation that makes later ones know what was applied.
    file.write_text(yaml.safe_dump(lab.config_map(site.name, enable_ic="false")))
    run_command(command)
    file.write_text(yaml.safe_dump(lab.config_map(site.name, enable_ic="true")))
    return lambda: subprocess.run(command, check=True, capture_output=True)


def _kubectl(site: Site, kubectl: Path) -> list[str]:
    cache = site.api_directory / "cache"
    return [str(kubectl), f"--kubeconfig={site.kubeconfig}", f"--cache-dir={cache}"]


def _undo(lab: BenchLab) -> None:
    lab.wait_joined()
    for site in lab.sites:
        lab.configure(site.name, enable_ic="false")
    lab.wait_left()


def _nb(site: Site) -> Path:
    return site.directory / "nb.db"


def _versions(site: Site, kubectl: Path) -> dict[str, str]:
    said = yaml.safe_load(run_command([*_kubectl(site, kubectl), "version", "--output=yaml"]))
    return {who: said[f"{who}Version"]["gitVersion"] for who in ("client", "server")}


def _report(found: dict[str, list[Times]], versions: dict[str, str]) -> Report:
    def values(who: str, what: str) -> list[float]:
        return [getattr(times, what) for times in found[who]]

    names = ("replied", "named", "accepted")
    ratios = {who: ratio(values(who, "replied"), values(FOLDER, "replied")) for who in found}
    rows = [
        [
            who,
            spread(values(who, "replied"), "s", 2),
            f"{ratios[who]:.2f}",
            *(spread([1000 * v for v in values(who, what)], "ms") for what in names[1:]),
        ]
        for who in found
    ]
    data: dict[str, object] = {
        "versions": versions,
        "seconds": {who: {what: summary(values(who, what)) for what in names} for who in found},
        "ratio_to_folder": ratios,
    }
    columns = (
        "configured by",
        "first reply",
        "ratio to the folder",
        "first row in NB (later site)",
        "change accepted",
    )
    return Report((__doc__ or "").split("\n")[0], columns, rows, data)
