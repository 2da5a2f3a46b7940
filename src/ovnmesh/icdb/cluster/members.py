"""Which servers the clusters have, and removing one that is gone for good.

Called by the commands ``ovnmesh ic-db member``, on any member. Must not take the majority from a
cluster, not even if asked to.
"""

import ipaddress
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from ovnmesh.errors import ConfigError, IcDbError, Problem
from ovnmesh.icdb.database.files import DATABASES, IcDatabase
from ovnmesh.icdb.database.listeners import parse_raft_address
from ovnmesh.icdb.database.raft_status import (
    NoCluster,
    RaftMember,
    RaftStatus,
    call,
    control_socket,
    read_status,
)

_COMMIT_S = 15.0
_POLL_S = 0.1


def read_members(run_dir: Path) -> dict[IcDatabase, RaftStatus]:
    """Ask both servers of this node.

    Raises:
        IcDbError: one does not answer, or serves alone.
    """
    return {db: read_status(run_dir, db) for db in DATABASES}


def find_members(
    statuses: Mapping[IcDatabase, RaftStatus], name: str
) -> dict[IcDatabase, RaftMember]:
    """Find the servers that are meant.

    Args:
        statuses: of both databases.
        name: an address, with or without port, or the first digits of a server id.

    Raises:
        ConfigError: there is none, or several of one database.
    """
    found: dict[IcDatabase, RaftMember] = {}
    for db, status in statuses.items():
        meant = [member for member in status.members if _is_meant(member, name)]
        if len(meant) > 1:
            ids = ", ".join(member.server for member in meant)
            raise ConfigError([Problem("MEMBER", f'"{name}"', f"one server of {db.schema}: {ids}")])
        if meant:
            found[db] = meant[0]
    if not found:
        expected = "an address or a server id as ovnmesh ic-db member list shows them"
        raise ConfigError([Problem("MEMBER", f'"{name}"', expected)])
    return found


def check_removal(db: IcDatabase, status: RaftStatus, member: RaftMember, force: bool) -> None:
    """Refuse a removal that would do harm.

    Raises:
        IcDbError: it would.
    """
    left = [other for other in status.members if other != member]
    alive = sum(other.connected for other in left)
    where = f"{db.schema}, server {member.server} at {member.address}"
    if not status.serves:
        raise IcDbError(
            f"{where}: found a cluster without a leader; expected one, because a majority has to "
            "agree. Start the other nodes. If they are lost for good, see docs/ic-db.md, "
            '"The majority is lost"'
        )
    if 2 * alive <= len(left):
        raise IcDbError(
            f"{where}: found {alive} of the {len(left)} other servers connected; expected more "
            "than half, because without them nothing can be written. Bring one back, or let a new "
            "one join first"
        )
    if member.role == "leader" and not force:
        raise IcDbError(
            f"{where}: found the leader; expected a follower. Stop ovnmesh ic-db there first, "
            "which hands over the lead at once; or use --force, and the others elect a leader"
        )


def remove_member(
    run_dir: Path, db: IcDatabase, member: RaftMember, step: Callable[[str], None]
) -> None:
    """Remove a server and wait until the cluster has agreed.

    Raises:
        IcDbError: it has not.
    """
    step(f"{db.schema}: removing {member.server} at {member.address}")
    # A follower hands it on to the leader (ovsdb-server(1), cluster/kick).
    call(control_socket(run_dir, db), "cluster/kick", db.schema, member.server)
    deadline = time.monotonic() + _COMMIT_S
    while time.monotonic() < deadline:
        try:
            servers = [other.server for other in read_status(run_dir, db).members]
        except NoCluster:
            return  # it was the server of this node
        if member.server not in servers:
            return
        time.sleep(_POLL_S)
    raise IcDbError(
        f"{db.schema}: server {member.server} is still a member after {_COMMIT_S:g} s. Find the "
        "leader with ovnmesh ic-db member list, and try again there"
    )


def _is_meant(member: RaftMember, name: str) -> bool:
    if len(name) >= 4 and (member.server.startswith(name) or name.startswith(member.server)):
        return True
    if name in (member.address, member.address.partition(":")[2]):
        return True
    endpoint = parse_raft_address(member.address)
    try:
        return endpoint is not None and ipaddress.ip_address(name) == endpoint[0]
    except ValueError:
        return False
