"""Breaks a running lab on purpose, and heals it.

Called by `runner`. A fault is a real one: a link without carrier, a process killed with SIGKILL, a
path that drops packets without a word. Nothing is remembered: healing starts what does not run and
restores what is cut, so it can be done twice, or without a fault before.
"""

import os
import signal
import time
from collections.abc import Callable, Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from ovnmesh.errors import LabError
from ovnmesh.host.process import (
    all_pids,
    command_line,
    in_netns,
    send_signal,
    wait_until,
)
from ovnmesh.icdb.database import files as icdb_files
from ovnmesh.lab import daemons
from ovnmesh.lab.kubernetes import apiserver
from ovnmesh.lab.network import netns
from ovnmesh.lab.network import wiring as network
from ovnmesh.lab.openstack import site as openstack_site
from ovnmesh.lab.values.topology import IC_NETWORK, IcNode, Lab, Node, Site
from ovnmesh.model.addresses import Network

_GONE_TIMEOUT_S = 5.0
_ELECTION_TIMEOUT_S = 5.0


def fault_link(lab: Lab, node: Node | IcNode, *, heal: bool = False) -> None:
    """Take the carrier from a node's underlay link, or give it back."""
    network.set_node_link(lab, node, up=heal)


def fault_ic(lab: Lab, sites: tuple[Site, ...], *, heal: bool = False) -> None:
    """Cut sites' control nodes off the interconnection databases, or heal that."""
    for site in sites:
        network.set_ic_path(lab, site, up=heal)


def kill_node_daemon(node: Node, daemon: str) -> None:
    """Kill a daemon of a node with SIGKILL.

    Raises:
        LabError: it does not run.
    """
    _kill(node.netns, daemon)


def kill_control_daemon(site: Site, daemon: str) -> None:
    """Kill a daemon of a site's control node with SIGKILL.

    Raises:
        LabError: it does not run.
    """
    _kill(site.control_netns, daemon)


def fault_path(lab: Lab, one: str, other: str, *, heal: bool = False) -> None:
    """Drop everything between two places, both ways and silently, or heal that.

    Places on different wires are cut in the underlay router. Nodes of one site are cut by OpenFlow
    rules in both of them, which a restart of ovs-vswitchd takes away.

    Args:
        lab: the lab.
        one: ``SITE/NODE``, ``SITE/control``, ``SITE`` or a node of the databases.
        other: the same.
        heal: heal instead.

    Raises:
        LabError: there is no such place, or both are on a wire where they cannot be cut.
    """
    (wire, first), (other_wire, second) = _place(lab, one), _place(lab, other)
    if wire != other_wire:
        network.set_path(lab, first, second, up=heal)
        return
    for place in (one, other):
        if "/" not in place or place.endswith("/control") or one == other:
            raise LabError(
                f"{one} and {other}: on one wire, where only two nodes of a site can be cut off "
                "from each other; expected two nodes, or places on different wires; a node "
                "alone is cut off with: ovnmesh lab fault link"
            )
    site_name, name = one.split("/")
    site = lab.site(site_name)
    pair = (site.node(name), site.node(other.split("/")[1]))
    for node, peer in (pair, pair[::-1]):
        daemons.set_path(node, peer, up=heal)


def _place(lab: Lab, place: str) -> tuple[IPv4Network, IPv4Network]:
    """The wire of a place, and its own addresses."""
    ic_node = lab.ic_node(place)
    if ic_node is not None:
        return IC_NETWORK, _only(ic_node.address.ip)
    site_name, _, name = place.partition("/")
    site = lab.site(site_name)
    if not name:
        return site.underlay, site.underlay
    if name == "control":
        return site.underlay, _only(site.control_address.ip)
    return site.underlay, _only(site.node(name).address.ip)


def _only(address: IPv4Address) -> IPv4Network:
    return IPv4Network(f"{address}/32")


def kill_ic_node(node: IcNode) -> None:
    """Kill a node of the interconnection databases: ``ic-db`` first, so that it restarts nothing.

    Raises:
        LabError: it does not run.
    """
    _kill(node.netns, "ic-db")
    kill_all([node.netns])


def kill_ic_leader(lab: Lab, which: str) -> IcNode:
    """Kill the node that leads an interconnection database.

    Args:
        lab: the lab.
        which: ``nb`` or ``sb``.

    Returns:
        The node.

    Raises:
        LabError: nobody leads, for longer than an election takes.
    """
    database = {"nb": icdb_files.IC_NB, "sb": icdb_files.IC_SB}[which]
    deadline = time.monotonic() + _ELECTION_TIMEOUT_S
    while (leader := daemons.find_ic_leader(lab, database)) is None:
        if time.monotonic() >= deadline:
            raise LabError(
                f"{database.schema}: no node says that it leads; expected a cluster "
                "(ovnmesh lab up --ic-nodes 3) of which a majority runs; heal it with --heal"
            )
        time.sleep(0.05)
    kill_ic_node(leader)
    return leader


