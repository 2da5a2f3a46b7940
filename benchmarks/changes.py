"""How long does each configuration change, and each death of a process, interrupt traffic?

10 ms ping trains in both directions between two sites, over each change; the figure is the longest
gap of both, so 0 means that nothing was lost. The peer's figures are quoted for comparison: they
were measured elsewhere, on a similar machine, not in this run.
"""

import shutil
import sys
import time
from collections.abc import Callable

from benchmarks.common import Report, say, spread, summary
from benchmarks.mesh import LOOK_S, BenchLab, bench_lab
from benchmarks.probe import Probe
from ovnmesh.host.process import command_line, read_pidfile, spawn, terminate, wait_until
from ovnmesh.host.process import run as run_command
from ovnmesh.lab import daemons
from ovnmesh.lab.values.topology import IC_ADDRESS, ROUTER

NEW_NB_PORT, NEW_SB_PORT = 16645, 16646
SETTLE_S = 0.5

PEER = {
    "gateway appended": "0 ms",
    "gateway removed, the last": "0 ms",
    "gateways reordered": "2.05 s (0.89-3.06)",
    "first gateway removed": "32 ms (0-52)",
    "az-name changed": "5.19 s (3.02-6.31)",
    "auto-route off and on, from on": "4.76 s (2.50-7.99)",
    "transit switch added": "4.29 s (1.63-6.72)",
    "transit switch removed": "2.78 s",
    "controller killed and restarted": "0 ms",
}
"""Kube-OVN's own controller, master of August 2026, two sites of three nodes: median (min-max)."""

Change = Callable[[BenchLab], float | None]
"""Makes a change and waits until it is done; returns the figure, or None: then it is the gap."""


def run(quick: bool) -> Report:
    """Measure.

    Args:
        quick: one round.
    """
    gaps: dict[str, list[float]] = {name: [] for name in CHANGES}
    with bench_lab(enable_ic=True) as lab:
        time.sleep(3)
        for number in range(1 if quick else 3):
            for name, change in CHANGES.items():
                PREPARE.get(name, _nothing)(lab)
                gaps[name].append(_measure(lab, change))
                RESTORE.get(name, _nothing)(lab)
                say(f"round {number + 1}: {name}: {gaps[name][-1]:.0f} ms")
    rows = [[name, spread(found, "ms"), PEER.get(name, "")] for name, found in gaps.items()]
    data: dict[str, object] = {name: summary(found) for name, found in gaps.items()}
    columns = ("change", "longest gap", "Kube-OVN's controller (measured elsewhere)")
    return Report((__doc__ or "").split("\n")[0], columns, rows, data)


def _nothing(lab: BenchLab) -> None:
    """Prepare and restore nothing."""


def _measure(lab: BenchLab, change: Change) -> float:
    """Longest gap of both trains in milliseconds, or what the change says itself."""
    one, two = (site.name for site in lab.sites)
    pairs = ((f"{one}/pod1", f"{two}/pod2"), (f"{two}/pod1", f"{one}/pod2"))
    trains = [lab.runner.ping_train(*pair) for pair in pairs]
    time.sleep(0.5)
    try:
        own_ms = change(lab)
        time.sleep(SETTLE_S)
    finally:
        results = [train.stop() for train in trains]
    lab.wait_joined()
    time.sleep(1)
    return max(result.longest_gap_ms for result in results) if own_ms is None else own_ms


def _marked(lab: BenchLab, node: str, value: str) -> None:
    site = lab.sites[0]
    words = ("--if-exists", "get", "Open_vSwitch", ".", "external_ids:ovn-is-interconn")
    wait_until(
        lambda: daemons.vsctl(site.node(node), *words).strip().strip('"') == value,
        f"{node}: ovn-is-interconn={value}",
        timeout_s=30,
        interval_s=LOOK_S,
    )


def _gateways(nodes: str, active: str) -> Change:
    """Set gw-nodes of the first site and wait until a node is active."""

    def change(lab: BenchLab) -> None:
        names = {node.name for node in lab.sites[0].nodes}
        lab.configure("az1", gw_nodes=nodes)
        lab.wait_active(lab.sites[0], active)
        for node in names:
            if node in nodes.split(","):
                _marked(lab, node, "true")
        lab.wait_joined()

    return change


