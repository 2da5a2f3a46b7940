"""Keeps a gateway node's own rows in step: its mark, and the report on its paths.

Called by `ovnmesh agent`. Who is a gateway is the controller's decision; it reaches every node as
SB_Global.options:ovnmesh-gateways, because northd copies NB_Global.options there. Writes
``external_ids:ovn-is-interconn`` of the local Open_vSwitch database, two keys of its own
Chassis_Private.external_ids, and nothing else. A database that cannot be read or written changes
nothing; without a list the mark stays as it is.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ovnmesh import ovn_keys as keys
from ovnmesh.agent.paths import Paths
from ovnmesh.agent.prober import Prober
from ovnmesh.agent.tunnels import read_tunnels, relevant
from ovnmesh.errors import OvnmeshError, OvsdbUnavailable
from ovnmesh.model.changes import Batch, Db, MergeKeys
from ovnmesh.model.paths import ChassisReport
from ovnmesh.model.remote import NOWHERE, Remote, parse_remote
from ovnmesh.model.report import NodeView
from ovnmesh.model.rows import Row, Snapshot, mapping, text
from ovnmesh.ovsdb.database import Database
from ovnmesh.ovsdb.schema import agent_southbound, own_chassis, vswitch

LOG = logging.getLogger(__name__)

RETRY_S = 1.0
#: Seconds between two reports of a gateway when no database changes: how late a new MTU is seen.
TICK_S = 3.0
REPORT = frozenset({keys.PATHS, keys.TUNNEL_MTU})


def decide_mark(gateways: str | None, chassis: str, current: str | None) -> str | None:
    """The value the mark should get, or None to leave it alone. Pure.

    Args:
        gateways: the controller's list, comma-separated; None if there is none.
        chassis: name of this node's chassis (Open_vSwitch external_ids:system-id).
        current: the mark as it is; None if absent.
    """
    if gateways is None or not chassis:
        return None
    wanted = chassis in gateways.split(",")
    marked = current == "true"
    if wanted == marked:
        return None
    return "true" if wanted else "false"


@dataclass(frozen=True, slots=True)
class _Node:
    """What the last look at the databases showed."""

    marked: bool = False
    gateway: bool = False
    row: str = ""
    written: Mapping[str, str] = field(default_factory=dict)
    hostnames: Mapping[str, str] = field(default_factory=dict)


class Agent:
    """Follows the southbound database, marks the local chassis and reports on its paths.

    Args:
        vswitch_remote: where the local Open_vSwitch database is.
        sb: where the southbound database is; `NOWHERE` to follow external_ids:ovn-remote, as
            ovn-controller does.
        on_view: told what there is after every look.
    """

    def __init__(
        self,
        vswitch_remote: Remote,
        sb: Remote = NOWHERE,
        on_view: Callable[[NodeView], None] = lambda view: None,
    ) -> None:
        self._vswitch = Database(vswitch_remote, vswitch(), self.wake)
        self._fixed_sb = sb
        self._on_view = on_view
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._sb: Database | None = None
        self._prober = Prober()
        self._paths = Paths(self._prober)
        self._node = _Node()
        self._error = ""
        self._looked = False

    @property
    def ready(self) -> bool:
        """Whether the last look went well."""
        return self._looked and not self._error

    def wake(self) -> None:
        """Something may have changed."""
        self._wake.set()

    def stop(self) -> None:
        """End `run`; mark and report stay as they are."""
        self._stopping.set()
        self._wake.set()

    def run(self) -> None:
        """Follow until stopped."""
        changed = True
        try:
            while not self._stopping.is_set():
                self._wake.clear()
                try:
                    if changed:
                        self._look()
                    self._report()
                    self._error, self._looked = "", True
                    timeout = TICK_S if self._node.gateway else None
                except OvnmeshError as error:
                    if str(error) != self._error:
                        LOG.warning("%s; mark and report stay as they are", error)
                        self._error = str(error)
                    timeout = RETRY_S
                changed = self._wake.wait(timeout) or bool(self._error)
        finally:
            self._prober.stop()
            if self._sb is not None:
                self._sb.close()
            self._vswitch.close()

    def _look(self) -> None:
        self._vswitch.connect()
        snapshot = self._vswitch.snapshot()
        uuid, external_ids = _only_row(snapshot)
        chassis = external_ids.get("system-id", "")
        remote = self._fixed_sb or parse_remote(external_ids.get("ovn-remote", ""))
        if not remote:
            raise OvsdbUnavailable(
                "Open_vSwitch external_ids:ovn-remote is not set; expected the southbound database "
                "that ovn-controller uses (ovn-controller(8)), or --sb"
            )
        sb = self._southbound(remote, chassis)
        gateways = read_gateways(sb)
        current = external_ids.get(keys.OVN_IS_INTERCONN)
        mark = decide_mark(gateways, chassis, current)
        if mark is not None:
            change = MergeKeys("Open_vSwitch", uuid, "external_ids", {keys.OVN_IS_INTERCONN: mark})
            self._vswitch.apply(Batch(Db.VSWITCH, (change,), "mark this chassis"))
            LOG.info("%s=%s", keys.OVN_IS_INTERCONN, mark)
        gateway = gateways is not None and chassis in gateways.split(",")
        row, written = _private_row(sb, chassis)
        chassis_rows = sb.get("Chassis", {}).values()
        hostnames = {text(row, "name"): text(row, "hostname") for row in chassis_rows}
        self._node = _Node((mark or current) == "true", gateway, row, written, hostnames)
        tunnels = read_tunnels(snapshot, external_ids.get(keys.OVN_ENCAP_IP, ""))
        remotes = {text(row, "name") for row in chassis_rows if _is_remote(row)}
        self._paths.follow(tunnels, relevant(tunnels, remotes) if gateway else ())

    def _report(self) -> None:
        node = self._node
        report = self._paths.report() if node.gateway else ChassisReport()
        self._on_view(NodeView(node.marked, report, node.hostnames))
        if not node.row or self._sb is None:
            return  # ovn-controller has not registered the chassis
        if node.gateway:
            put = self._paths.changes(report, node.written, time.monotonic())
            gone = frozenset[str]()
        else:
            put, gone = {}, REPORT & node.written.keys()
        if put or gone:
            change = MergeKeys("Chassis_Private", node.row, "external_ids", put, gone)
            self._sb.apply(Batch(Db.SB, (change,), "report on paths"))
            LOG.debug("reported: %s", put or "no longer a gateway")

    def _southbound(self, remote: Remote, chassis: str) -> Snapshot:
        if self._sb is not None and self._sb.remote != remote:
            self._sb.close()
            self._sb = None
        if self._sb is None:
            self._sb = Database(remote, agent_southbound(), self.wake)
        self._sb.connect()
        self._sb.set_conditions(own_chassis(chassis))
        return self._sb.snapshot()


def read_gateways(snapshot: Snapshot) -> str | None:
    """The gateway list in a southbound snapshot; None if the site has none."""
    for row in snapshot.get("SB_Global", {}).values():
        return mapping(row, "options").get(keys.GATEWAYS)
    return None


def _only_row(snapshot: Snapshot) -> tuple[str, Mapping[str, str]]:
    for uuid, row in snapshot.get("Open_vSwitch", {}).items():
        return uuid, mapping(row, "external_ids")
    raise OvsdbUnavailable("the Open_vSwitch database has no row yet; ovs-vswitchd has not started")


def _private_row(snapshot: Snapshot, chassis: str) -> tuple[str, Mapping[str, str]]:
    for uuid, row in snapshot.get("Chassis_Private", {}).items():
        if text(row, "name") == chassis:
            return uuid, mapping(row, "external_ids")
    return "", {}


def _is_remote(row: Row) -> bool:
    return mapping(row, "other_config").get(keys.IS_REMOTE) == "true"
