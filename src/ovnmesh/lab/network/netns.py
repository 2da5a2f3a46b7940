"""Makes and removes network namespaces, and the links, addresses and routes inside them.

Called by the lab only. Every change happens inside a named namespace: the namespace of the machine
itself is never touched. Must not know what the namespaces are for.
"""

import contextlib
import errno
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from ipaddress import (
    IPv4Interface,
    IPv4Network,
    IPv6Interface,
)
from pathlib import Path
from typing import Any, TypeVar

from pyroute2 import IPRoute
from pyroute2 import netns as pyroute2_netns
from pyroute2.ethtool.ioctl import IoctlEthtool
from pyroute2.netlink.exceptions import NetlinkError

from ovnmesh.errors import LabError, ProcessError
from ovnmesh.host.process import all_pids, run
from ovnmesh.model.addresses import Address, Network

NETNS_DIR = Path("/run/netns")

_IFA_F_NODAD = 0x02
"""An IPv6 address that is used at once, without duplicate address detection (linux/if_addr.h)."""

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class VethEnd:
    """One end of a pair of connected links.

    Attributes:
        netns: namespace the end is in.
        ifname: name of the link, at most 15 characters.
        mac: its hardware address.
    """

    netns: str
    ifname: str
    mac: str


class Links:
    """The links, addresses, routes and settings of one namespace; see `inside`."""

    def __init__(self, ipr: Any) -> None:
        self._ipr = ipr

    def add_bridge(self, ifname: str, mac: str) -> None:
        """Make a bridge that forwards at once (no spanning tree) and set it up."""
        self._ipr.link("add", ifname=ifname, kind="bridge", address=mac)
        self.set_link(ifname, up=True)

    def add_veth(self, ifname: str, mac: str, peer: VethEnd) -> None:
        """Make a pair of links: one end here, the other in the peer's namespace."""
        self._ipr.link(
            "add",
            ifname=ifname,
            kind="veth",
            address=mac,
            peer={"ifname": peer.ifname, "address": peer.mac, "net_ns_fd": peer.netns},
        )

    def delete_link(self, ifname: str) -> None:
        """Remove a link, and its peer with it; nothing happens if there is none."""
        for index in self._ipr.link_lookup(ifname=ifname):
            self._ipr.link("del", index=index)

    def exists(self, ifname: str) -> bool:
        """Tell whether there is a link by that name."""
        return bool(self._ipr.link_lookup(ifname=ifname))

    def set_link(
        self,
        ifname: str,
        *,
        up: bool,
        mac: str | None = None,
        mtu_bytes: int | None = None,
        bridge: str | None = None,
    ) -> None:
        """Set a link up or down, and optionally its MAC, MTU and the bridge it is a port of."""
        settings: dict[str, Any] = {"state": "up" if up else "down"}
        if mac is not None:
            settings["address"] = mac
        if mtu_bytes is not None:
            settings["mtu"] = mtu_bytes
        if bridge is not None:
            settings["master"] = self._index(bridge)
        self._ipr.link("set", index=self._index(ifname), **settings)

    def add_addresses(
        self, ifname: str, addresses: Iterable[IPv4Interface | IPv6Interface]
    ) -> None:
        """Give a link addresses; those it has already are left alone."""
        index = self._index(ifname)
        for address in addresses:
            with _ignoring_existing():
                self._ipr.addr(
                    "add",
                    index=index,
                    address=str(address.ip),
                    prefixlen=address.network.prefixlen,
                    flags=_IFA_F_NODAD if address.version == 6 else 0,
                )

    def set_route(self, destination: Network | None, via: Address) -> None:
        """Make or replace a route; None is the default route of the next hop's family."""
        default = "0.0.0.0/0" if via.version == 4 else "::/0"
        self._ipr.route("replace", dst=str(destination or default), gateway=str(via))

    def delete_route(self, destination: Network) -> None:
        """Remove a route; nothing happens if there is none."""
        try:
            self._ipr.route("del", dst=str(destination))
        except NetlinkError as error:
            if error.code != errno.ESRCH:
                raise

    def drop_between(self, first: IPv4Network, second: IPv4Network, priority: int) -> None:
        """Silently drop what is forwarded between two networks, in both directions (ip-rule(8)).

        A blackhole answers nothing, neither a reset nor an ICMP error: both sides see a path that
        has gone dead, as when a cable is cut far away.
        """
        for source, destination in ((first, second), (second, first)):
            with _ignoring_existing():
                self._ipr.rule(
                    "add",
                    src=str(source),
                    dst=str(destination),
                    action="FR_ACT_BLACKHOLE",
                    priority=priority,
                )

    def undrop_between(self, first: IPv4Network, second: IPv4Network, priority: int) -> None:
        """Remove what `drop_between` made; nothing happens if there is none."""
        for source, destination in ((first, second), (second, first)):
            try:
                self._ipr.rule(
                    "del",
                    src=str(source),
                    dst=str(destination),
                    action="FR_ACT_BLACKHOLE",
                    priority=priority,
                )
            except NetlinkError as error:
                if error.code != errno.ENOENT:
                    raise

    def disable_tx_checksum_offload(self, ifname: str) -> None:
        """Have checksums computed before packets enter a link.

        The userspace datapath reads raw packets and passes on the checksum it finds: one left to
        hardware that does not exist would reach the receiver wrong.
        """
        tool = IoctlEthtool(ifname)
        try:
            tool.set_offload_flag("tx-checksumming", 0)
        finally:
            tool.close()

    def set_sysctl(self, key: str, value: str) -> None:
        """Write a setting under ``/proc/sys/net``, e.g. ``ipv4/ip_forward``."""
        Path("/proc/sys/net", key).write_text(value)

    def _index(self, ifname: str) -> int:
        found = self._ipr.link_lookup(ifname=ifname)
        if not found:
            raise LabError(f"link {ifname}: not found; expected it to have been made before")
        return int(found[0])