def _rename(name: str) -> Change:
    def change(lab: BenchLab) -> None:
        lab.configure("az1", az_name=name)
        show = ["ovn-ic-sbctl", f"--db={lab.runner.lab.ic_sb}", "show"]
        wait_until(
            lambda: f"port ts-{name}\n" in f"{run_command(show)}\n",
            f"renamed to {name}",
            timeout_s=30,
            interval_s=LOOK_S,
        )
        lab.wait_joined()

    return change


def _auto_route(lab: BenchLab) -> float:
    """Milliseconds from auto-route "true" to the first reply: while it is off nothing passes."""
    lab.configure("az1", auto_route="false")
    wait_until(
        lambda: "learned" not in daemons.nbctl(lab.sites[0], "lr-route-list", ROUTER),
        "routes withdrawn",
        timeout_s=30,
        interval_s=LOOK_S,
    )
    time.sleep(0.5)
    probe = Probe(*lab.endpoints)
    time.sleep(0.2)
    began = time.time()
    lab.configure("az1", auto_route="true")
    return (probe.first_reply(30) - began) * 1000


def _spread_out(lab: BenchLab) -> None:
    """Two switches, and two gateways at both sites: what active-active needs."""
    lab.ovnmesh("transit-switch", "add", "ts1")
    for site in lab.sites:
        lab.configure(site.name, gw_nodes=f"{site.name}-gw,{site.name}-n1")
    lab.wait_joined()


def _active_active(lab: BenchLab) -> None:
    _mode(lab, "active-active", "n1")


def _active_backup(lab: BenchLab) -> None:
    _mode(lab, "active-backup", "gw")


def _mode(lab: BenchLab, mode: str, second: str) -> None:
    for site in lab.sites:
        lab.configure(site.name, gateway_mode=mode)
    for site in lab.sites:
        wait_until(
            lambda site=site: lab.active_gateway(site, "ts1") == f"{site.name}-{second}",
            f"site {site.name}: ts1 on {second}",
            timeout_s=30,
            interval_s=LOOK_S,
        )


def _gather(lab: BenchLab) -> None:
    for site in lab.sites:
        lab.configure(site.name, gw_nodes=f"{site.name}-gw")
    lab.ovnmesh("transit-switch", "remove", "ts1")


def _ic_nbctl(lab: BenchLab, *words: str) -> None:
    run_command(["ovn-ic-nbctl", f"--db={lab.runner.lab.ic_nb}", *words])


def _add_raw(lab: BenchLab) -> None:
    subnet = "external_ids:subnet=169.254.101.0/24"
    _ic_nbctl(lab, "ts-add", "ts1", "--", "set", "Transit_Switch", "ts1", subnet)
    _wait_routes(lab, 2)


def _delete_raw(lab: BenchLab) -> None:
    _ic_nbctl(lab, "ts-del", "ts1")
    _wait_routes(lab, 1)


def _add_switch(lab: BenchLab) -> None:
    lab.ovnmesh("transit-switch", "add", "ts1")
    _wait_routes(lab, 2)


def _remove_switch(lab: BenchLab) -> None:
    lab.ovnmesh("transit-switch", "remove", "ts1")
    _wait_routes(lab, 1)


def _keys(**changes: str) -> Change:
    """Change keys at both sites, and wait until the controllers have done with them."""

    def change(lab: BenchLab) -> None:
        for site in lab.sites:
            lab.configure(site.name, **changes)
        time.sleep(1.5)
        lab.wait_joined()

    return change


def _wait_routes(lab: BenchLab, count: int) -> None:
    """Until both sites have the other's network that many times, over as many switches."""
    for site, other in (lab.sites, lab.sites[::-1]):
        prefix = str(other.ovn_default.cidrs[0])
        wait_until(
            lambda site=site, prefix=prefix: (
                daemons.nbctl(site, "lr-route-list", ROUTER).count(prefix) == count
            ),
            f"site {site.name}: {count} routes to {prefix}",
            timeout_s=30,
            interval_s=LOOK_S,
        )
    lab.wait_joined()


def _move_ic(lab: BenchLab) -> None:
    """To databases with the same content on other ports; moved back outside the measurement."""
    source, folder = lab.runner.lab.ic_directory / "data", lab.runner.directory / "ic2"
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "run").mkdir(parents=True)
    shutil.copytree(source, folder / "data", ignore=shutil.ignore_patterns("*.lock", ".*"))
    command = [sys.executable, "-m", "ovnmesh", "ic-db", "--data-dir", str(folder / "data")]
    command += ["--run-dir", str(folder / "run"), "--address", str(IC_ADDRESS.ip)]
    command += ["--nb-port", str(NEW_NB_PORT), "--sb-port", str(NEW_SB_PORT)]
    spawn(
        command,
        netns=lab.runner.lab.ic_netns,
        log=folder / "ic-db.log",
        pidfile=folder / "ic-db.pid",
    )
    wait_until((folder / "run" / "ic-db.ready").exists, "the second ic-db is ready", timeout_s=20)
    _use_ports(lab, NEW_NB_PORT, NEW_SB_PORT)


