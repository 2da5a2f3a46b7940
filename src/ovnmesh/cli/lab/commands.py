"""``ovnmesh lab``: sites of real OVN on one machine.

Called by `main`, which turns errors into messages and exit codes. Reads arguments, calls
`ovnmesh.lab`, prints; decides nothing about labs.
"""

import os
import shlex
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from ovnmesh.cli import output
from ovnmesh.cli.arguments import OutputForm
from ovnmesh.cli.lab.arguments import DIRECTORY, Directory, SiteName
from ovnmesh.cli.lab.faults import fault_app
from ovnmesh.cli.lab.nat import eip_app, snat_app
from ovnmesh.cli.lab.openstack import (
    Cache,
    Keystone,
    OpenStackNames,
    add_openstack,
    install_openstack,
)
from ovnmesh.cli.output import Output
from ovnmesh.errors import LabError
from ovnmesh.host.process import in_netns
from ovnmesh.lab.boot import teardown
from ovnmesh.lab.kubernetes.manifests import parse_manifests
from ovnmesh.lab.openstack import install
from ovnmesh.lab.ping import PingResult
from ovnmesh.lab.runner import LabRunner
from ovnmesh.lab.values.spec import LabSpec, parse_spec_text, uniform_spec, with_external

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Build sites of real OVN on this machine, with network namespaces as nodes and pods.\n\n"
    "A lab needs root, Open vSwitch and OVN, but no kernel module. The exit status is 1 if a "
    "command failed or a ping was lost, 2 for wrong usage or input, or without root.",
    epilog="Example: ovnmesh lab up; ovnmesh lab ping az1/pod0 az2/pod0",
)
pod_app = typer.Typer(
    no_args_is_help=True,
    help="Add pods to a running lab, or delete them.",
    epilog="Example: ovnmesh lab pod delete az1/web",
)
app.add_typer(fault_app, name="fault")
app.add_typer(pod_app, name="pod")
app.command("install", epilog="Example: ovnmesh lab install --keystone")(install_openstack)
app.add_typer(snat_app, name="snat")
app.add_typer(eip_app, name="eip")

ManifestFile = Annotated[
    str,
    typer.Option(
        "--filename", "-f", metavar="FILE", help="File of manifests; '-' is standard input."
    ),
]


@app.callback()
def _need_root() -> None:
    if os.geteuid() != 0:
        words = shlex.join(sys.argv[1:])
        output.error(LabError(f"a lab needs root; run: sudo ovnmesh {words}"))
        raise typer.Exit(2)


@app.command(epilog="Example: ovnmesh lab up --sites 2 --nodes 3 --pods 1")
def up(
    sites: Annotated[int | None, typer.Option(min=0, help="Number of sites. [default: 2]")] = None,
    nodes: Annotated[
        int | None, typer.Option(min=1, help="Nodes of each site. [default: 3]")
    ] = None,
    pods: Annotated[int | None, typer.Option(min=0, help="Pods of each node. [default: 1]")] = None,
    ts_count: Annotated[
        int | None, typer.Option(min=1, help="Number of transit switches. [default: 1]")
    ] = None,
    protocol: Annotated[
        str | None, typer.Option(help="ipv4, ipv6 or dual. [default: ipv4]")
    ] = None,
    filename: Annotated[
        Path | None,
        typer.Option(
            "--filename", "-f", metavar="FILE", help="Topology in YAML, instead of counts."
        ),
    ] = None,
    ic_nodes: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Nodes of the interconnection databases; several form a cluster. [default: 1]",
        ),
    ] = None,
    bare: Annotated[
        bool,
        typer.Option("--bare", help="Start OVN and ic-db only, without controllers and agents."),
    ] = False,
    kubernetes: Annotated[
        bool,
        typer.Option(
            "--kubernetes",
            help="Give each site a Kubernetes API server, and configure the site by it.",
        ),
    ] = False,
    external: Annotated[
        bool,
        typer.Option("--external", help="Give each site an external network, for SNAT and EIP."),
    ] = False,
    openstack: OpenStackNames = None,
    keystone: Keystone = False,
    cache: Cache = install.CACHE,
    directory: Directory = DIRECTORY,
) -> None:
    """Start a lab and wait until its sites are connected."""
    given: dict[str, Any] = {
        "sites": sites,
        "nodes": nodes,
        "pods": pods,
        "ts_count": ts_count,
        "protocol": protocol,
        "ic_nodes": ic_nodes,
    }
    if filename is None:
        chosen = {name: value for name, value in given.items() if value is not None}
        spec = uniform_spec(**chosen)
    else:
        spec = _read_topology(filename, given)
    if kubernetes:
        spec = spec.model_copy(update={"kubernetes": True})
    if external:
        spec = with_external(spec)
    spec = add_openstack(spec, openstack, keystone=keystone)
    with output.progress("lab up") as step:
        runner = LabRunner.up(spec, directory, bare=bare, progress=step, cache=cache)
    total_s = sum(runner.timings_s.values())
    phases = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in runner.timings_s.items())
    output.stderr().print(f"lab {runner.directory} is up in {total_s:.1f} s: {phases}")


