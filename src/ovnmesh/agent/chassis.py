"""Keeps ``external_ids:ovn-is-interconn`` of the local Open_vSwitch database in step.

Called by `ovnmesh agent`. Who is a gateway is the controller's decision; it reaches every node as
SB_Global.options:ovnmesh-gateways, because northd copies NB_Global.options there. A database that
cannot be read, or a list that is missing, changes nothing. Must not touch any other key.
"""

import logging
import threading
from collections.abc import Callable, Mapping

from ovnmesh import ovn_keys as keys
from ovnmesh.errors import OvnmeshError, OvsdbUnavailable
from ovnmesh.model.rows import Snapshot, mapping
from ovnmesh.ovsdb.database import Database
from ovnmesh.ovsdb.schema import agent_southbound, vswitch
from ovnmesh.plan.operations import Batch, Db, MergeKeys

LOG = logging.getLogger(__name__)

RETRY_S = 1.0


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


class Agent:
    """Follows the southbound database and marks the local chassis.

    Args:
        vswitch_remote: OVSDB connection method of the local Open_vSwitch database.
        sb: southbound remote; "" to follow external_ids:ovn-remote as ovn-controller does.
        on_mark: told the mark after every look.
    """

    def __init__(
        self, vswitch_remote: str, sb: str, on_mark: Callable[[bool], None] = lambda mark: None
    ) -> None:
        self._vswitch = Database(vswitch_remote, vswitch(), self.wake)
        self._fixed_sb = sb
        self._on_mark = on_mark
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._sb: Database | None = None
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
        """End `run`; the mark stays as it is."""
        self._stopping.set()
        self._wake.set()

    def run(self) -> None:
        """Follow until stopped."""
        try:
            while not self._stopping.is_set():
                self._wake.clear()
                try:
                    self._look()
                    self._error, self._looked = "", True
                    timeout = None
                except OvnmeshError as exc:
                    if str(exc) != self._error:
                        LOG.warning("%s; the mark stays as it is", exc)
                        self._error = str(exc)
                    timeout = RETRY_S
                self._wake.wait(timeout)
        finally:
            if self._sb is not None:
                self._sb.close()
            self._vswitch.close()

    def _look(self) -> None:
        self._vswitch.connect()
        uuid, external_ids = _only_row(self._vswitch.snapshot())
        remote = self._fixed_sb or external_ids.get("ovn-remote", "")
        if not remote:
            raise OvsdbUnavailable(
                "Open_vSwitch external_ids:ovn-remote is not set; expected the southbound database "
                "that ovn-controller uses (ovn-controller(8)), or --sb"
            )
        current = external_ids.get(keys.OVN_IS_INTERCONN)
        mark = decide_mark(self._gateways(remote), external_ids.get("system-id", ""), current)
        if mark is not None:
            change = MergeKeys("Open_vSwitch", uuid, "external_ids", {keys.OVN_IS_INTERCONN: mark})
            self._vswitch.apply(Batch(Db.VSWITCH, (change,), "mark this chassis"))
            LOG.info("%s=%s", keys.OVN_IS_INTERCONN, mark)
        self._on_mark((mark or current) == "true")

    def _gateways(self, remote: str) -> str | None:
        if self._sb is not None and self._sb.remote != remote:
            self._sb.close()
            self._sb = None
        if self._sb is None:
            self._sb = Database(remote, agent_southbound(), self.wake)
        self._sb.connect()
        return read_gateways(self._sb.snapshot())


def read_gateways(snapshot: Snapshot) -> str | None:
    """The gateway list in a southbound snapshot; None if the site has none."""
    for row in snapshot.get("SB_Global", {}).values():
        return mapping(row, "options").get(keys.GATEWAYS)
    return None


def _only_row(snapshot: Snapshot) -> tuple[str, Mapping[str, str]]:
    for uuid, row in snapshot.get("Open_vSwitch", {}).items():
        return uuid, mapping(row, "external_ids")
    raise OvsdbUnavailable("the Open_vSwitch database has no row yet; ovs-vswitchd has not started")
