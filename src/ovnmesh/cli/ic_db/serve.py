"""The command ``ovnmesh ic-db``: the documents' Interconnection Controller.

Only hands flags and environment on; imports
what it needs when it runs, so that other commands start fast.
"""

import os
from pathlib import Path
from typing import Annotated

import typer

EXAMPLES = """Examples:

ovnmesh ic-db --address 192.168.65.3 --ts-count 2

ovnmesh ic-db --address 192.168.65.2 --nodes 192.168.65.1,192.168.65.2,192.168.65.3
--leader 192.168.65.1
"""

# Where Kube-OVN keeps the files (`-v /etc/ovn/:/etc/ovn` in the documents).
_DATA_DIR = Path("/etc/ovn")
# Where OVN's tools look for the sockets (OVN_RUNDIR, ovn-ctl(8)).
_RUN_DIR = Path("/run/ovn")


def serve(
    ctx: typer.Context,
    data_dir: Annotated[
        Path, typer.Option(help="Folder of the database files; made if missing.", resolve_path=True)
    ] = _DATA_DIR,
    run_dir: Annotated[
        Path, typer.Option(help="Folder of sockets, pid files and ic-db.ready.", resolve_path=True)
    ] = _RUN_DIR,
    log_dir: Annotated[
        Path | None,
        typer.Option(help="Folder of the servers' log files; default: none.", resolve_path=True),
    ] = None,
    address: Annotated[
        str | None,
        typer.Option(
            metavar="IP", help="Address to listen on (environment: LOCAL_IP; default: ::)."
        ),
    ] = None,
    nb_port: Annotated[
        str | None, typer.Option(metavar="PORT", help="TCP port of IC-NB (default: 6645).")
    ] = None,
    sb_port: Annotated[
        str | None, typer.Option(metavar="PORT", help="TCP port of IC-SB (default: 6646).")
    ] = None,
    nodes: Annotated[
        str | None,
        typer.Option(
            metavar="IP,IP,IP",
            help="Addresses of all nodes of the cluster, this one among them (environment: "
            "NODE_IPS; default: none, serve alone).",
        ),
    ] = None,
    leader: Annotated[
        str | None,
        typer.Option(
            metavar="IP",
            help="Address of the node that founds the cluster (environment: LEADER_IP; default: "
            "this one).",
        ),
    ] = None,
    nb_raft_port: Annotated[
        str | None,
        typer.Option(
            metavar="PORT", help="TCP port by which the nodes replicate IC-NB (default: 6647)."
        ),
    ] = None,
    sb_raft_port: Annotated[
        str | None,
        typer.Option(
            metavar="PORT", help="TCP port by which the nodes replicate IC-SB (default: 6648)."
        ),
    ] = None,
    election_timer: Annotated[
        str | None,
        typer.Option(
            metavar="MS",
            help="Milliseconds until a silent leader is replaced; counts when this node founds "
            "the cluster (default: 500).",
        ),
    ] = None,
    ts_name: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Name of the first transit switch; the others append 1, 2, ... (environment: "
            "TS_NAME; default: ts).",
        ),
    ] = None,
    ts_count: Annotated[
        str | None,
        typer.Option(
            metavar="N", help="Number of transit switches (environment: TS_NUM; default: 1)."
        ),
    ] = None,
    ts_cidr: Annotated[
        str | None,
        typer.Option(
            metavar="CIDR[,CIDR]",
            help="Subnet of the first transit switch; the others take the next ones "
            "(environment: TS_CIDR; default: 169.254.100.0/24 and/or fd00:a9fe:64::/112).",
        ),
    ] = None,
    protocol: Annotated[
        str | None,
        typer.Option(
            metavar="ipv4|ipv6|dual",
            help="Protocols of the transit switches (environment: PROTOCOL; default: ipv4).",
        ),
    ] = None,
) -> None:
    """Serve the interconnection databases (IC-NB, IC-SB), and make the transit switches.

    It runs in the foreground. With --nodes this node is a member of a RAFT cluster. The commands
    below look after databases that are served on this node.

    The exit status is 0 after SIGTERM or SIGINT, 1 if the databases cannot be served or a server
    died, 2 if a flag or environment variable is wrong.
    """
    if ctx.invoked_subcommand is not None:
        ctx.obj = run_dir
        return
    import logging

    from ovnmesh.icdb.serve import server
    from ovnmesh.icdb.settings import Folders, parse_settings

    style = "%(asctime)s %(levelname)s %(name)s: %(message)s"
    logging.basicConfig(level=logging.INFO, format=style)
    flags = {
        "address": address,
        "nb-port": nb_port,
        "sb-port": sb_port,
        "nodes": nodes,
        "leader": leader,
        "nb-raft-port": nb_raft_port,
        "sb-raft-port": sb_raft_port,
        "election-timer": election_timer,
        "ts-name": ts_name,
        "ts-count": ts_count,
        "ts-cidr": ts_cidr,
        "protocol": protocol,
    }
    server.serve(parse_settings(flags, os.environ, Folders(data_dir, run_dir, log_dir)))
