"""What lab tests say in one line: configure a site, wait for a state, ping without loss."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from itertools import permutations
from pathlib import Path
from unittest import mock

import yaml

import evidence
from ovnmesh import ovn_keys as keys
from ovnmesh.cli.main import main
from ovnmesh.host.process import command_line, spawn
from ovnmesh.lab import daemons
from ovnmesh.lab.kubernetes.manifests import parse_manifests
from ovnmesh.lab.ping import PingResult
from ovnmesh.lab.runner import LabRunner
from servers import wait_for

#: Columns the daemons count, stamp or draw by themselves.
VOLATILE = {
    "nb_cfg",
    "sb_cfg",
    "hv_cfg",
    "nb_cfg_timestamp",
    "sb_cfg_timestamp",
    "hv_cfg_timestamp",
    "logical_ip",
}
NB_TABLES = (
    "NB_Global",
    "Logical_Switch",
    "Logical_Switch_Port",
    "Logical_Router",
    "Logical_Router_Port",
    "Logical_Router_Static_Route",
    "Logical_Router_Policy",
    "Gateway_Chassis",
    "Address_Set",
    "Port_Group",
)
SB_TABLES = ("SB_Global", "Chassis", "Encap", "Datapath_Binding", "Port_Binding", "BFD")


@contextmanager
def first_packets(runner: LabRunner) -> Iterator[None]:
    """What happens inside sends first packets of flows.

    OVS's userspace datapath drops a packet that misses while a bridge is being reconfigured
    (lib/dpif-netdev.c, upcall_rwlock), whatever the reason: how often that was is evidence.
    """
    before = reconfigurations(runner)
    try:
        yield
    except AssertionError:
        for node, count in reconfigurations(runner).items():
            if count > before[node]:
                evidence.note(f"ovs-vswitchd of {node} reconfigured a bridge meanwhile")
        raise


def reconfigurations(runner: LabRunner) -> dict[str, int]:
    """How often each node's ovs-vswitchd has reconfigured its bridges."""
    found = {}
    for node in (node for site in runner.lab.sites for node in site.nodes):
        control = f"{node.directory}/ovs-vswitchd.ctl"
        command = ["ovs-appctl", "-t", control, "coverage/read-counter", "bridge_reconfigure"]
        found[node.name] = int(subprocess.check_output(command))
    return found


