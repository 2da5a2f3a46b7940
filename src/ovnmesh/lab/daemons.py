"""Starts a lab's daemons, and finds them again.

Called by `runner` and `faults`. Every daemon runs in a namespace of the lab, and is found by being
there: no list of process ids can go stale. Knows command lines, not when to run them.
"""

import shutil
import subprocess
import sys
from collections.abc import Iterable
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

from ovnmesh import ovn_keys as keys
from ovnmesh.errors import IcDbError, LabError
from ovnmesh.host.process import appctl, command_line, run, spawn, wait_until_serving
from ovnmesh.host.programs import program, schema_file
from ovnmesh.icdb.database import files as icdb_files
from ovnmesh.icdb.database import raft_status as icdb_status
from ovnmesh.lab.kubernetes import apiserver
from ovnmesh.lab.network import netns
from ovnmesh.lab.values.openstack_shape import APPLICATIONS, MARIADB
from ovnmesh.lab.values.topology import IcNode, Lab, Node, Pod, Site
from ovnmesh.model.remote import ptcp_method, tcp_method

NB_PORT = 6641
"""TCP port of a site's northbound database (ovn-ctl(8))."""
SB_PORT = 6642
"""TCP port of a site's southbound database (ovn-ctl(8))."""
METRICS_PORT = 9476
"""Port of the controller's metrics, in the control node's namespace."""

OVN_DAEMONS = ("ovs-vswitchd", "ovsdb-server", "ovn-controller")
NODE_DAEMONS = (*OVN_DAEMONS, "agent")
CONTROL_DAEMONS = ("nb", "sb", "ovn-northd", "controller", "ovn-ic")
IC_DAEMONS = ("ic-db",)

_CUT_PRIORITY = 1000
"""Priority of the OpenFlow rules that cut a path; br-phy's own rule has 0."""
_DATA_PATH_PRIORITY = "-10"
"""Niceness of ovs-vswitchd, relative to who starts it."""
_NEIGHBOUR_AGING_S = 3600
"""The longest time OVS keeps a tunnel's neighbour (lib/tnl-neigh-cache.c)."""
_TOOLS = ("nsenter", "ping")
_OVN_TOOLS = (
    *("ovsdb-server", "ovsdb-tool", "ovs-vswitchd", "ovs-vsctl", "ovs-appctl"),
    *("ovn-controller", "ovn-northd", "ovn-nbctl", "ovn-sbctl", "ovn-ic"),
)


def check_tools() -> None:
    """Check that what a lab runs is installed.

    Raises:
        LabError: names what is missing.
    """
    wanted = [*_TOOLS, *map(program, _OVN_TOOLS)]
    missing = [tool for tool in wanted if shutil.which(tool) is None]
    if missing:
        raise LabError(
            f"not installed: {', '.join(missing)}; on Debian: apt-get install openvswitch-switch "
            "ovn-central ovn-host ovn-ic iproute2 iputils-ping util-linux"
        )


def control_daemons(site: Site) -> tuple[str, ...]:
    """Daemons of a site's control node."""
    if site.openstack:
        return (*CONTROL_DAEMONS, *site.openstack.daemons)
    return (*CONTROL_DAEMONS, *apiserver.DAEMONS) if site.api_address else CONTROL_DAEMONS


def _start_ovsdb(
    name: str, directory: Path, where: str, remotes: Iterable[str], schema: Path
) -> None:
    """Start an ovsdb-server on ``NAME.db``; its database is made if there is none."""
    database = directory / f"{name}.db"
    if not database.exists():
        run([program("ovsdb-tool"), "create", str(database), str(schema)], netns=where)
    # Detached daemons return when they are ready (ovs daemon(7)).
    run(
        [
            *(program("ovsdb-server"), *_daemon_options(name, directory)),
            f"--unixctl={directory / f'{name}.ctl'}",
            *(f"--remote={remote}" for remote in remotes),
            str(database),
        ],
        netns=where,
    )


