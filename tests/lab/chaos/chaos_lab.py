"""A lab for chaos: sites that have not joined yet, roles of nodes, and what "well" means."""

import time
from collections.abc import Callable
from itertools import permutations
from pathlib import Path

import bfd_sessions
from chaos_rows import difference, mesh_rows
from meshlab import MeshLab, eventually
from ovnmesh.lab import daemons
from ovnmesh.lab.network import netns
from ovnmesh.lab.runner import LabRunner
from ovnmesh.lab.values.spec import LabSpec, SiteSpec
from servers import wait_for

#: Until everything is well after a step. A database client's back-off takes up to 8 s, a dead
#: connection is noticed after 10 s (reconnect.c), a busy machine doubles that.
SETTLE_S = 60.0
#: The switches' own rows in IC-SB are ovn-ic's: they stay when all sites have left.
SHARED = "OVN_IC_Southbound Datapath_Binding"


class ChaosLab(MeshLab):
    """Two sites of three nodes, two of them gateways.

    Attributes:
        bare: rows before any site joined.
        fresh: rows when all had joined.
        joined_with: active gateways when all had joined.
    """

    def __init__(self, folder: Path, ic_nodes: int, ts_count: int) -> None:
        sites = tuple(
            SiteSpec(
                nodes=(f"{az}-gw", f"{az}-n1", f"{az}-n2"),
                gw_nodes=(f"{az}-gw", f"{az}-n1"),
                enable_ic=False,
            )
            for az in ("az1", "az2")
        )
        spec = LabSpec(sites=sites, ic_nodes=ic_nodes, ts_count=ts_count)
        super().__init__(LabRunner.up(spec, folder))
        self.spaces = self._namespaces()
        self.bare = mesh_rows(self)
        for site in self.names:
            self.configure(site, enable_ic="true")
        self.first = {site: self.config(site) for site in self.names}
        self.settle()
        self.joined_with = self.active_gateways()
        self.reset_gateways()
        self.fresh = mesh_rows(self)

    # --- roles ----------------------------------------------------------------------------------

    def nodes(self, site: str) -> list[str]:
        return [node.name for node in self.runner.lab.site(site).nodes]

    def gateways(self, site: str) -> list[str]:
        return [name.strip() for name in self.config(site)["gw-nodes"].split(",")]

    def active_gateways(self) -> str:
        """Who serves on each transit switch of each site."""
        return " ".join(
            self.active_gateway(site, ts) for site in self.names for ts in self.switches()
        )

    def pods_on(self, site: str, without: set[str]) -> list[str]:
        """Pods of a site whose nodes are not among some."""
        pods = self.runner.lab.site(site).pods
        return [f"{site}/{pod.name}" for pod in pods if f"{site}/{pod.node}" not in without]

    def bfd_ms(self) -> float:
        """How long BFD takes to notice, where it is slowest."""
        return max(
            float(config.get("bfd-mult", 3))
            * max(float(config.get(f"bfd-min-{way}", 100)) for way in ("rx", "tx"))
            for config in map(self.config, self.names)
        )

    # --- well -----------------------------------------------------------------------------------

    def settle(self, timeout_s: float = SETTLE_S) -> None:
        """Until everything runs, all are joined without findings, and reach each other."""
        deadline = time.monotonic() + timeout_s
        self._until(deadline, lambda: not self.missing(), lambda: f"not running {self.missing()}")
        self.wait_joined(max(1.0, deadline - time.monotonic()))
        bfd_sessions.wait_for_bfd(self, max(1.0, deadline - time.monotonic()))
        for one, other in permutations(self.names, 2):
            for source, target in (("pod0", "pod2"), ("pod1", "pod0"), ("pod2", "pod1")):
                pair = (f"{one}/{source}", f"{other}/{target}")
                self._until(deadline, lambda: not self.ping(*pair, 2).lost, f"traffic of {pair}")  # noqa: B023

    def _until(self, deadline: float, condition: Callable[[], object], what: object) -> None:
        wait_for(condition, max(1.0, deadline - time.monotonic()), what, poll_s=0.2)

    def missing(self) -> list[str]:
        """Daemons that do not run once, and exactly once, where they should."""
        status = self.runner.status()
        places = [(node["name"], node["daemons"]) for node in status["ic"]["nodes"]]
        for site in status["sites"]:
            control = dict(site["daemons"])
            if self.config(site["name"])["enable-ic"] == "false":
                control.pop("ovn-ic")
            places.append((site["name"], control))
            places += [(node["name"], node["daemons"]) for node in site["nodes"]]
        return [
            f"{place} {daemon}: {pids}"
            for place, found in places
            for daemon, pids in found.items()
            if len(pids) != 1
        ]

    def reset_gateways(self) -> None:
        """Go back to the order of gw-nodes, and wait for the traffic."""
        for site in self.names:
            self.ovnmesh("gateway", "reset", site)
        self.settle()

    # --- the end --------------------------------------------------------------------------------

    def restore(self) -> None:
        """Write the first configuration again, and let the first gateways serve."""
        for site, config in self.first.items():
            self.write_config(site, config)
        self.settle()
        self.reset_gateways()

    def assert_as_fresh(self) -> None:
        """The rows, processes and namespaces of a fresh mesh."""
        self._assert_rows(self.fresh, "a fresh mesh", "")
        strays = self._namespaces() ^ self.spaces
        assert not strays, f"namespaces that came or went: {strays}"
        done = self.ovnmesh("status", check=False)
        assert done.returncode == 0, f"status says {done.stdout}{done.stderr}"

    def assert_leaving_restores(self) -> None:
        """All sites leave: the rows before any joined."""
        for site in self.names:
            self.ovnmesh("leave", site)
        self._assert_rows(self.bare, "the sites before they joined", SHARED)
        ovn_ic = [daemons.find_daemon(s.control_netns, "ovn-ic") for s in self.runner.lab.sites]
        assert not any(ovn_ic), f"ovn-ic after leaving: {ovn_ic}"

    def _assert_rows(self, wanted: list[str], name: str, but: str) -> None:
        def differs() -> list[str]:
            lines = difference(wanted, mesh_rows(self))
            return [line for line in lines if not (but and line[2:].startswith(but))]

        eventually(
            lambda: not differs(), 30, lambda: "\n".join([f"not the rows of {name}:", *differs()])
        )

    def _namespaces(self) -> set[str]:
        return set(netns.names(f"{self.runner.lab.prefix}-"))
