"""A lab as the benchmarks drive it: configure, wait, kill, heal, run commands.

Called by the benchmarks. Looks at databases seldom, because every look takes a core from what is
measured. Must not measure.
"""

import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from ovnmesh import ovn_keys as keys
from ovnmesh.host.process import run, wait_until
from ovnmesh.lab import daemons
from ovnmesh.lab.boot import teardown
from ovnmesh.lab.kubernetes import objects
from ovnmesh.lab.kubernetes.manifests import Manifest, first_manifests, parse_manifests
from ovnmesh.lab.runner import LabRunner
from ovnmesh.lab.values.spec import LabSpec, parse_spec
from ovnmesh.lab.values.topology import ROUTER, Site

LOOK_S = 0.05


def subnet_documents(name: str, cidr: str) -> tuple[Manifest, ...]:
    """A Subnet of Kube-OVN as `LabRunner.apply` takes it."""
    spec = {"cidrBlock": cidr}
    subnet = {"apiVersion": "kubeovn.io/v1", "kind": "Subnet", "metadata": {"name": name}}
    return tuple(parse_manifests(yaml.safe_dump(subnet | {"spec": spec}), "benchmark"))


class BenchLab:
    """A running lab, of two sites with three nodes each unless asked otherwise.

    Attributes:
        runner: the lab.
    """

    def __init__(self, runner: LabRunner) -> None:
        self.runner = runner
        self._data = {site.name: _first_config(site) for site in runner.lab.sites}

    @property
    def sites(self) -> tuple[Site, ...]:
        """Its sites."""
        return self.runner.lab.sites

    @property
    def endpoints(self) -> tuple[str, str]:
        """Namespace of a pod of the first site, address of one of the second; none on a gateway."""
        one, two = self.sites[0].pod("pod1"), self.sites[1].pod("pod2")
        return one.netns, str(two.addresses[0].ip)

    def config_map(self, site: str, **changes: str) -> dict[str, Any]:
        """A site's ConfigMap with some keys changed; underscores stand for hyphens."""
        data = self._data[site]
        data.update({key.replace("_", "-"): value for key, value in changes.items()})
        return {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "ovn-ic-config", "namespace": "kube-system"},
            "data": dict(data),
        }

    def configure(self, site: str, **changes: str) -> None:
        """Change keys of a site's ConfigMap; underscores stand for hyphens."""
        self.prepare(site, **changes)()

    def prepare(self, site: str, **changes: str) -> Callable[[], object]:
        """Get a change of a site's ConfigMap ready; what is returned puts it in force.

        In a folder that is one rename.
        """
        document = self.config_map(site, **changes)
        at = self.runner.lab.site(site)
        if at.api_address is not None:
            return lambda: objects.apply_objects(at, [document])
        new = at.manifests / ".new"
        new.write_text(yaml.safe_dump(document))
        return lambda: new.rename(at.manifests / "ovn-ic-config.yaml")

    def status(self, site: Site) -> dict[str, object]:
        """The status record of a site's controller; state ``idle`` if there is none."""
        words = ("--if-exists", "get", "NB_Global", ".", f"external_ids:{keys.STATUS}")
        raw = daemons.nbctl(site, *words).strip()
        found: dict[str, object] = json.loads(json.loads(raw)) if raw else {"state": "idle"}
        return found

    def wait_joined(self) -> None:
        """Until every site is joined without findings and has learned the others' networks."""
        for site in self.sites:
            others = [other for other in self.sites if other != site]

            def joined(site: Site = site, others: list[Site] = others) -> bool:
                routes = daemons.nbctl(site, "lr-route-list", ROUTER)
                return self.status(site) == {"state": "joined", "findings": []} and all(
                    str(other.ovn_default.cidrs[0]) in routes for other in others
                )

            wait_until(joined, f"site {site.name}: joined", timeout_s=60, interval_s=LOOK_S)

    def wait_left(self) -> None:
        """Until nothing of any site is left in the interconnection southbound database."""
        words = ["ovn-ic-sbctl", f"--db={self.runner.lab.ic_sb}", "--bare", "--columns=name"]
        wait_until(
            lambda: not run([*words, "list", "Availability_Zone"]).strip(),
            "all sites have left",
            timeout_s=30,
            interval_s=LOOK_S,
        )
        for site in self.sites:
            wait_until(
                lambda site=site: "(ts)" not in daemons.nbctl(site, "ls-list"),
                f"site {site.name}: left",
                timeout_s=30,
                interval_s=LOOK_S,
            )

    def active_gateway(self, site: Site, ts: str = "ts") -> str:
        """Node on which a site's port on a transit switch is bound, "" if on none."""
        words = ("--bare", "--columns=logical_port,chassis", "find", "Port_Binding")
        lines = daemons.sbctl(site, *words, "type=chassisredirect").splitlines()
        chassis = dict(zip(lines[::3], lines[1::3], strict=False))
        for port, found in chassis.items():
            if port.endswith(f"-{ts}") and found:
                return daemons.sbctl(site, "get", "Chassis", found, "hostname").strip().strip('"')
        return ""

    def ovnmesh(self, *words: str) -> str:
        """Run the command line on the lab; its output."""
        env = {"OVNMESH_LAB_DIR": str(self.runner.directory), "PYTHONPATH": ":".join(sys.path)}
        return run([sys.executable, "-m", "ovnmesh", *words], env=env, timeout_s=120)

    def wait_active(self, site: Site, node: str) -> None:
        """Until a node is a site's active gateway."""
        wait_until(
            lambda: self.active_gateway(site) == node,
            f"site {site.name}: {node} is active",
            timeout_s=30,
            interval_s=LOOK_S,
        )

    def stop_ovnmesh(self) -> None:
        """Kill all controllers, and ovn-ic with them, and all agents."""
        for site in self.sites:
            self.runner.fault_kill(site.name, "controller")
            for node in site.nodes:
                self.runner.fault_kill(f"{site.name}/{node.name}", "agent")
            wait_until(
                lambda site=site: not daemons.find_daemon(site.control_netns, "ovn-ic"),
                f"site {site.name}: ovn-ic ended with its controller",
                timeout_s=10,
            )

    def start_ovnmesh(self) -> None:
        """Start controllers and agents again, and wait until they have settled."""
        for site in self.sites:
            self.runner.fault_kill(site.name, "controller", heal=True)
            for node in site.nodes:
                self.runner.fault_kill(f"{site.name}/{node.name}", "agent", heal=True)
        self.wait_settled()

    def wait_settled(self) -> None:
        """Until controllers and agents use no processor time."""
        pids = [
            pid
            for site in self.sites
            for pid in (
                *daemons.find_daemon(site.control_netns, "controller"),
                *(p for node in site.nodes for p in daemons.find_daemon(node.netns, "agent")),
            )
        ]
        wait_still(pids)