def fault_daemon(
    lab: Lab,
    target: str,
    daemon: str,
    networks: Callable[[Site], tuple[Network, ...]],
    *,
    heal: bool = False,
) -> None:
    """Kill a daemon with SIGKILL, or start it again; see `LabRunner.fault_kill`.

    Args:
        lab: the lab.
        target: ``SITE/NODE``, ``SITE``, ``SITE/control``, ``ic`` or a node of the databases.
        daemon: its daemon.
        networks: networks of a site's pods.
        heal: start it instead, if it does not run.

    Raises:
        LabError: there is no such daemon there, or it does not run.
    """
    ic_nodes = lab.ic_nodes if target == "ic" else tuple(filter(None, [lab.ic_node(target)]))
    if ic_nodes and daemon in daemons.IC_DAEMONS:
        if heal:
            heal_ic_db(lab, ic_nodes)
        else:
            for ic_node in ic_nodes:
                kill_ic_node(ic_node)
        return
    site_name, _, name = target.partition("/")
    site = lab.site(site_name)
    if daemon in daemons.control_daemons(site) and name in ("", "control"):
        if heal:
            heal_control_daemon(site, daemon)
        else:
            kill_control_daemon(site, daemon)
    elif daemon in daemons.NODE_DAEMONS and name not in ("", "control"):
        node = site.node(name)
        if heal:
            heal_node_daemon(site, node, daemon, networks(site))
        else:
            kill_node_daemon(node, daemon)
    else:
        raise LabError(
            f"{target}: no daemon {daemon!r}; expected SITE/NODE with one of "
            f"{', '.join(daemons.NODE_DAEMONS)}, SITE with one of "
            f"{', '.join(daemons.control_daemons(site))}, or "
            f"{', '.join(node.name for node in lab.ic_nodes)} with ic-db"
        )


def heal_node_daemon(site: Site, node: Node, daemon: str, networks: tuple[Network, ...]) -> None:
    """Start a daemon of a node again, unless it runs.

    Args:
        site: the node's site.
        node: the node.
        daemon: one of `daemons.NODE_DAEMONS`.
        networks: networks of the site's pods.
    """
    if daemons.find_daemon(node.netns, daemon):
        return
    if daemon == "ovsdb-server":
        daemons.start_node_db(node)
    elif daemon == "ovs-vswitchd":
        daemons.start_vswitchd(node)
        network.configure_node(site, node, networks)
        daemons.prefill_neighbours(site, node)
    elif daemon == "ovn-controller":
        daemons.start_ovn_controller(node)
    else:
        daemons.start_agent(node)


def heal_control_daemon(site: Site, daemon: str) -> None:
    """Start a daemon of a site's control node again, unless it runs.

    ``ovn-ic`` is the controller's child: the controller starts it again, the lab only waits.

    Raises:
        ProcessError: the controller does not start ovn-ic again.
    """
    if daemons.find_daemon(site.control_netns, daemon):
        return
    if site.openstack and daemon in site.openstack.daemons:
        openstack_site.heal(site, daemon)
    elif daemon == "nb":
        daemons.start_nb(site)
    elif daemon == "sb":
        daemons.start_sb(site)
    elif daemon == "ovn-northd":
        daemons.start_northd(site)
    elif daemon == "controller":
        daemons.start_controller(site)
    elif daemon == "etcd":
        apiserver.start_etcd(site)
    elif daemon == "kube-apiserver":
        apiserver.wait_ready(site, apiserver.start_kube_apiserver(site))
    elif daemon == "forward":
        apiserver.start_forward(site)
    else:
        wait_until(
            lambda: bool(daemons.find_daemon(site.control_netns, daemon)),
            f"site {site.name}: the controller has started {daemon} again",
            timeout_s=30,
        )


def heal_ic_db(lab: Lab, nodes: Sequence[IcNode]) -> None:
    """Start nodes of the interconnection databases again, unless they run.

    They serve as soon as a majority runs, and are waited for only then.
    """
    gone = [node for node in lab.ic_nodes if not daemons.find_daemon(node.netns, "ic-db")]
    started = [(node, daemons.start_ic_db(lab, node)) for node in nodes if node in gone]
    # Not looked for again: a process just started is not in its namespace yet.
    running = len(lab.ic_nodes) - len(gone) + len(started)
    if 2 * running > len(lab.ic_nodes):
        for node, child in started:
            daemons.wait_ic_db(node, child)


def kill_all(namespaces: Sequence[str]) -> int:
    """Kill every process that is in some namespaces, or about to enter one.

    Returns:
        How many were killed.

    Raises:
        ProcessError: some do not end.
    """
    killed: set[int] = set()

    def all_gone() -> bool:
        found = _members(namespaces, all_pids())
        for pid in found:
            if send_signal(pid, signal.SIGKILL, lambda pid: bool(_members(namespaces, [pid]))):
                killed.add(pid)
        return not found

    wait_until(all_gone, f"processes in {', '.join(namespaces)} have ended", timeout_s=20)
    return len(killed)


def _members(namespaces: Sequence[str], pids: Iterable[int]) -> set[int]:
    """Of some processes, those in the namespaces, and those nsenter has not moved there yet."""
    pids = tuple(pids)
    targets = {in_netns([], name)[1] for name in namespaces}
    entering = {pid for pid in pids if targets.intersection(command_line(pid)[1:2])}
    return entering.union(netns.processes(namespaces, pids))


def _kill(where: str, daemon: str) -> None:
    pids = daemons.find_daemon(where, daemon)
    if not pids:
        raise LabError(f"namespace {where}: {daemon} does not run; heal it first, with --heal")
    for pid in pids:
        send_signal(pid, signal.SIGKILL, lambda pid: bool(netns.processes([where], [pid])))
    wait_until(
        lambda: all(_has_let_go(pid) for pid in pids),
        f"namespace {where}: {daemon} has ended",
        timeout_s=_GONE_TIMEOUT_S,
    )


def _has_let_go(pid: int) -> bool:
    """Whether a killed process holds nothing any more: its last thread closes what it listened to.

    The process may still be there, as a zombie (proc(5)). That it has no command line any more is
    not enough: the kernel takes its memory first, then its files (kernel/exit.c, do_exit).
    """
    try:
        threads = os.listdir(f"/proc/{pid}/task")
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return True
    return len(threads) <= 1 and state == "Z"
