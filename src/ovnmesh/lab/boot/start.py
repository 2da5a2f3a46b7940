"""Starts everything of a new lab, in an order that wastes no time.

Called by `runner`, whose business is cleaning up if this fails. Links are made one after the other
(a few milliseconds each); daemons start side by side, because each mostly waits.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

from ovnmesh.errors import LabError, ProcessError
from ovnmesh.host.process import run
from ovnmesh.lab import daemons
from ovnmesh.lab.boot import outside as external
from ovnmesh.lab.kubernetes import apiserver, manifests
from ovnmesh.lab.network import wiring as network
from ovnmesh.lab.openstack import site as openstack
from ovnmesh.lab.openstack.install import Installation
from ovnmesh.lab.state import save_sites
from ovnmesh.lab.values import external_gateway, logical
from ovnmesh.lab.values.layout import first_subnets
from ovnmesh.lab.values.topology import Lab, Node, Pod, Site

Progress = Callable[[str], None]
"""Told the name of each phase as it begins."""

_WORKERS = 8
_CONNECT_TIMEOUT_S = 60.0


def start(
    lab: Lab, installation: Installation | None, *, bare: bool, progress: Progress
) -> dict[str, float]:
    """Start a lab whose run directory is claimed.

    Args:
        lab: the lab.
        installation: what OpenStack sites run; None if there are none.
        bare: start OVN and the interconnection databases only, no controllers and agents.
        progress: told the name of each phase as it begins.

    Returns:
        Seconds each phase took.

    Raises:
        LabError: the kernel refused something, or the sites did not connect.
        ProcessError: a daemon did not start.
    """
    timings_s: dict[str, float] = {}

    @contextmanager
    def phase(name: str) -> Iterator[None]:
        progress(name)
        began = time.monotonic()
        yield
        timings_s[name] = time.monotonic() - began

    with phase("namespaces and links"):
        _build(lab)
    clouds = [site for site in lab.sites if site.openstack]
    if installation and clouds:
        with phase("MariaDB"):
            for site in clouds:
                openstack.write_files(site, installation)
                openstack.start_databases(site)
            openstack.write_clouds(clouds)
    # These need longest, and mostly wait.
    api_servers = [(site, apiserver.start(site)) for site in lab.sites if site.api_address]
    with phase("databases and switches"):
        ic_dbs = [(node, daemons.start_ic_db(lab, node)) for node in lab.ic_nodes]
        _side_by_side(
            [
                *((_start_control, site) for site in lab.sites),
                *((_start_switch, site, node) for site in lab.sites for node in site.nodes),
            ]
        )
        _side_by_side((openstack.start_apis, site) for site in clouds)
        for ic_node, ic_db in ic_dbs:
            daemons.wait_ic_db(ic_node, ic_db)
    with phase("nodes join their sites"):
        nodes = [node for site in lab.sites for node in site.nodes]
        gateways = {name for site in lab.sites for name in site.gw_nodes}
        _side_by_side((daemons.start_ovn_controller, node) for node in nodes)
        _side_by_side((_wait_site, site) for site in lab.sites)
    if api_servers:
        with phase("API servers"):
            _side_by_side((apiserver.wait_ready, *server) for server in api_servers)
            _load_apis([site for site, _ in api_servers])
    if clouds:
        with phase("Neutron, routers and VMs"):
            _side_by_side((openstack.populate, site) for site in clouds)
            # Now the routers' names are known.
            save_sites(lab)
    if not bare:
        with phase("sites connect"):
            for site in lab.sites:
                daemons.start_controller(site)
            # Gateways first: the others' agents compete for processors and mark nothing.
            for node in sorted(nodes, key=lambda node: node.name not in gateways):
                daemons.start_agent(node)
            _wait_connected(lab)
    return timings_s


def _build(lab: Lab) -> None:
    for site in lab.sites:
        for node in site.nodes:
            node.directory.mkdir(parents=True)
        if site.openstack:
            continue
        if site.api_address:
            apiserver.write_files(site)
        else:
            manifests.write_first_manifests(site)
    save_sites(lab)
    network.make_namespaces(lab)
    network.make_underlay(lab)
    external.make_outside(lab)
    for site in lab.sites:
        subnets = {subnet.name: subnet for subnet in first_subnets(site)}
        for pod in site.pods:
            network.make_pod_link(site, pod, subnets[pod.subnet])


def _load_apis(sites: Iterable[Site]) -> None:
    # Labs without API servers do without the time that its client needs to be imported.
    from ovnmesh.lab.kubernetes import api_objects as kubernetes

    # Not side by side: msgspec, which the client uses, crashes the process if two threads use a
    # type for the first time at once (seen with 0.22: segmentation fault in convert).
    for site in sites:
        kubernetes.load_first_objects(site)


def _start_control(site: Site) -> None:
    daemons.start_nb(site)
    daemons.start_sb(site)
    if not site.openstack:
        commands = logical.site_commands(site) + external_gateway.gateway_commands(site)
        daemons.nbctl(site, *logical.join_commands(commands))
    daemons.start_northd(site)


def _start_switch(site: Site, node: Node) -> None:
    daemons.start_node_db(node)
    # VMs are plugged when Neutron has made their ports.
    pods = [] if site.openstack else [pod for pod in site.pods if pod.node == node.name]
    daemons.configure_vswitch(site, node, pods)
    if site.external:
        external.configure_vswitch(node)
    daemons.start_vswitchd(node)
    network.configure_node(site, node, site.ovn_default.cidrs)
    daemons.prefill_neighbours(site, node)


def _wait_site(site: Site) -> None:
    """Wait until all nodes are chassis and all ports carry traffic."""
    words: list[str] = []
    for node in site.nodes:
        words += ["--", "wait-until", "Chassis", node.system_id]
    daemons.sbctl(site, *words[1:])
    if not site.openstack:
        words = []
        for port in [*(node.port for node in site.nodes), *(pod.port for pod in site.pods)]:
            words += ["--", "wait-until", "Logical_Switch_Port", port, "up=true"]
        daemons.nbctl(site, *words[1:])
    daemons.nbctl(site, "--wait=hv", "sync")


def _wait_connected(lab: Lab) -> None:
    """Wait until a pod of the first connected site reaches one of each other site.

    VMs ask instead of being asked: their security group lets answers in, and nothing else. Between
    two OpenStack sites neither is let in, so the routes must do.
    """
    connected = [site for site in lab.sites if site.enable_ic and site.auto_route and site.pods]
    for site in connected[1:]:
        source, target = (site, connected[0]) if site.openstack else (connected[0], site)
        if target.openstack:
            _wait_learned(source, target)
            _wait_learned(target, source)
        else:
            _wait_reachable(source.pods[0], target.pods[0])


def _wait_learned(site: Site, other: Site) -> None:
    """Wait until a site's nodes have a route to the first network of another."""
    prefix = f'ip_prefix="{other.ovn_default.cidrs[0]}"'
    daemons.nbctl(site, "wait-until", "Logical_Router_Static_Route", prefix)
    daemons.nbctl(site, "--wait=hv", "sync")


def _wait_reachable(source: Pod, target: Pod) -> None:
    address = str(target.addresses[0].ip)
    deadline = time.monotonic() + _CONNECT_TIMEOUT_S
    while True:
        try:
            run(["ping", "-n", "-c1", "-W1", address], netns=source.netns)
        except ProcessError as error:
            if time.monotonic() >= deadline:
                raise LabError(
                    f"{source.site}/{source.name}: no answer from {target.site}/{target.name} "
                    f"({address}) after {_CONNECT_TIMEOUT_S:g} s; start the lab with --bare and "
                    "its controllers by hand to see why"
                ) from error
            time.sleep(0.05)
        else:
            return


def _side_by_side(calls: Iterable[tuple[Callable[..., None], *tuple[object, ...]]]) -> None:
    """Call functions in threads; the first error is raised once all have ended."""
    with ThreadPoolExecutor(_WORKERS) as pool:
        futures: list[Future[None]] = [pool.submit(call, *args) for call, *args in calls]
    for future in futures:
        future.result()
