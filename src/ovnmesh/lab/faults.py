"""Breaks a running lab on purpose, and heals it.

Called by `runner`. A fault is a real one: a link without carrier, a process killed with SIGKILL, a
path that drops packets without a word. Nothing is remembered: healing starts what does not run and
restores what is cut, so it can be done twice, or without a fault before.
"""

import signal
from collections.abc import Iterable, Sequence

from ovnmesh.errors import LabError
from ovnmesh.host import netns
from ovnmesh.host.process import (
    all_pids,
    command_line,
    in_netns,
    send_signal,
    wait_until,
)
from ovnmesh.lab import apiserver, daemons, network
from ovnmesh.lab.topology import Lab, Network, Node, Site

_GONE_TIMEOUT_S = 5.0


def fault_link(lab: Lab, node: Node, *, heal: bool = False) -> None:
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


def kill_ic_db(lab: Lab) -> None:
    """Kill the interconnection databases: ``ic-db`` first, so that it restarts none of them.

    Raises:
        LabError: they do not run.
    """
    _kill(lab.ic_netns, "ic-db")
    kill_all([lab.ic_netns])


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
    if daemon == "nb":
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


def heal_ic_db(lab: Lab) -> None:
    """Start the interconnection databases again, unless they run."""
    if not daemons.find_daemon(lab.ic_netns, "ic-db"):
        daemons.wait_ic_db(lab, daemons.start_ic_db(lab))


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
        lambda: not any(command_line(pid) for pid in pids),
        f"namespace {where}: {daemon} has ended",
        timeout_s=_GONE_TIMEOUT_S,
    )