def _daemon_options(name: str, directory: Path) -> list[str]:
    return [
        *("--detach", "--no-chdir", "-vconsole:off", "-vsyslog:off"),
        f"--pidfile={directory / f'{name}.pid'}",
        f"--log-file={directory / f'{name}.log'}",
    ]


def start_nb(site: Site) -> None:
    """Start a site's northbound database."""
    _start_site_db(site, "nb", NB_PORT)


def start_sb(site: Site) -> None:
    """Start a site's southbound database."""
    _start_site_db(site, "sb", SB_PORT)


def _start_site_db(site: Site, name: str, port: int) -> None:
    remotes = (f"punix:{site.directory / f'{name}.sock'}", ptcp_method(port))
    schema = schema_file(f"ovn-{name}")
    _start_ovsdb(name, site.directory, site.control_netns, remotes, schema)


def start_northd(site: Site) -> None:
    """Start a site's ovn-northd."""
    run(
        [
            *(program("ovn-northd"), *_daemon_options("ovn-northd", site.directory)),
            f"--unixctl={site.directory / 'ovn-northd.ctl'}",
            *(f"--ovnnb-db={site.nb}", f"--ovnsb-db={site.sb}"),
        ],
        netns=site.control_netns,
    )


def start_node_db(node: Node) -> None:
    """Start a node's Open_vSwitch database."""
    remotes = (f"punix:{node.db_socket}",)
    schema = schema_file("vswitch")
    _start_ovsdb("ovsdb-server", node.directory, node.netns, remotes, schema)


def configure_vswitch(site: Site, node: Node, pods: Iterable[Pod]) -> None:
    """Write a new node's bridges, ports and identity to its database, in one transaction."""
    identity = {
        "system-id": node.system_id,
        "hostname": node.name,
        "ovn-remote": tcp_method(site.control_address.ip, SB_PORT),
        "ovn-encap-type": "geneve",
        "ovn-encap-ip": str(node.address.ip),
        "ovn-bridge": "br-int",
        "ovn-bridge-datapath-type": "netdev",
        "ovn-monitor-all": "true",
    }
    if site.openstack and node.name in site.gw_nodes:
        identity[keys.CMS_OPTIONS] = keys.ENABLE_AS_GATEWAY
    ovn0 = (
        *("--", "add-port", "br-int", "ovn0"),
        *("--", "set", "Interface", "ovn0", "type=internal", f'mac="{node.join_mac}"'),
        f"external_ids:iface-id={node.port}",
    )
    vsctl(
        node,
        "--no-wait",
        *("set", "Open_vSwitch", "."),
        *(f'external_ids:{key}="{value}"' for key, value in identity.items()),
        # One thread of each kind: a lab has more nodes than the machine has processors.
        *("other_config:n-handler-threads=1", "other_config:n-revalidator-threads=1"),
        *("--", "add-br", "br-int"),
        *("--", "set", "Bridge", "br-int", "datapath_type=netdev", "fail_mode=secure"),
        *("--", "add-br", "br-phy"),
        *("--", "set", "Bridge", "br-phy", "datapath_type=netdev"),
        f'other_config:hwaddr="{node.mac}"',
        *("--", "add-port", "br-phy", "eth0"),
        *(ovn0 if node.join_addresses else ()),
        *(word for pod in pods for word in ("--", *pod_port_words(pod))),
    )


def pod_port_words(pod: Pod, port: str = "") -> tuple[str, ...]:
    """Arguments of ovs-vsctl that connect a pod's link to br-int.

    Args:
        pod: the pod.
        port: its logical switch port, if that is not named as Kube-OVN does.
    """
    return (
        *("--may-exist", "add-port", "br-int", pod.host_ifname),
        *("--", "set", "Interface", pod.host_ifname, f"external_ids:iface-id={port or pod.port}"),
        f"external_ids:pod_name={pod.name}",
        f'external_ids:attached-mac="{pod.mac}"',
    )