class MeshLab:
    """A running lab and its first configuration."""

    def __init__(self, runner: LabRunner) -> None:
        self.runner = runner
        #: The sites that a ConfigMap configures; OpenStack's have a site file.
        self.names = [site.name for site in runner.lab.sites if site.openstack is None]
        self.first = {site: self._read_config(site) for site in self.names}
        self._current = dict(self.first)

    # --- configuration --------------------------------------------------------------------------

    def folder(self, site: str) -> Path:
        return self.runner.lab.site(site).manifests

    def config(self, site: str) -> dict[str, str]:
        """What was last written with `configure`."""
        return dict(self._current[site])

    def _read_config(self, site: str) -> dict[str, str]:
        document = yaml.safe_load((self.folder(site) / "ovn-ic-config.yaml").read_text())
        return dict(document["data"])

    def configure(self, site: str, **changes: str) -> None:
        """Change keys of a site's ConfigMap; underscores stand for hyphens."""
        data = {**self.config(site), **{k.replace("_", "-"): v for k, v in changes.items()}}
        self.write_config(site, data)

    def write_config(self, site: str, data: dict[str, str]) -> None:
        document = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "ovn-ic-config", "namespace": "kube-system"},
            "data": data,
        }
        new = self.folder(site) / ".new"
        new.write_text(yaml.safe_dump(document))
        new.rename(self.folder(site) / "ovn-ic-config.yaml")
        self._current[site] = dict(data)

    def apply(self, site: str, text: str) -> None:
        self.runner.apply(site, parse_manifests(text, "test"))

    def delete(self, site: str, text: str) -> None:
        self.runner.delete(site, parse_manifests(text, "test"))

    def reset(self) -> None:
        """The first configuration again; its first gateways serve, and all sites reach each other.

        Every test leaves a lab that others share like this.
        """
        for site, data in self.first.items():
            self.write_config(site, data)
        self.wait_joined()
        for site, data in self.first.items():
            first = data["gw-nodes"].split(",")[0]

            def serves(site: str = site, first: str = first) -> bool:
                return all(self.active_gateway(site, ts) == first for ts in self.switches())

            if not serves():  # who took over stays
                reset = ("gateway", "reset", site)
                eventually(lambda: self.ovnmesh(*reset, check=False).returncode == 0)  # noqa: B023
            eventually(serves)
        for one, other in permutations(self.names, 2):
            pair = (f"{one}/pod1", f"{other}/{self.runner.lab.site(other).pods[-1].name}")
            eventually(lambda: self.ping(*pair, 2).lost == 0)  # noqa: B023

    # --- looking --------------------------------------------------------------------------------

    def switches(self) -> list[str]:
        """Transit switches that the lab has made."""
        return ["ts", *(f"ts{i}" for i in range(1, self.runner.lab.ts_count))]

    def tool(self, name: str, site: str, *words: str) -> str:
        """ovn-nbctl, ovn-sbctl, ovn-ic-nbctl or ovn-ic-sbctl on a site's databases."""
        key = {
            "ovn-nbctl": "nb",
            "ovn-sbctl": "sb",
            "ovn-ic-nbctl": "ic_nb",
            "ovn-ic-sbctl": "ic_sb",
        }[name]
        command = [name, f"--db={self.runner.connections(site)[key]}", "--timeout=10", *words]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    def nbctl(self, site: str, *words: str) -> str:
        return self.tool("ovn-nbctl", site, *words)

    def routes(self, site: str) -> str:
        return self.nbctl(site, "lr-route-list", "ovn-cluster")

    def status(self, site: str) -> dict:
        raw = self.nbctl(
            site, "--if-exists", "get", "NB_Global", ".", f"external_ids:{keys.STATUS}"
        ).strip()
        return json.loads(json.loads(raw)) if raw else {"state": "idle", "findings": []}

    def codes(self, site: str) -> list[str]:
        return sorted(finding["code"] for finding in self.status(site)["findings"])

    def active_gateway(self, site: str, ts: str = "ts") -> str:
        """Node on which the site's transit port is bound."""
        az = self.config(site)["az-name"]
        chassis = self.tool(
            "ovn-sbctl",
            site,
            "--bare",
            "--columns=chassis",
            "find",
            "Port_Binding",
            f"logical_port=cr-{az}-{ts}",
        ).strip()
        if not chassis:
            return ""
        return (
            self.tool("ovn-sbctl", site, "get", "Chassis", chassis, "hostname").strip().strip('"')
        )

    def wait_joined(self, timeout_s: float = 15.0) -> None:
        """Until every enabled site is joined, without findings, and knows all the others."""

        def joined() -> bool:
            enabled = [s for s in self.names if self.config(s)["enable-ic"] == "true"]
            return all(
                self.status(site) == {"state": "joined", "findings": []}
                and all(self.learned(site, other) for other in enabled if other != site)
                and self.active_gateway(site)
                for site in enabled
            )

        eventually(joined, timeout_s, lambda: f"joined: {[self.status(s) for s in self.names]}")

    def learned(self, site: str, other: str) -> bool:
        if "false" in (self.config(site)["auto-route"], self.config(other)["auto-route"]):
            return True
        prefix = str(self.runner.lab.site(other).ovn_default.cidrs[0])
        return prefix in self.routes(site)

    def dump(self, site: str) -> list[str]:
        """NB and SB without volatile columns; rows of a table in a stable order."""
        connections = self.runner.connections(site)
        lines = []
        for remote, schema, tables in (
            (connections["nb"], "OVN_Northbound", NB_TABLES),
            (connections["sb"], "OVN_Southbound", SB_TABLES),
        ):
            for table in tables:
                out = subprocess.run(
                    ["ovsdb-client", "dump", "-f", "json", remote, schema, table],
                    check=True,
                    capture_output=True,
                    text=True,
                ).stdout
                found = json.loads(out)
                for row in found["data"]:
                    cells = dict(zip(found["headings"], row, strict=True))
                    lines.append(
                        f"{table} "
                        + json.dumps(
                            {k: v for k, v in cells.items() if k not in VOLATILE}, sort_keys=True
                        )
                    )
        return sorted(lines)

    def ic_text(self) -> str:
        """Both interconnection databases as text."""
        connections = self.runner.connections(self.names[0])
        return "".join(
            subprocess.run(
                ["ovsdb-client", "dump", connections[key]],
                check=True,
                capture_output=True,
                text=True,
            ).stdout
            for key in ("ic_nb", "ic_sb")
        )

    def mark(self, site: str, node: str) -> str:
        """external_ids:ovn-is-interconn of a node, "" if absent."""
        folder = next(n.directory for n in self.runner.lab.site(site).nodes if n.name == node)
        command = ["ovs-vsctl", f"--db=unix:{folder}/db.sock", "--if-exists", "get", "Open_vSwitch"]
        out = subprocess.run(
            [*command, ".", "external_ids:ovn-is-interconn"],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        return out.strip().strip('"')

    def pid(self, place: str, pattern: str) -> int:
        """Pid of the process in a namespace whose command line contains a pattern."""
        found = subprocess.run(
            ["ip", "netns", "pids", self.runner.netns_of(place)],
            check=True,
            capture_output=True,
            text=True,
        ).stdout.split()
        for pid in found:
            try:
                line = Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
            except FileNotFoundError:
                continue
            if pattern in line:
                return int(pid)
        raise AssertionError(f"no process {pattern!r} in {place}")

    @contextmanager
    def second_controller(self, site: str) -> Iterator[int]:
        """Run another controller of a site, standing by; gives the pid of the first.

        Afterwards the other is ended, and the first started again if it does not run.
        """
        at = self.runner.lab.site(site)
        folder = at.directory / "controller-2"
        folder.mkdir()
        first = self.pid(f"{site}/control", "ovnmesh controller")
        words = list(command_line(first))
        words[words.index("--run-dir") + 1] = str(folder)
        words[words.index("--metrics-port") + 1] = str(daemons.METRICS_PORT + 1)
        log = folder / "controller.log"
        second = spawn(words, log=log, netns=at.control_netns)
        try:
            eventually(lambda: "standby" in log.read_text())
            yield first
        finally:
            second.terminate()
            second.wait(15)
            self.runner.fault_kill(site, "controller", heal=True)
            # The status record of the one that ended says "joined" still: ovn-ic tells.
            eventually(lambda: self._runs(f"{site}/control", "ovn-ic "))

    def takeover_s(self, site: str, acting: int) -> float:
        """Kill the acting controller with -9; seconds until the other has acted on a change."""
        os.kill(acting, signal.SIGKILL)
        killed = time.monotonic()
        # Nobody but a controller that acts follows a change.
        self.configure(site, gw_nodes=f"{site}-gw,{site}-n1")
        eventually(lambda: self.mark(site, f"{site}-n1") == "true")
        return time.monotonic() - killed

    def _runs(self, place: str, pattern: str) -> bool:
        try:
            return bool(self.pid(place, pattern))
        except AssertionError:
            return False

    # --- traffic --------------------------------------------------------------------------------

    def ping(self, source: str, target: str, count: int = 5) -> PingResult:
        return self.runner.ping(source, target, count, 20)

    def assert_all_pairs(self, sites: list[str] | None = None) -> None:
        """Every site reaches every other, first packet included."""
        with first_packets(self.runner):
            for one, other in permutations(sites or self.names, 2):
                for source, target in (("pod0", "pod2"), ("pod1", "pod0")):
                    result = self.ping(f"{one}/{source}", f"{other}/{target}", 3)
                    assert result.lost == 0, (one, other, source, target, result)

    @contextmanager
    def trains(
        self, *pairs: tuple[str, str], settle_s: float = 0.5, interval_ms: float = 10
    ) -> Iterator[list[PingResult]]:
        """Ping trains over what happens inside; results are there afterwards."""
        running = [self.runner.ping_train(source, target, interval_ms) for source, target in pairs]
        results: list[PingResult] = []
        time.sleep(0.3)
        try:
            yield results
            time.sleep(settle_s)
        finally:
            results += [train.stop() for train in running]

    @contextmanager
    def lossless(self, *pairs: tuple[str, str]) -> Iterator[None]:
        """What happens inside may not cost one packet.

        A control train runs inside each site between two nodes that no change touches.
        """
        watched = pairs or (("az1/pod1", "az2/pod2"), ("az2/pod0", "az1/pod0"))
        control = [
            (f"{site.name}/{site.pods[1].name}", f"{site.name}/{site.pods[0].name}")
            for site in self.runner.lab.sites
        ]
        with self.trains(*watched, *control) as results:
            yield
        found, noise = results[: len(watched)], results[len(watched) :]
        for pair, result in zip(control, noise, strict=True):
            if result.lost:
                evidence.note(f"control train {pair[0]} to {pair[1]} lost {result.lost} packets")
        assert [result.lost for result in found] == [0] * len(found), found
        assert all(result.received > 20 for result in found), found

    # --- command line ---------------------------------------------------------------------------

    def ovnmesh(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """The command line, in this process: an interpreter of its own takes half a second."""
        out, err = io.StringIO(), io.StringIO()
        kept = {name: value for name, value in os.environ.items() if not name.startswith("OVN")}
        environment = kept | {"OVNMESH_LAB_DIR": str(self.runner.directory)}
        with (
            mock.patch.dict(os.environ, environment, clear=True),
            mock.patch.object(sys, "argv", ["ovnmesh", *words]),
            redirect_stdout(out),
            redirect_stderr(err),
        ):
            try:
                main()
                code = 0
            except SystemExit as error:
                code = int(error.code or 0)
        done = subprocess.CompletedProcess(words, code, out.getvalue(), err.getvalue())
        assert not check or done.returncode == 0, done
        return done


def eventually(condition: Callable[[], object], timeout_s: float = 15.0, what: object = "") -> None:
    """Wait, looking seldom: every look starts a process, which costs the data path its cores."""
    wait_for(condition, timeout_s, what, poll_s=0.05)