def _move_ic_back(lab: BenchLab) -> None:
    _use_ports(lab, 6645, 6646)
    pid = read_pidfile(lab.runner.directory / "ic2" / "ic-db.pid")
    if pid is not None:
        terminate(pid, str(NEW_SB_PORT))


def _use_ports(lab: BenchLab, nb_port: int, sb_port: int) -> None:
    for site in lab.sites:
        lab.configure(site.name, ic_nb_port=str(nb_port), ic_sb_port=str(sb_port))
    for site in lab.sites:
        wait_until(
            lambda site=site: any(
                f":{sb_port}" in " ".join(command_line(pid))
                for pid in daemons.find_daemon(site.control_netns, "ovn-ic")
            ),
            f"site {site.name}: ovn-ic uses port {sb_port}",
            timeout_s=30,
            interval_s=LOOK_S,
        )
    lab.wait_joined()


def _kill(target: str, daemon: str, away_s: float) -> Change:
    def change(lab: BenchLab) -> None:
        # A controller that was just killed has left "joined" behind, and its successor no ovn-ic.
        wait_until(
            lambda: bool(
                daemon != "ovn-ic"
                or daemons.find_daemon(lab.runner.lab.site(target).control_netns, daemon)
            ),
            f"{target}: {daemon} runs",
            timeout_s=30,
        )
        lab.runner.fault_kill(target, daemon)
        time.sleep(away_s)
        lab.runner.fault_kill(target, daemon, heal=True)
        lab.wait_joined()

    return change


CHANGES: dict[str, Change] = {
    "gateway appended": _gateways("az1-gw,az1-n1", "az1-gw"),
    "gateways reordered": _gateways("az1-n1,az1-gw", "az1-n1"),
    "first gateway removed": _gateways("az1-gw", "az1-gw"),
    "gateway appended again": _gateways("az1-gw,az1-n1", "az1-gw"),
    "gateway removed, the last": _gateways("az1-gw", "az1-gw"),
    "gateway replaced": _gateways("az1-n2", "az1-n2"),
    "gateway replaced, back": _gateways("az1-gw", "az1-gw"),
    "az-name changed": _rename("prod-east"),
    "az-name changed back": _rename("az1"),
    "auto-route off and on, from on": _auto_route,
    "transit switch added": _add_switch,
    "transit switch removed": _remove_switch,
    "transit switch added, ovn-ic-nbctl ts-add": _add_raw,
    "transit switch deleted, ovn-ic-nbctl ts-del": _delete_raw,
    "BFD timers 100 x 3 to 200 x 5, both sites": _keys(
        bfd_min_rx="200", bfd_min_tx="200", bfd_mult="5"
    ),
    "BFD timers back": _keys(bfd_min_rx="100", bfd_min_tx="100", bfd_mult="3"),
    "gateway-preempt on, both sites": _keys(gateway_preempt="true"),
    "gateway-preempt off": _keys(gateway_preempt="false"),
    "gateway-mtu off, both sites": _keys(gateway_mtu="off"),
    "gateway-mtu auto": _keys(gateway_mtu="auto"),
    "gateway-mode active-active, two switches, two gateways": _active_active,
    "gateway-mode active-backup again": _active_backup,
    "IC databases moved": _move_ic,
    "IC databases moved back": _move_ic_back,
    "controller killed and restarted": _kill("az1", "controller", 1.0),
    "ovn-ic killed, restarted by the controller": _kill("az1", "ovn-ic", 0.0),
    "agent of the active gateway killed and restarted": _kill("az1/az1-gw", "agent", 1.0),
    "ic-db killed and restarted": _kill("ic", "ic-db", 2.0),
}

PREPARE: dict[str, Callable[[BenchLab], None]] = {
    "gateway-mode active-active, two switches, two gateways": _spread_out,
}
"""What has to be there before a change, outside the measurement."""
RESTORE: dict[str, Callable[[BenchLab], None]] = {"gateway-mode active-backup again": _gather}
"""What is taken away after it."""
