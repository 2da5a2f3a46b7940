"""The documents' steps by hand, without ovnmesh's controller and agent.

The baseline of the benchmarks: what somebody with the documents, a good script and the command line
of OVN achieves. `connect` joins the sites of a lab, `disconnect` undoes it. As a script it does so
on a running lab:

    ovnmesh lab up --bare && python -m benchmarks.manual_steps [--undo]
"""

import argparse
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ovnmesh.host.process import run, terminate, wait_until
from ovnmesh.lab import daemons
from ovnmesh.lab.kubernetes.manifests import IC_NB_PORT, IC_SB_PORT
from ovnmesh.lab.runner import LabRunner
from ovnmesh.lab.values.layout import mac_of
from ovnmesh.lab.values.logical import Command, join_commands
from ovnmesh.lab.values.topology import ROUTER, Lab, Site

TS = "ts"
POLICY_PRIORITY = 29500
"""Kube-OVN's OvnICPolicyPriority: above the policies that send a pod's traffic out by its node."""


def connect(lab: Lab, *, standby: bool = False) -> None:
    """Join all sites, as fast as an operator with a good script can: this is the floor.

    The documents' steps with nothing waited for that need not be, each database written once per
    stage, and the sites side by side. Returns when the last command has; routes and traffic follow.

    Args:
        lab: the lab.
        standby: also make the other nodes gateway chassis, of low priority.
    """
    with ThreadPoolExecutor(len(lab.sites)) as pool:
        for done in [pool.submit(_connect_site, lab, site, standby) for site in lab.sites]:
            done.result()


def _connect_site(lab: Lab, site: Site, standby: bool) -> None:
    for name in site.gw_nodes:
        daemons.vsctl(
            site.node(name), "set", "Open_vSwitch", ".", "external_ids:ovn-is-interconn=true"
        )
    options = ("options:ic-route-adv=true", "options:ic-route-learn=true")
    commands: list[Command] = [["set", "NB_Global", ".", f"name={site.name}", *options]]
    commands += _policy_commands(lab, site)
    daemons.nbctl(site, *join_commands(commands))
    start_ovn_ic(lab, site)
    # It waits for the switch that ovn-ic makes. The router port has to wait for the switch port's
    # tunnel key, or the gateway may keep a stale one and the site stays dark (docs/adr/0011).
    lsp = _lsp(site)
    commands = [
        ["wait-until", "Logical_Switch", TS],
        ["lsp-add", TS, lsp, "--", "lsp-set-type", lsp, "router"],
        ["lsp-set-addresses", lsp, "router"],
        ["lsp-set-options", lsp, f"router-port={_lrp(site)}"],
    ]
    daemons.nbctl(site, *join_commands(commands))
    key = "options:requested-tnl-key>0"
    commands = [["wait-until", "Logical_Switch_Port", lsp, key]]
    commands += _port_commands(lab, site, standby)
    daemons.nbctl(site, *join_commands(commands))


def disconnect(lab: Lab) -> None:
    """Part all sites again, in the order that leaves nothing behind."""
    for site in lab.sites:
        daemons.nbctl(
            site,
            "set",
            "NB_Global",
            ".",
            "options:ic-route-adv=false",
            "options:ic-route-learn=false",
        )
    for site in lab.sites:
        wait_until(
            lambda site=site: "learned" not in daemons.nbctl(site, "lr-route-list", ROUTER),
            f"site {site.name}: learned routes are gone",
            timeout_s=10,
        )
        commands: list[Command] = [
            ["lsp-del", _lsp(site)],
            ["lrp-del", _lrp(site)],
            ["lr-policy-del", ROUTER, str(POLICY_PRIORITY)],
        ]
        daemons.nbctl(site, *join_commands(commands))
        _wait_ic(lab, site, "Port_Binding", "no port left")
        for node in site.nodes:
            daemons.vsctl(node, "remove", "Open_vSwitch", ".", "external_ids", "ovn-is-interconn")
        _wait_ic(lab, site, "Gateway", "no gateway left")
        daemons.nbctl(site, "set", "NB_Global", ".", 'name=""')
        _wait_ic(lab, site, "Availability_Zone", "not registered any more")
        stop_ovn_ic(site)
        commands = [
            ["--if-exists", "ls-del", TS],
            ["remove", "NB_Global", ".", "options", "ic-route-adv", "ic-route-learn"],
        ]
        daemons.nbctl(site, *join_commands(commands))
        remote = daemons.sbctl(
            site, "--bare", "--columns=_uuid", "find", "Chassis", "other_config:is-remote=true"
        )
        for chassis in remote.split():
            daemons.sbctl(site, "destroy", "Chassis", chassis)