def _read_topology(filename: Path, given: dict[str, Any]) -> LabSpec:
    both = [f"--{name.replace('_', '-')}" for name, value in given.items() if value is not None]
    if both:
        raise typer.BadParameter(f"not with {', '.join(both)}: write that into {filename}")
    return parse_spec_text(_read(str(filename)), str(filename))


def _read(filename: str) -> str:
    try:
        return sys.stdin.read() if filename == "-" else Path(filename).read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise LabError(f"{filename}: cannot be read: {error}") from error


@app.command(epilog="Example: ovnmesh lab down")
def down(directory: Directory = DIRECTORY) -> None:
    """Remove a lab, or what is left of one: processes, namespaces, links and files."""
    removed = teardown.down(directory)
    if removed.namespaces or removed.directory:
        output.stderr().print(
            f"lab {directory} removed: {removed.processes} processes, "
            f"{removed.namespaces} namespaces"
        )
    else:
        output.stderr().print(f"no lab in {directory}: nothing to remove")


@app.command(epilog="Example: ovnmesh lab status -o json")
def status(form: OutputForm = Output.TABLE, directory: Directory = DIRECTORY) -> None:
    """Show sites, nodes and pods with their addresses and namespaces, and what is not running."""
    description = LabRunner.load(directory).status()
    if form is Output.JSON:
        output.emit_json(description)
        return
    rows: list[tuple[str, ...]] = []
    ic = description["ic"]
    for node in ic["nodes"]:
        state = _missing(node["daemons"], ())
        state += f", leads {' '.join(node['leads'])}" if node["leads"] else ""
        rows.append(("", node["name"], "", node["address"], node["netns"], state))
    outside = description["outside"]
    if outside["netns"]:
        rows.append(("", "outside", "", " ".join(outside["addresses"]), outside["netns"], ""))
    for site in description["sites"]:
        optional = ("controller", "ovn-ic", "agent") if description["bare"] else ()
        control = _missing(site["daemons"], optional)
        rows.append((site["name"], "control", "", site["address"], site["netns"], control))
        if site["kubeconfig"]:
            rows.append((site["name"], "kubeconfig", "", site["kubeconfig"], "", ""))
        if site["site_file"]:
            rows.append((site["name"], "site file", "", site["site_file"], "", ""))
        for node in site["nodes"]:
            addresses = " ".join([node["address"], *node["join_addresses"]])
            daemons = _missing(node["daemons"], optional)
            rows.append((site["name"], node["name"], "", addresses, node["netns"], daemons))
        for pod in site["pods"]:
            addresses = " ".join(pod["addresses"])
            rows.append((site["name"], pod["name"], pod["node"], addresses, pod["netns"], ""))
    columns = ("SITE", "NAME", "NODE", "ADDRESSES", "NAMESPACE", "DAEMONS")
    output.table(f"lab {description['directory']}", columns, rows)


def _missing(daemons: dict[str, list[int]], optional: tuple[str, ...]) -> str:
    gone = [name for name, pids in daemons.items() if not pids and name not in optional]
    return f"not running: {', '.join(gone)}" if gone else "running"


@app.command(
    "exec",
    context_settings={"ignore_unknown_options": True},
    epilog="Example: ovnmesh lab exec az1/pod0 -- ip addr",
)
def execute(
    target: Annotated[
        str,
        typer.Argument(
            help="Where: SITE/POD, SITE/NODE, SITE/control, ic (ic1, ...), router or outside."
        ),
    ],
    command: Annotated[list[str], typer.Argument(metavar="-- CMD...", help="Command to run.")],
    directory: Directory = DIRECTORY,
) -> None:
    """Run a command in the namespace of a pod, a node or another part of the lab."""
    argv = in_netns(command, LabRunner.load(directory).netns_of(target))
    os.execvp(argv[0], argv)


