"""`ovnmesh controller` and `ovnmesh agent`: processes that run until told to stop.

Called by `cli.main`. Wires provider, reconciler and metrics together; contains no rules.
"""

import logging
import signal
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ovnmesh.access.sites import NB_SOCKET, SB_SOCKET
from ovnmesh.errors import ConfigError, Problem
from ovnmesh.host.systemd import notify
from ovnmesh.model.remote import parse_remote
from ovnmesh.ovn_keys import DEFAULT_ROUTER

if TYPE_CHECKING:
    from ovnmesh.model.report import PassReport
    from ovnmesh.providers.base import Provider
    from ovnmesh.web.server import Checks

LOG = logging.getLogger(__name__)

#: A loop that has not turned for so long hangs; it turns every ten seconds with nothing to do.
HUNG_S = 60.0

RunDir = Annotated[
    Path, typer.Option(help="Folder of ovn-ic's control socket, pid file and log; made if missing.")
]
MetricsPort = Annotated[
    int, typer.Option(help="TCP port of Prometheus metrics and health checks; 0 for none.")
]
MetricsAddress = Annotated[str, typer.Option(help="Address of the metrics port.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Log details for debugging too.")]


def controller(
    config: Annotated[
        Path | None,
        typer.Option(
            help="Take the configuration from this folder of Kubernetes YAML: ovn-ic-config, "
            "Subnets, Nodes."
        ),
    ] = None,
    kubernetes: Annotated[
        bool,
        typer.Option("--kubernetes", help="Take the configuration from the Kubernetes API."),
    ] = False,
    openstack: Annotated[
        Path | None,
        typer.Option(help="Take the configuration from this site file, and from Neutron."),
    ] = None,
    kubeconfig: Annotated[
        Path | None,
        typer.Option(
            help="With --kubernetes: how to reach the API. By default the pod's service account, "
            "else the file that KUBECONFIG names, else ~/.kube/config."
        ),
    ] = None,
    nb: Annotated[
        str, typer.Option(envvar="OVN_NB_DB", help="Northbound database of the site.")
    ] = NB_SOCKET,
    sb: Annotated[
        str, typer.Option(envvar="OVN_SB_DB", help="Southbound database of the site.")
    ] = SB_SOCKET,
    run_dir: RunDir = Path("/run/ovnmesh/controller"),
    router: Annotated[
        str, typer.Option(help="Name of the cluster's logical router.")
    ] = DEFAULT_ROUTER,
    metrics_port: MetricsPort = 0,
    metrics_address: MetricsAddress = "127.0.0.1",
    verbose: Verbose = False,
) -> None:
    """Connect one site as its configuration says, and keep it that way.

    Give one of --config, --kubernetes and --openstack. The controller runs in the foreground until
    SIGTERM or SIGINT. Traffic goes on without it.

    Examples: ovnmesh controller --config /etc/ovnmesh/site --nb unix:/run/ovn/ovnnb_db.sock;
    ovnmesh controller --kubernetes --nb tcp:ovn-nb.kube-system.svc:6641;
    ovnmesh controller --openstack /etc/ovnmesh/openstack.yaml
    """
    from ovnmesh.controller.reconciler import Reconciler
    from ovnmesh.controller.settings import ControllerSettings

    _log_to_stderr(verbose)
    _make_dir(run_dir)
    metrics = None
    if metrics_port:
        from ovnmesh.web.metrics import ControllerMetrics

        metrics = ControllerMetrics()
    provider, publish = _provider(
        config, openstack, kubeconfig, kubernetes=kubernetes, nb=nb, router=router
    )

    def observe(report: "PassReport") -> None:
        if metrics is not None:
            metrics.record(report)
        publish(report)

    settings = ControllerSettings(
        parse_remote(nb), parse_remote(sb), run_dir=run_dir, router=router
    )
    reconciler = Reconciler(settings, provider, observe)
    if metrics is not None:
        checks = {
            "/healthz": lambda: reconciler.idle_s < HUNG_S,
            "/readyz": lambda: reconciler.ready,
        }
        _serve(metrics, metrics_port, metrics_address, checks)
    _run(reconciler.run, reconciler.stop)


