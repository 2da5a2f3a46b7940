"""The documents' steps by hand, on a lab started with ``ovnmesh lab up --bare``.

The baseline of the benchmarks: what somebody with the documents and the command line of OVN
achieves, without ovnmesh's controller and agent. `connect` joins the sites and measures each step,
`disconnect` undoes it. Run as a script it does the former on a running lab, or with --undo the
latter:

    ovnmesh lab up --bare && python benchmarks/manual_steps.py
"""

import argparse
import json
import os
import time
from collections.abc import Callable
from pathlib import Path

from ovnmesh.host.process import run, terminate, wait_until
from ovnmesh.lab import daemons
from ovnmesh.lab.layout import mac_of
from ovnmesh.lab.logical import Command, join_commands
from ovnmesh.lab.manifests import IC_NB_PORT, IC_SB_PORT
from ovnmesh.lab.runner import LabRunner
from ovnmesh.lab.topology import IC_ADDRESS, ROUTER, Lab, Site

TS = "ts"
POLICY_PRIORITY = 29500
"""Kube-OVN's OvnICPolicyPriority: above the policies that send a pod's traffic out by its node."""


def connect(lab: Lab) -> dict[str, float]:
    """Join all sites of a bare lab and return the seconds each step took."""
    timings_s: dict[str, float] = {}
    begin = time.monotonic()

    def step(name: str, action: Callable[[Site], None]) -> None:
        began = time.monotonic()
        for site in lab.sites:
            action(site)
        timings_s[name] = time.monotonic() - began

    step("name the availability zones", _name_zone)
    step("mark the gateways", _mark_gateways)
    step("start ovn-ic", _start_ovn_ic)
    step("transit switches appear", _wait_transit_switch)
    step("create the ports", lambda site: _create_ports(lab, site))
    step("allow the remote networks", lambda site: _allow_remotes(lab, site))
    step("remote routes appear", lambda site: _wait_routes(lab, site))
    began = time.monotonic()
    source = lab.sites[0].pods[0]
    for site in lab.sites[1:]:
        address = str(site.pods[0].addresses[0].ip)
        wait_until(
            lambda address=address: _answers(source.netns, address),
            f"{address} answers",
            timeout_s=30,
        )
    timings_s["first answer"] = time.monotonic() - began
    timings_s["total"] = time.monotonic() - begin
    return timings_s


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
        for pid in daemons.find_daemon(site.control_netns, "ovn-ic"):
            terminate(pid, "ovn-ic")
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


def _name_zone(site: Site) -> None:
    daemons.nbctl(site, "set", "NB_Global", ".", f"name={site.name}")


def _mark_gateways(site: Site) -> None:
    for name in site.gw_nodes:
        daemons.vsctl(
            site.node(name), "set", "Open_vSwitch", ".", "external_ids:ovn-is-interconn=true"
        )


def _start_ovn_ic(site: Site) -> None:
    run(
        [
            *("ovn-ic", "--detach", "--no-chdir", "-vconsole:off", "-vsyslog:off"),
            f"--pidfile={site.directory / 'ovn-ic.pid'}",
            f"--log-file={site.directory / 'ovn-ic.log'}",
            f"--unixctl={site.directory / 'ovn-ic.ctl'}",
            *(f"--ovnnb-db={site.nb}", f"--ovnsb-db={site.sb}"),
            f"--ic-nb-db=tcp:{IC_ADDRESS.ip}:{IC_NB_PORT}",
            f"--ic-sb-db=tcp:{IC_ADDRESS.ip}:{IC_SB_PORT}",
        ],
        netns=site.control_netns,
    )


def _wait_transit_switch(site: Site) -> None:
    daemons.nbctl(site, "wait-until", "Logical_Switch", TS)


def _create_ports(lab: Lab, site: Site) -> None:
    number = lab.sites.index(site) + 1
    lrp, lsp = _lrp(site), _lsp(site)
    commands: list[Command] = [
        ["lrp-add", ROUTER, lrp, mac_of(site.name, lrp), f"169.254.100.{number}/24"],
        ["lsp-add", TS, lsp, "--", "lsp-set-type", lsp, "router"],
        ["lsp-set-addresses", lsp, "router", "--", "lsp-set-options", lsp, f"router-port={lrp}"],
    ]
    for index, name in enumerate(site.gw_nodes):
        chassis = site.node(name).system_id
        commands.append(["lrp-set-gateway-chassis", lrp, chassis, str(100 - index)])
    commands.append(
        ["set", "NB_Global", ".", "options:ic-route-adv=true", "options:ic-route-learn=true"]
    )
    daemons.nbctl(site, *join_commands(commands))


def _allow_remotes(lab: Lab, site: Site) -> None:
    commands: list[Command] = [
        [
            *("lr-policy-add", ROUTER, str(POLICY_PRIORITY)),
            *(f"ip{cidr.version}.dst == {cidr}", "allow"),
        ]
        for other in lab.sites
        if other != site
        for cidr in (*other.ovn_default.cidrs, *other.join.cidrs)
    ]
    daemons.nbctl(site, *join_commands(commands))


def _wait_routes(lab: Lab, site: Site) -> None:
    wanted = [str(cidr) for other in lab.sites if other != site for cidr in other.ovn_default.cidrs]

    def learned() -> bool:
        routes = daemons.nbctl(site, "lr-route-list", ROUTER).split()
        return all(cidr in routes for cidr in wanted)

    wait_until(learned, f"site {site.name}: has learned {', '.join(wanted)}", timeout_s=20)
    daemons.nbctl(site, "--wait=hv", "sync")


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


def _answers(netns: str, address: str) -> bool:
    return " 0% packet loss" in run(["sh", "-c", f"ping -n -c1 -W1 {address} || true"], netns=netns)


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
        print(json.dumps(connect(lab), indent=2))


if __name__ == "__main__":
    main()
