"""Prometheus metrics of a controller and of an agent.

Called by the command line, which hands `record` to the reconciler. Must not read databases.
"""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from ovnmesh.model.report import NodeView, PassReport


class ControllerMetrics:
    """Metrics of one controller process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._passes = Histogram(
            "ovnmesh_pass_seconds", "Duration of reconciliation passes.", registry=self.registry
        )
        self._transactions = Counter(
            "ovnmesh_transactions", "OVSDB transactions made by passes.", registry=self.registry
        )
        self._state = Gauge(
            "ovnmesh_state", "1 for the site's current state.", ["state"], registry=self.registry
        )
        self._findings = Gauge(
            "ovnmesh_findings", "Open findings.", ["severity", "code"], registry=self.registry
        )
        self._connected = Gauge(
            "ovnmesh_database_connected", "1 if it answers.", ["database"], registry=self.registry
        )
        self._input_ok = Gauge(
            "ovnmesh_config_ok", "1 if the last reading was usable.", registry=self.registry
        )
        self._restarts = Counter(
            "ovnmesh_ovn_ic_restarts", "Unexpected deaths of ovn-ic.", registry=self.registry
        )
        self._restarts_seen = 0
        self._routes = Gauge(
            "ovnmesh_routes", "Routes in IC-SB.", ["direction"], registry=self.registry
        )

    def record(self, report: PassReport) -> None:
        """Take note of a pass."""
        self._passes.observe(report.duration_s)
        self._transactions.inc(report.transactions)
        self._state.clear()
        self._state.labels(report.state).set(1)
        self._findings.clear()
        for finding in report.findings:
            self._findings.labels(str(finding.severity), finding.code).inc()
        self._connected.clear()
        for schema, connected in report.connected.items():
            self._connected.labels(schema).set(connected)
        self._input_ok.set(report.input_ok)
        self._restarts.inc(report.ovn_ic_restarts - self._restarts_seen)
        self._restarts_seen = report.ovn_ic_restarts
        self._routes.clear()
        if report.view is not None:
            self._routes.labels("advertised").set(report.view.advertised)
            self._routes.labels("remote").set(report.view.remote)


class AgentMetrics:
    """Metrics of one agent process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._marked = Gauge(
            "ovnmesh_gateway_marked",
            "1 if this chassis is marked as interconnection gateway.",
            registry=self.registry,
        )

        labels = ["chassis", "hostname"]
        self._up = Gauge(
            "ovnmesh_path_up",
            "1 if the path to that chassis is up, 0 if it is down; absent if unknown.",
            labels,
            registry=self.registry,
        )
        self._rtt = Gauge(
            "ovnmesh_path_rtt_seconds",
            "Median round-trip time to that chassis; absent if unknown.",
            labels,
            registry=self.registry,
        )
        self._loss = Gauge(
            "ovnmesh_path_loss_ratio",
            "Lost share of the probes to that chassis; absent if unknown.",
            labels,
            registry=self.registry,
        )
        self._mtu = Gauge(
            "ovnmesh_tunnel_mtu_bytes",
            "Largest IP packet that fits into every tunnel; 0 if unknown.",
            registry=self.registry,
        )

    def record(self, view: NodeView) -> None:
        """Take note of a look."""
        self._marked.set(view.marked)
        self._mtu.set(view.report.tunnel_mtu_bytes or 0)
        for gauge in (self._up, self._rtt, self._loss):
            gauge.clear()
        for chassis, path in view.report.paths.items():
            labels = (chassis, view.hostnames.get(chassis, ""))
            if path.up is not None:
                self._up.labels(*labels).set(path.up)
            if path.rtt_ms is not None:
                self._rtt.labels(*labels).set(path.rtt_ms / 1000)
            if path.loss is not None:
                self._loss.labels(*labels).set(path.loss)