def wait_still(pids: Sequence[int]) -> None:
    """Until processes, just started or not, use no processor time."""
    last = {pid: cpu_s(pid) for pid in pids}

    def still() -> bool:
        nonlocal last
        now = {pid: cpu_s(pid) for pid in pids}
        before, last = last, now
        return all(now[pid] - before[pid] < 0.02 and now[pid] > 0.1 for pid in pids)

    wait_until(still, "the processes have settled", timeout_s=60, interval_s=1)


def cpu_s(pid: int) -> float:
    """Processor time of a process so far, in seconds, to the nanosecond.

    Threads that have ended count, which the sum over /proc/PID/task would miss.

    Source: clock_getcpuclockid(3); the number is what glibc's returns (sysdeps/unix/sysv/linux,
    kernel-posix-cpu-timers.h, MAKE_PROCESS_CPUCLOCK with CPUCLOCK_SCHED).
    """
    return time.clock_gettime(~pid << 3 | 2)


def rss_mb(pid: int, *, peak: bool = False) -> float:
    """Resident memory of a process, now or at most so far, in megabytes (10^6 bytes), proc(5)."""
    field = "VmHWM:" if peak else "VmRSS:"
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) * 1024 / 1e6
    return 0.0


@contextmanager
def bench_lab(*, enable_ic: bool, kubernetes: bool = False) -> Iterator[BenchLab]:
    """Start a lab of two sites with three nodes each; it is gone afterwards.

    Args:
        enable_ic: ``enable-ic`` of both sites from the start.
        kubernetes: configured through API servers instead of folders.
    """
    site = {"nodes": 3, "pods": 1, "enable_ic": enable_ic}
    spec = parse_spec({"sites": [site, site], "kubernetes": kubernetes}, "benchmark")
    with running(spec) as lab:
        if enable_ic:
            lab.wait_joined()
        yield lab


@contextmanager
def running(spec: LabSpec, *, bare: bool = False) -> Iterator[BenchLab]:
    """Start any lab; it is gone afterwards.

    Args:
        spec: what to start.
        bare: OVN and the interconnection databases only.
    """
    folder = Path(tempfile.mkdtemp(prefix="ovnmesh-bench-"))
    try:
        yield BenchLab(LabRunner.up(spec, folder / "lab", bare=bare))
    finally:
        teardown.down(folder / "lab")
        shutil.rmtree(folder, ignore_errors=True)


def _first_config(site: Site) -> dict[str, str]:
    (config,) = (found for found in first_manifests(site) if found["kind"] == "ConfigMap")
    return dict(config["data"])