def create(name: str) -> None:
    """Make a namespace with its loopback link up.

    Raises:
        LabError: it exists already or cannot be made.
    """
    # Not pyroute2's own: it forks, and a fork of a process with threads can hang for ever on a
    # lock that another thread held (seen: "no response from the child").
    try:
        run(["ip", "netns", "add", name])
    except ProcessError as error:
        raise LabError(
            f"namespace {name}: cannot be made: {error}; remove the old lab first"
        ) from error
    inside(name, lambda links: links.set_link("lo", up=True))


def delete(name: str) -> None:
    """Remove a namespace by name; nothing happens if there is none.

    Its links go when the last process in it has ended.
    """
    with contextlib.suppress(FileNotFoundError):
        pyroute2_netns.remove(name)


def names(prefix: str) -> tuple[str, ...]:
    """Names of the namespaces that begin with a prefix, in order."""
    if not NETNS_DIR.is_dir():
        return ()
    return tuple(sorted(path.name for path in NETNS_DIR.glob(f"{prefix}*")))


def inside(name: str, work: Callable[[Links], _T]) -> _T:
    """Do something inside a namespace.

    A thread of its own enters the namespace (setns(2) is per thread) and ends with the work.

    Args:
        name: the namespace.
        work: receives the namespace's links.

    Raises:
        LabError: the namespace does not exist, or the kernel refused a change.
    """

    def body() -> _T:
        pyroute2_netns.setns(name, flags=0)
        with IPRoute() as ipr:
            return work(Links(ipr))

    with ThreadPoolExecutor(1) as pool:
        try:
            return pool.submit(body).result()
        except (NetlinkError, OSError) as error:
            raise LabError(f"namespace {name}: {error}") from error


def processes(namespaces: Iterable[str], pids: Iterable[int] | None = None) -> dict[int, str]:
    """Find the processes that are in any of some namespaces.

    Args:
        namespaces: names of the namespaces; those that do not exist have no processes.
        pids: look only at these processes; None looks at all.

    Returns:
        The namespace of each process id. Membership is a fact of the kernel's, so it cannot be
        wrong about whose process it is, as a pidfile can.
    """
    owners: dict[tuple[int, int], str] = {}
    for name in namespaces:
        with contextlib.suppress(FileNotFoundError):
            status = (NETNS_DIR / name).stat()
            owners[status.st_dev, status.st_ino] = name
    members = (
        (pid, owners.get(_namespace_of(pid))) for pid in (all_pids() if pids is None else pids)
    )
    return {pid: owner for pid, owner in members if owner is not None}


def _namespace_of(pid: int) -> tuple[int, int]:
    try:
        status = os.stat(f"/proc/{pid}/ns/net")
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        # It has ended, or belongs to a container around us: not a process of ours.
        return (0, 0)
    return (status.st_dev, status.st_ino)


@contextlib.contextmanager
def _ignoring_existing() -> Iterator[None]:
    try:
        yield
    except NetlinkError as error:
        if error.code != errno.EEXIST:
            raise
