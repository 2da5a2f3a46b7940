"""Starts, changes, shows and removes a lab.

Called by the command line, benchmarks and tests. Puts the other modules of `ovnmesh.lab` in order;
holds no knowledge of OVN of its own.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ovnmesh.errors import LabError
from ovnmesh.host.process import run
from ovnmesh.lab import daemons, nat, status
from ovnmesh.lab.boot import faults, teardown
from ovnmesh.lab.boot import start as boot
from ovnmesh.lab.boot.start import Progress
from ovnmesh.lab.kubernetes import manifests, objects
from ovnmesh.lab.network import netns
from ovnmesh.lab.network import wiring as network
from ovnmesh.lab.openstack import install
from ovnmesh.lab.ping import PingResult, PingTrain, ping_count
from ovnmesh.lab.state import (
    AddedPod,
    LabState,
    create_state,
    load_state,
    save_state,
    site_entry,
)
from ovnmesh.lab.values import logical, targets
from ovnmesh.lab.values.layout import compute_lab, compute_pod
from ovnmesh.lab.values.spec import LabSpec
from ovnmesh.lab.values.topology import JOIN, OVN_DEFAULT, IcNode, Node, Pod, Site, Subnet
from ovnmesh.model.addresses import Network


class LabRunner:
    """A running lab; made by `up` or `load`.

    Attributes:
        directory: its run directory.
        state: what it remembers.
        lab: its names and addresses.
        timings_s: seconds each phase of the start took; empty for a loaded lab.
    """

    def __init__(self, directory: Path, state: LabState) -> None:
        self.directory = directory
        self.state = state
        self.lab = state.lab(directory)
        self.timings_s: dict[str, float] = {}

    @classmethod
    def load(cls, directory: Path) -> "LabRunner":
        """Take up a lab that was started before.

        Raises:
            LabError: there is none in the directory.
        """
        directory = directory.resolve()
        return cls(directory, load_state(directory))

    @classmethod
    def up(
        cls,
        spec: LabSpec,
        directory: Path,
        *,
        bare: bool = False,
        progress: Progress = lambda _: None,
        cache: Path | None = None,
    ) -> "LabRunner":
        """Start a lab; what was started is removed again if it fails or is interrupted.

        Args:
            spec: what to start.
            directory: run directory: empty or missing.
            bare: start OVN and the interconnection databases only, no controllers and agents.
            progress: told the name of each phase as it begins.
            cache: where OpenStack is installed; None for the usual folder.

        Raises:
            ConfigError: the specification contradicts itself.
            LabError: the directory is in use, or something is not installed.
            ProcessError: a daemon did not start.
        """
        directory = directory.resolve()
        daemons.check_tools()
        if spec.kubernetes:
            objects.check_api_needs()
        compute_lab(spec, directory)
        installation = install.ensure_for(spec, cache, progress)
        state = LabState(spec=spec, bare=bare, subnets={}, pods=())
        create_state(directory, state)
        runner = cls(directory, state)
        try:
            runner.timings_s = boot.start(runner.lab, installation, bare=bare, progress=progress)
        except BaseException:
            teardown.down(directory)
            raise
        return runner

    def connections(self, site: str) -> dict[str, str]:
        """Connections to a site: ``nb``, ``sb``, ``ic_nb``, ``ic_sb`` and more, as in sites.yaml.

        Raises:
            LabError: there is no such site.
        """
        return site_entry(self.lab, self.lab.site(site))

    def netns_of(self, target: str) -> str:
        """Namespace of ``SITE/POD``, ``SITE/NODE``, ``SITE/control``, ``ic1``, router or outside.

        Raises:
            LabError: there is no such thing in the lab.
        """
        return targets.netns_of(self.lab, target)

    def address_of(self, target: str, version: int | None = None) -> str:
        """Address to ping: of a pod, a node, the outside, or the target itself if it is none.

        Args:
            target: ``SITE/POD``, ``SITE/NODE``, ``outside`` or an address.
            version: 4 or 6; None takes the first address.

        Raises:
            LabError: there is no such thing, or it has no such address.
        """
        return targets.address_of(self.lab, target, version)

    def run_in(self, target: str, argv: Sequence[str], timeout_s: float = 30.0) -> str:
        """Run a command in a pod's, node's or other namespace and return its output.

        Raises:
            LabError: there is no such target.
            ProcessError: the command failed.
        """
        return run(argv, netns=self.netns_of(target), timeout_s=timeout_s)

    def ping_train(self, source: str, target: str, interval_ms: float = 10) -> PingTrain:
        """Start pinging from one place to another; see `PingTrain`."""
        return PingTrain(self.netns_of(source), self.address_of(target), interval_ms)

    def ping(self, source: str, target: str, count: int, interval_ms: float) -> PingResult:
        """Ping a number of times, await every reply, and count.

        Args:
            source: ``SITE/POD`` or ``SITE/NODE``.
            target: the same, or an address.
            count: requests to send.
            interval_ms: time between two requests, in milliseconds.

        Raises:
            LabError: there is no such place, or ping did not run.
        """
        return ping_count(self.netns_of(source), self.address_of(target), count, interval_ms)

    def apply(self, site: str, documents: Iterable[manifests.Manifest]) -> tuple[str, ...]:
        """Apply manifests to a site; a Subnet becomes a switch, as Kube-OVN would make it.

        Args:
            site: name of the site.
            documents: parsed by `manifests.parse_manifests`.

        Returns:
            One line for each object that changed.

        Raises:
            ConfigError: a Subnet is wrong; nothing was changed then.
            LabError: there is no such site.
        """
        at = self.lab.site(site)
        documents = tuple(documents)
        # All are read before the first is applied: an error changes nothing.
        subnets = [manifests.read_subnet(site, document) for document in documents]
        for subnet in filter(None, subnets):
            self._check_own_subnet(at, subnet)
        changes = objects.apply_objects(at, documents)
        for subnet in filter(None, subnets):
            self._apply_subnet(at, subnet)
        return tuple(
            f"{change.kind} {change.name} {'changed' if change.before else 'created'}"
            for change in changes
        )

    def delete(self, site: str, documents: Iterable[manifests.Manifest]) -> tuple[str, ...]:
        """Delete manifests from a site, and the switches of its Subnets.

        Args:
            site: name of the site.
            documents: parsed by `manifests.parse_manifests`; kind and name count.

        Returns:
            One line for each object that was there.

        Raises:
            LabError: there is no such site, or a Subnet still has pods.
        """
        at = self.lab.site(site)
        documents = tuple(documents)
        subnets = [d["metadata"]["name"] for d in documents if d["kind"] == "Subnet"]
        for name in subnets:
            if name in (OVN_DEFAULT, JOIN):
                raise LabError(f"site {site}: Subnet {name} stays until 'lab down'")
            used = [pod.name for pod in at.pods if pod.subnet == name]
            if used:
                raise LabError(
                    f"site {site}: Subnet {name} has pods ({', '.join(used)}); delete them first "
                    f"with: ovnmesh lab pod delete {site}/{used[0]}"
                )
        changes = objects.delete_objects(at, documents)
        for name in subnets:
            if name in self.state.subnets.get(site, {}):
                subnet = self.state.subnet(self.lab, site, name)
                nat.delete_snat(at, subnet)
                commands = logical.subnet_delete_commands(subnet, at.nodes)
                daemons.nbctl(at, *logical.join_commands(commands))
                network.unroute_networks(at, subnet.cidrs)
                self._remember_subnet(site, name, None)
        return tuple(f"{change.kind} {change.name} deleted" for change in changes)

    def _check_own_subnet(self, site: Site, subnet: Subnet) -> None:
        """Refuse other networks for the subnets whose addresses the lab itself has given out."""
        for own in (site.ovn_default, site.join):
            if subnet.name == own.name and subnet.cidrs != own.cidrs:
                raise LabError(
                    f"site {site.name}: Subnet {own.name} cannot change its cidrBlock from "
                    f"{', '.join(map(str, own.cidrs))}; choose it in a topology, for 'lab up -f'"
                )

    def _apply_subnet(self, site: Site, subnet: Subnet) -> None:
        """Make or change a subnet's rows, compared with what was last done, not last asked."""
        if subnet.name in (OVN_DEFAULT, JOIN):
            return
        if subnet.name not in self.state.subnets.get(site.name, {}):
            # What an interrupted attempt has left goes in the same transaction.
            commands = logical.subnet_delete_commands(subnet, site.nodes)
            commands += logical.subnet_commands(subnet, site.nodes)
        else:
            before = self.state.subnet(self.lab, site.name, subnet.name)
            if before == subnet:
                return
            commands = logical.subnet_change_commands(subnet, before.cidrs)
            network.unroute_networks(site, before.cidrs)
        daemons.nbctl(site, *logical.join_commands(commands))
        network.route_networks(site, subnet.cidrs)
        self._remember_subnet(site.name, subnet.name, subnet.cidrs)

    def _remember_subnet(self, site: str, name: str, cidrs: tuple[Network, ...] | None) -> None:
        subnets = {key: dict(value) for key, value in self.state.subnets.items()}
        known = subnets.setdefault(site, {})
        if cidrs is None:
            known.pop(name, None)
        else:
            known[name] = tuple(str(cidr) for cidr in cidrs)
        self._save(replace(self.state, subnets=subnets))

    def add_pod(self, site: str, name: str, node: str, subnet: str) -> Pod:
        """Add a pod to a running lab and wait until its node carries it.

        Args:
            site: name of the site.
            name: name of the pod.
            node: name of its node.
            subnet: name of its Subnet.

        Raises:
            LabError: the name is taken, or there is no such site, node or Subnet.
        """
        at = self.lab.site(site)
        at.node(node)
        if any(pod.name == name for pod in at.pods):
            raise LabError(f"site {site}: there is a pod {name} already; choose another name")
        place = self.state.subnet(self.lab, site, subnet)
        used = {pod.addresses[0].ip for pod in at.pods if pod.subnet == subnet}
        position = 2
        while place.cidrs[0][position] in used:
            position += 1
        pod = compute_pod(self.lab.prefix, site, name, node, (place, position))
        if pod.netns in self.lab.namespaces:
            raise LabError(f"site {site}: {name!r} is taken by a node; choose another name")
        self._save(
            replace(
                self.state,
                pods=(*self.state.pods, AddedPod(site, name, node, subnet, position)),
            )
        )
        netns.create(pod.netns)
        network.make_pod_link(at, pod, place)
        daemons.nbctl(at, *logical.join_commands(logical.pod_commands(pod)))
        daemons.vsctl(at.node(node), *daemons.pod_port_words(pod))
        daemons.nbctl(at, "--wait=hv", "wait-until", "Logical_Switch_Port", pod.port, "up=true")
        return pod

    def delete_pod(self, site: str, name: str) -> None:
        """Remove a pod that was added.

        Raises:
            LabError: there is no such pod, or it belongs to the lab's specification.
        """
        at = self.lab.site(site)
        pod = at.pod(name)
        rest = tuple(p for p in self.state.pods if (p.site, p.name) != (site, name))
        if len(rest) == len(self.state.pods):
            raise LabError(f"{site}/{name}: came with 'lab up' and stays until 'lab down'")
        nat.delete_eip(at, pod)
        daemons.vsctl(at.node(pod.node), "--if-exists", "del-port", "br-int", pod.host_ifname)
        daemons.nbctl(at, *logical.join_commands(logical.pod_delete_commands(pod)))
        faults.kill_all([pod.netns])
        netns.inside(at.node(pod.node).netns, lambda links: links.delete_link(pod.host_ifname))
        netns.delete(pod.netns)
        self._save(replace(self.state, pods=rest))

    def _save(self, state: LabState) -> None:
        save_state(self.directory, state)
        self.state = state
        self.lab = state.lab(self.directory)

    def networks(self, site: Site) -> tuple[Network, ...]:
        """Networks of a site's pods: those its nodes reach through ``ovn0``."""
        added = self.state.subnets.get(site.name, {})
        subnets = [site.ovn_default]
        subnets += [self.state.subnet(self.lab, site.name, name) for name in added]
        return tuple(cidr for subnet in subnets for cidr in subnet.cidrs)

    def fault_link(self, target: str, *, heal: bool = False) -> None:
        """Take the underlay link of ``SITE/NODE`` or of a databases' node down, or up again."""
        node: Node | IcNode | None = self.lab.ic_node(target)
        if node is None:
            site, name = targets.split(self.lab, target)
            node = site.node(name)
        faults.fault_link(self.lab, node, heal=heal)

    def fault_ic(self, target: str, *, heal: bool = False) -> None:
        """Cut a site, or ``all``, off the interconnection databases, or heal that."""
        sites = self.lab.sites if target == "all" else (self.lab.site(target),)
        faults.fault_ic(self.lab, sites, heal=heal)

    def fault_kill(self, target: str, daemon: str, *, heal: bool = False) -> None:
        """Kill a daemon with SIGKILL, or start it again.

        Args:
            target: ``SITE/NODE`` for a node's daemon; ``SITE`` or ``SITE/control`` for one of the
                control node; ``ic``, ``ic1`` for ``ic-db``.
            daemon: one of `daemons.NODE_DAEMONS`, `daemons.control_daemons` or ``ic-db``.
            heal: start it instead, if it does not run.

        Raises:
            LabError: there is no such daemon there, or it does not run.
        """
        faults.fault_daemon(self.lab, target, daemon, self.networks, heal=heal)

    def fault_ic_leader(self, which: str, *, heal: bool = False) -> str:
        """Kill the node that leads ``nb`` or ``sb``, or start all nodes that do not run.

        Returns:
            Name of the node that was killed, "" when healing.
        """
        if heal:
            faults.heal_ic_db(self.lab, self.lab.ic_nodes)
            return ""
        return faults.kill_ic_leader(self.lab, which).name

    def fault_path(self, one: str, other: str, *, heal: bool = False) -> None:
        """Drop everything between two places, silently and both ways; see `faults.fault_path`."""
        faults.fault_path(self.lab, one, other, heal=heal)

    def status(self) -> dict[str, Any]:
        """Describe the lab: sites, nodes, pods, addresses, namespaces, sockets and daemons."""
        return status.describe(self.lab, bare=self.state.bare)