def start_ovn_ic(lab: Lab, site: Site) -> None:
    """Start a site's ovn-ic by hand, told of every node of the interconnection databases."""

    def remotes(port: int) -> str:
        return ",".join(f"tcp:{node.address.ip}:{port}" for node in lab.ic_nodes)

    run(
        [
            *("ovn-ic", "--detach", "--no-chdir", "-vconsole:off", "-vsyslog:off"),
            f"--pidfile={site.directory / 'ovn-ic.pid'}",
            f"--log-file={site.directory / 'ovn-ic.log'}",
            f"--unixctl={site.directory / 'ovn-ic.ctl'}",
            *(f"--ovnnb-db={site.nb}", f"--ovnsb-db={site.sb}"),
            *(f"--ic-nb-db={remotes(IC_NB_PORT)}", f"--ic-sb-db={remotes(IC_SB_PORT)}"),
        ],
        netns=site.control_netns,
    )


def stop_ovn_ic(site: Site) -> None:
    """End a site's ovn-ic."""
    for pid in daemons.find_daemon(site.control_netns, "ovn-ic"):
        terminate(pid, "ovn-ic")


def _port_commands(lab: Lab, site: Site, standby: bool) -> list[Command]:
    number = lab.sites.index(site) + 1
    lrp = _lrp(site)
    commands: list[Command] = [
        ["lrp-add", ROUTER, lrp, mac_of(site.name, lrp), f"169.254.100.{number}/24"],
    ]
    for index, name in enumerate(site.gw_nodes):
        chassis = site.node(name).system_id
        commands.append(["lrp-set-gateway-chassis", lrp, chassis, str(100 - index)])
    others = [node for node in site.nodes if node.name not in site.gw_nodes]
    for index, node in enumerate(others[:2] if standby else ()):
        commands.append(["lrp-set-gateway-chassis", lrp, node.system_id, str(2 - index)])
    return commands


def _policy_commands(lab: Lab, site: Site) -> list[Command]:
    return [
        [
            *("lr-policy-add", ROUTER, str(POLICY_PRIORITY)),
            *(f"ip{cidr.version}.dst == {cidr}", "allow"),
        ]
        for other in lab.sites
        if other != site
        for cidr in (*other.ovn_default.cidrs, *other.join.cidrs)
    ]


def _wait_ic(lab: Lab, site: Site, table: str, what: str) -> None:
    zone = ["--bare", "--columns=_uuid", "find", "Availability_Zone", f"name={site.name}"]

    def gone() -> bool:
        uuid = _icsb(lab, *zone).strip()
        if not uuid or table == "Availability_Zone":
            return not uuid
        return not _icsb(lab, "find", table, f"availability_zone={uuid}").strip()

    wait_until(gone, f"site {site.name}: {what} in the databases", timeout_s=10)


def _icsb(lab: Lab, *words: str) -> str:
    return run(["ovn-ic-sbctl", f"--db={lab.ic_sb}", "--timeout=10", *words])


def _lrp(site: Site) -> str:
    return f"{site.name}-{TS}"


def _lsp(site: Site) -> str:
    return f"{TS}-{site.name}"


def main() -> None:
    """Connect or part the sites of a running lab."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    default = os.environ.get("OVNMESH_LAB_DIR", "/run/ovnmesh-lab")
    parser.add_argument("--dir", type=Path, default=Path(default), help="the lab's run directory")
    parser.add_argument("--undo", action="store_true", help="part the sites again")
    arguments = parser.parse_args()
    lab = LabRunner.load(arguments.dir).lab
    if arguments.undo:
        disconnect(lab)
    else:
        connect(lab)


if __name__ == "__main__":
    main()