@app.command(epilog="Example: ovnmesh lab ping az1/pod0 az2/pod1 --count 100")
def ping(
    source: Annotated[str, typer.Argument(metavar="SRC", help="SITE/POD, SITE/NODE or outside.")],
    target: Annotated[str, typer.Argument(metavar="DST", help="The same, or an address.")],
    count: Annotated[int, typer.Option(min=1, help="Number of requests.")] = 10,
    interval_ms: Annotated[
        float, typer.Option(min=1, help="Milliseconds between two requests.")
    ] = 100,
    form: OutputForm = Output.TABLE,
    directory: Directory = DIRECTORY,
) -> None:
    """Ping, and count what is lost. The exit status is 1 if a packet was lost."""
    result = LabRunner.load(directory).ping(source, target, count, interval_ms)
    if form is Output.JSON:
        output.emit_json(_ping_data(result))
    else:
        output.stdout().print(
            f"{source} -> {target}: {result.sent} sent, {result.received} received, "
            f"longest gap {result.longest_gap_ms:g} ms"
        )
    if result.lost:
        raise typer.Exit(1)


def _ping_data(result: PingResult) -> dict[str, float]:
    return {
        "sent": result.sent,
        "received": result.received,
        "lost": result.lost,
        "longest_gap_ms": result.longest_gap_ms,
    }


@app.command(epilog="Example: ovnmesh lab apply az1 -f subnet.yaml")
def apply(site: SiteName, filename: ManifestFile, directory: Directory = DIRECTORY) -> None:
    """Apply manifests to a site. A Subnet becomes a switch, as Kube-OVN would make it."""
    documents = parse_manifests(_read(filename), filename)
    for line in LabRunner.load(directory).apply(site, documents) or ("unchanged",):
        output.stdout().print(line)


@app.command(epilog="Example: ovnmesh lab delete az1 -f subnet.yaml")
def delete(site: SiteName, filename: ManifestFile, directory: Directory = DIRECTORY) -> None:
    """Delete manifests from a site, and the switches of its Subnets."""
    documents = parse_manifests(_read(filename), filename)
    for line in LabRunner.load(directory).delete(site, documents) or ("nothing to delete",):
        output.stdout().print(line)


@app.command(epilog='Example: eval "$(ovnmesh lab env az1)"; ovn-nbctl show')
def env(site: SiteName, directory: Directory = DIRECTORY) -> None:
    """Print variables by which OVN's tools, kubectl and openstack find a site."""
    runner = LabRunner.load(directory)
    entry = runner.connections(site)
    for variable, key in (
        ("OVN_NB_DB", "nb"),
        ("OVN_SB_DB", "sb"),
        ("OVN_IC_NB_DB", "ic_nb"),
        ("OVN_IC_SB_DB", "ic_sb"),
    ):
        sys.stdout.write(f"export {variable}={shlex.quote(entry[key])}\n")
    at = runner.lab.site(site)
    if at.api_address:
        sys.stdout.write(f"export KUBECONFIG={shlex.quote(str(at.kubeconfig))}\n")
    if at.openstack:
        # As openstacksdk and the openstack client read them.
        clouds_yaml = shlex.quote(str(at.openstack.clouds_yaml))
        sys.stdout.write(f"export OS_CLIENT_CONFIG_FILE={clouds_yaml}\nexport OS_CLOUD={site}\n")


@pod_app.command("add", epilog="Example: ovnmesh lab pod add az1/web --node az1-n1 --subnet prod")
def pod_add(
    pod: Annotated[str, typer.Argument(metavar="SITE/POD", help="The new pod.")],
    node: Annotated[str, typer.Option(help="Node to run on.")],
    subnet: Annotated[
        str, typer.Option(help="Subnet that its addresses are from.")
    ] = "ovn-default",
    directory: Directory = DIRECTORY,
) -> None:
    """Add a pod to a node."""
    site, _, name = pod.partition("/")
    added = LabRunner.load(directory).add_pod(site, name, node, subnet)
    output.stdout().print(f"{pod} {' '.join(str(a.ip) for a in added.addresses)} {added.netns}")


@pod_app.command("delete", epilog="Example: ovnmesh lab pod delete az1/web")
def pod_delete(
    pod: Annotated[str, typer.Argument(metavar="SITE/POD", help="The pod.")],
    directory: Directory = DIRECTORY,
) -> None:
    """Delete a pod that was added."""
    site, _, name = pod.partition("/")
    LabRunner.load(directory).delete_pod(site, name)