def vsctl(node: Node, *words: str) -> str:
    """Run ovs-vsctl on a node's database."""
    argv = [program("ovs-vsctl"), f"--db=unix:{node.db_socket}", "--timeout=20", *words]
    return run(argv, netns=node.netns)


def nbctl(site: Site, *words: str) -> str:
    """Run ovn-nbctl on a site's database."""
    return _ctl(site, "ovn-nbctl", f"--db={site.nb}", *words)


def sbctl(site: Site, *words: str) -> str:
    """Run ovn-sbctl on a site's database."""
    return _ctl(site, "ovn-sbctl", f"--db={site.sb}", *words)


def _ctl(site: Site, tool: str, *words: str) -> str:
    # In the namespace only so that it is found, and ended, with the lab.
    return run([program(tool), "--timeout=60", *words], netns=site.control_netns, timeout_s=70)


def start_vswitchd(node: Node) -> None:
    """Start a node's ovs-vswitchd with the userspace datapath only.

    It comes before whatever else wants a processor: a real node has some for its data path, and all
    nodes of a lab share those of one machine. Where that is not permitted, it runs like the others.
    """
    run(
        [
            *("nice", "-n", _DATA_PATH_PRIORITY),
            *(program("ovs-vswitchd"), f"unix:{node.db_socket}", "--disable-system"),
            *_daemon_options("ovs-vswitchd", node.directory),
            f"--unixctl={node.directory / 'ovs-vswitchd.ctl'}",
        ],
        netns=node.netns,
        env=_directories(node),
    )
    # Where the kernel shares processors among sessions, niceness counts only within one (sched(7)).
    with suppress(OSError):
        pid = (node.directory / "ovs-vswitchd.pid").read_text().strip()
        Path(f"/proc/{pid}/autogroup").write_text(_DATA_PATH_PRIORITY)


def prefill_neighbours(site: Site, node: Node) -> None:
    """Tell a node's datapath the neighbours its tunnels need.

    The userspace datapath drops the packet that misses its cache of tunnel neighbours, which would
    cost the first packet of every pair of nodes (OVS, lib/tnl-neigh-cache.c).
    """
    control = node.directory / "ovs-vswitchd.ctl"
    appctl(control, "tnl/neigh/aging", str(_NEIGHBOUR_AGING_S))
    neighbours = [(site.router_address, site.router_mac)]
    neighbours += [(other.address, other.mac) for other in site.nodes if other != node]
    for address, mac in neighbours:
        appctl(control, "tnl/arp/set", "br-phy", str(address.ip), mac)


def set_path(node: Node, peer: Node, *, up: bool) -> None:
    """Have a node drop all that comes from another one of its wire, or no longer.

    Args:
        node: the node that drops.
        peer: the other node.
        up: stop dropping.
    """
    bridge = f"unix:{node.directory / 'br-phy.mgmt'}"
    match = f"ip,in_port=eth0,nw_src={peer.address.ip}"
    if up:
        words = ["--strict", "del-flows", bridge, f"priority={_CUT_PRIORITY},{match}"]
    else:
        words = ["add-flow", bridge, f"priority={_CUT_PRIORITY},{match},actions=drop"]
    run([program("ovs-ofctl"), *words], netns=node.netns, env=_directories(node))


def start_ovn_controller(node: Node) -> None:
    """Start a node's ovn-controller."""
    run(
        [
            *(program("ovn-controller"), f"unix:{node.db_socket}"),
            *_daemon_options("ovn-controller", node.directory),
        ],
        netns=node.netns,
        env=_directories(node),
    )


def _directories(node: Node) -> dict[str, str]:
    """Variables that move a node's sockets; ovn-controller has no option for it."""
    names = ("OVS_RUNDIR", "OVN_RUNDIR", "OVS_LOGDIR", "OVN_LOGDIR", "OVS_DBDIR")
    return dict.fromkeys(names, str(node.directory))


