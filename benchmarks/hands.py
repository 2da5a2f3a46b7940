"""The two that run a mesh in the benchmarks of failures: ovnmesh, and OVN alone as left by hand.

Called by those benchmarks, which ask both for the same. By hand is what the documents' manual steps
leave behind: gateway priorities 100, 99, OVN's own BFD timers, `ovn-ic`, and nobody who watches.
Must not measure.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from benchmarks import manual_steps
from benchmarks.mesh import LOOK_S, BenchLab, running
from benchmarks.probe import Probe
from benchmarks.traffic import both_ways
from ovnmesh.host.process import wait_until
from ovnmesh.lab import daemons
from ovnmesh.lab.values.logical import join_commands
from ovnmesh.lab.values.spec import LabSpec
from ovnmesh.lab.values.topology import Node, Site

AWAY_S = 14.0
"""Absence after which a gateway has forgotten what it knew (docs/limitations.md, Gateways)."""


class Hand(Protocol):
    """Who runs the mesh.

    Attributes:
        name: for tables.
        patience_s: how long its outages are awaited.
    """

    name: str
    patience_s: float

    @contextmanager
    def mesh(self, spec: LabSpec) -> Iterator[BenchLab]:
        """Start a lab, joined, whose pods reach each other."""

    def peers(self, lab: BenchLab, site: Site) -> int:
        """How many others a gateway of a site hears by BFD, at least."""

    def prefer(self, lab: BenchLab, site: Site, node: str) -> None:
        """Move a site's traffic to one of its gateways, as planned; returns when it has moved."""

    def home(self, lab: BenchLab, site: Site) -> None:
        """Go back to the first gateway of the configuration."""


class Ovnmesh:
    """ovnmesh: controllers, agents, and its command line."""

    name = "ovnmesh"
    patience_s = 2.0

    @contextmanager
    def mesh(self, spec: LabSpec) -> Iterator[BenchLab]:
        """Start a lab; see `Hand`."""
        with running(spec) as lab:
            lab.wait_joined()
            wait_bfd(lab, self)
            lab.wait_settled()
            yield lab

    def peers(self, lab: BenchLab, site: Site) -> int:
        """All other gateways, those of other sites too (docs/adr/0020)."""
        return sum(len(other.gw_nodes) for other in lab.sites) - 1

    def prefer(self, lab: BenchLab, site: Site, node: str) -> None:
        """Have the command do it."""
        lab.ovnmesh("gateway", "prefer", site.name, node)

    def home(self, lab: BenchLab, site: Site) -> None:
        """Forget failovers and preferences."""
        lab.ovnmesh("gateway", "reset", site.name)
        lab.wait_active(site, site.gw_nodes[0])


class ByHand:
    """OVN alone."""

    name = "OVN by hand"
    patience_s = 6.0

    @contextmanager
    def mesh(self, spec: LabSpec) -> Iterator[BenchLab]:
        """Start a lab; see `Hand`."""
        with running(spec, bare=True) as lab:
            manual_steps.connect(lab.runner.lab)
            for source, target in both_ways(lab):
                address = lab.runner.address_of(target)
                Probe(lab.runner.netns_of(source), address).first_reply(60)
            wait_bfd(lab, self)
            yield lab

    def peers(self, lab: BenchLab, site: Site) -> int:
        """The other gateways of the site."""
        return len(site.gw_nodes) - 1

    def prefer(self, lab: BenchLab, site: Site, node: str) -> None:
        """Write the priorities, in one transaction."""
        order = [node, *(name for name in site.gw_nodes if name != node)]
        port = f"{site.name}-{manual_steps.TS}"
        commands = [
            ["lrp-set-gateway-chassis", port, site.node(name).system_id, str(100 - index)]
            for index, name in enumerate(order)
        ]
        daemons.nbctl(site, *join_commands(commands))
        lab.wait_active(site, node)

    def home(self, lab: BenchLab, site: Site) -> None:
        """The first priorities again."""
        self.prefer(lab, site, site.gw_nodes[0])


HANDS: tuple[Hand, ...] = (ByHand(), Ovnmesh())


def sessions(node: Node) -> list[bool]:
    """Whether each BFD session of a node is up."""
    words = ("--bare", "--columns=bfd_status", "find", "Interface", "bfd:enable=true")
    lines = daemons.vsctl(node, *words).splitlines()
    return ["state=up" in line for line in lines if line.strip()]


def wait_bfd(lab: BenchLab, hand: Hand) -> None:
    """Until all gateways hear each other, so that nothing of the last failure is left."""
    for site in lab.sites:
        for name in site.gw_nodes if hand.peers(lab, site) else ():
            wait_until(
                lambda site=site, name=name: (
                    len(up := sessions(site.node(name))) >= hand.peers(lab, site) and all(up)
                ),
                f"{name}: BFD is up",
                timeout_s=40,
                interval_s=4 * LOOK_S,
            )