def agent(
    ovs: Annotated[
        str, typer.Option(help="Open_vSwitch database of this node.")
    ] = "unix:/var/run/openvswitch/db.sock",
    sb: Annotated[
        str, typer.Option(help="Southbound database; by default the one that ovn-controller uses.")
    ] = "",
    metrics_port: MetricsPort = 0,
    metrics_address: MetricsAddress = "127.0.0.1",
    verbose: Verbose = False,
) -> None:
    """Mark this node as interconnection gateway while the controller says that it is one.

    A gateway's agent also reports on the paths to other gateways, and on the MTU of the tunnels.

    The agent writes external_ids:ovn-is-interconn of the local Open_vSwitch database, the keys
    ovnmesh-paths and ovnmesh-tunnel-mtu of its own Chassis_Private row in SB, and nothing else.

    Example: ovnmesh agent --ovs unix:/run/openvswitch/db.sock
    """
    from ovnmesh.agent.chassis import Agent

    _log_to_stderr(verbose)
    if metrics_port:
        from ovnmesh.web.metrics import AgentMetrics

        metrics = AgentMetrics()
        follower = Agent(parse_remote(ovs), parse_remote(sb), metrics.record)
        checks = {"/healthz": lambda: True, "/readyz": lambda: follower.ready}
        _serve(metrics, metrics_port, metrics_address, checks)
    else:
        follower = Agent(parse_remote(ovs), parse_remote(sb))
    _run(follower.run, follower.stop)


def _provider(
    config: Path | None,
    openstack: Path | None,
    kubeconfig: Path | None,
    *,
    kubernetes: bool,
    nb: str,
    router: str,
) -> "tuple[Provider, Callable[[PassReport], None]]":
    """Where the configuration comes from, and who is told what became of it."""
    sources = {"--config": config, "--kubernetes": kubernetes, "--openstack": openstack}
    given = [name for name, value in sources.items() if value]
    if len(given) != 1:
        found = " and ".join(given) or "none of them"
        expected = "one of --config DIR, --kubernetes and --openstack FILE"
        raise ConfigError([Problem("command line", found, expected)])
    if config is not None:
        from ovnmesh.providers.manifests import ManifestsProvider

        return ManifestsProvider(config, router), lambda report: None
    if openstack is not None:
        from ovnmesh.providers.openstack.provider import OpenStackProvider
        from ovnmesh.providers.openstack.row_events import NeutronEvents

        return OpenStackProvider(openstack, NeutronEvents(parse_remote(nb))), lambda report: None
    from ovnmesh.providers.kubernetes.provider import KubernetesProvider

    provider = KubernetesProvider(kubeconfig, router)
    return provider, provider.publish


def _run(work: Callable[[], None], stop: Callable[[], None]) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop())
    notify("READY=1")
    work()
    LOG.info("stopped")


def _serve(metrics: object, port: int, address: str, checks: "Checks") -> None:
    from ovnmesh.web.server import serve

    try:
        serve(metrics.registry, checks, port, address)  # type: ignore[attr-defined]
    except OSError as error:
        raise ConfigError(
            [Problem("--metrics-port", str(port), f"a free TCP port on {address} ({error})")]
        ) from error


def _make_dir(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            [Problem("--run-dir", str(path), f"a writable folder ({error})")]
        ) from error


def _log_to_stderr(verbose: bool) -> None:
    logging.basicConfig(
        level=logging.DEBUG if verbose else logging.INFO,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    for noisy in ("ovsdbapp", "watchdog", "httpx2", "openstack", "keystoneauth", "urllib3"):
        logging.getLogger(noisy).setLevel(logging.DEBUG if verbose else logging.CRITICAL)