def start_ic_db(lab: Lab, node: IcNode) -> "subprocess.Popen[bytes]":
    """Start a node of the interconnection databases, by the command that production runs."""
    for folder in (node.data_directory, node.run_directory):
        folder.mkdir(parents=True, exist_ok=True)
    # What a killed one has left; its successor writes it again when it serves.
    _ready_file(node).unlink(missing_ok=True)
    words = ["ic-db", "--data-dir", str(node.data_directory), "--run-dir", str(node.run_directory)]
    words += ["--address", str(node.address.ip), "--ts-count", str(lab.ts_count)]
    if len(lab.ic_nodes) > 1:
        addresses = [str(other.address.ip) for other in lab.ic_nodes]
        words += ["--nodes", ",".join(addresses), "--leader", addresses[0]]
    return _spawn_ovnmesh([*words, "--protocol", lab.protocol], node.netns, node.directory)


def wait_ic_db(node: IcNode, child: "subprocess.Popen[bytes]") -> None:
    """Wait until a node of the interconnection databases serves.

    Args:
        node: the node.
        child: what `start_ic_db` returned.

    Raises:
        ProcessError: it does not; the end of its log is in the message.
    """
    log = node.directory / "ic-db.log"
    wait_until_serving(f"{node.name}: ic-db", _ready_file(node).exists, log, child, timeout_s=30)


def _ready_file(node: IcNode) -> Path:
    """The file that says that ic-db serves; a cluster's node removes it when it has no leader."""
    return node.run_directory / "ic-db.ready"


def find_ic_leader(lab: Lab, database: icdb_files.IcDatabase) -> IcNode | None:
    """The node whose server leads an interconnection database; None if none says so."""
    for node in lab.ic_nodes:
        with suppress(IcDbError):
            if icdb_status.read_status(node.run_directory, database).role == "leader":
                return node
    return None


def start_controller(site: Site) -> None:
    """Start a site's controller."""
    directory = site.directory / "controller"
    directory.mkdir(exist_ok=True)
    words = ["controller", "--nb", site.nb, "--sb", site.sb]
    if site.openstack:
        words += ["--openstack", str(site.openstack.site_file)]
    elif site.api_address:
        words += ["--kubernetes", "--kubeconfig", str(site.controller_kubeconfig)]
    else:
        words += ["--config", str(site.manifests)]
    words += ["--run-dir", str(directory), "--metrics-port", str(METRICS_PORT)]
    _spawn_ovnmesh(words, site.control_netns, directory)


def start_agent(node: Node) -> None:
    """Start a node's agent."""
    directory = node.directory / "agent"
    directory.mkdir(exist_ok=True)
    _spawn_ovnmesh(["agent", "--ovs", f"unix:{node.db_socket}"], node.netns, directory)


def _spawn_ovnmesh(words: list[str], where: str, directory: Path) -> "subprocess.Popen[bytes]":
    return spawn(
        [sys.executable, "-m", "ovnmesh", *words],
        log=directory / f"{words[0]}.log",
        netns=where,
        pidfile=directory / f"{words[0]}.pid",
    )


def find_daemon(where: str, daemon: str) -> tuple[int, ...]:
    """Find the processes of a daemon in a namespace.

    Args:
        where: the namespace.
        daemon: one of the names in `NODE_DAEMONS`, `control_daemons` or `IC_DAEMONS`.
    """
    return tuple(pid for pid in netns.processes([where]) if is_daemon(command_line(pid), daemon))


def is_daemon(argv: tuple[str, ...], daemon: str) -> bool:
    """Tell whether a command line is a daemon's; for the names see `find_daemon`."""
    if not argv:
        return False
    if daemon in ("nb", "sb"):
        return Path(argv[0]).name == "ovsdb-server" and argv[-1].endswith(f"/{daemon}.db")
    if daemon in ("controller", "agent", "ic-db"):
        return ("ovnmesh", daemon) in pairwise(argv)
    if daemon == "forward":
        return "ovnmesh.lab.network.forward" in argv
    if daemon == MARIADB:
        return Path(argv[0]).name == "mariadbd"
    if daemon in APPLICATIONS:
        return APPLICATIONS[daemon] in argv
    return Path(argv[0]).name == daemon
