"""The interconnection databases a controller uses, and its move to other ones.

Called by the reconciler. New databases are connected beside those in use, and taken into use only
when they answer and a plan against them is not refused: an address mistyped, or an empty database,
leaves the previous ones in use. Must not write rows.
"""

import logging
from collections.abc import Callable

from ovnmesh.controller.intent import Intent
from ovnmesh.model.changes import Db, Plan
from ovnmesh.model.finding import Code, Finding
from ovnmesh.model.interconnect import Interconnect
from ovnmesh.model.reading import observe_interconnect
from ovnmesh.model.remote import Remote
from ovnmesh.ovsdb import schema
from ovnmesh.ovsdb.database import Database
from ovnmesh.ovsdb.leadership import ELECTION_S, FOLLOW_AGAIN_S, IcMembers, leader_of
from ovnmesh.ovsdb.links import Links
from ovnmesh.ovsdb.members import Member, Members

LOG = logging.getLogger(__name__)


class IcAccess:
    """Connections to the interconnection databases, present and next.

    Args:
        wake: called from threads when something changed.
        clock: seconds that only grow; that of `time.monotonic`, which members are told by too.
    """

    def __init__(self, wake: Callable[[], None], clock: Callable[[], float]) -> None:
        self._wake = wake
        self._clock = clock
        self._current: Links | None = None
        self._next: Links | None = None
        self._members: Members | None = None
        self._lost_at: float | None = None
        self._followed: dict[Db, tuple[Member, float]] = {}

    @property
    def databases(self) -> tuple[Database, Database] | None:
        """Northbound and southbound in use, if they have ever been loaded."""
        if self._current is None or not self._current.ready:
            return None
        nb, sb = self._current.databases
        return nb, sb

    @property
    def live(self) -> bool:
        """Whether those in use answer right now."""
        return self._current is not None and self._current.live

    @property
    def unused(self) -> bool:
        """Whether no databases are in use."""
        return self._current is None

    @property
    def connecting(self) -> bool:
        """Whether the first connection is still being made, and nothing has gone wrong yet."""
        return self._current is not None and not self._current.ready and not self.error

    @property
    def error(self) -> str:
        """Why those in use do not answer."""
        return self._current.error if self._current is not None else ""

    @property
    def reason(self) -> str:
        """What can be said about why those in use do not answer; "" if nothing."""
        if self.error:
            return self.error
        for name, members in (("IC-NB", self.members.nb), ("IC-SB", self.members.sb)):
            if len(members) > 1 and leader_of(members) is None:
                return f"none of the {len(members)} members of {name} leads; a majority must run"
        return ""

    @property
    def members(self) -> IcMembers:
        """The servers of those in use: who answers, who leads."""
        if self._members is None:
            return IcMembers()
        return IcMembers(self._members.of(Db.IC_NB), self._members.of(Db.IC_SB))

    def follow_leaders(self) -> None:
        """Send our own connections to the leaders, as soon as they are known."""
        if self._current is None or not self._current.ready or self._current.live:
            self._lost_at = None
        elif self._lost_at is None:
            self._lost_at = self._clock()
        for database, leader in zip(self.databases or (), self.members.leaders, strict=False):
            if leader is None:
                continue
            # Not again and again at once: a member that leads may refuse for a moment.
            sent, at = self._followed.get(database.db, (None, 0.0))
            if leader == sent and self._clock() < at + FOLLOW_AGAIN_S:
                continue
            if database.follow(leader.method):
                self._followed[database.db] = (leader, self._clock())

    @property
    def follow_again_s(self) -> float | None:
        """Seconds after which `follow_leaders` should be called again while they do not answer.

        None while nobody leads: the end of an election is heard.
        """
        return FOLLOW_AGAIN_S if None not in self.members.leaders else None

    def election_s(self) -> float:
        """Seconds for which silence may still be an election; 0 if it is none."""
        members = self.members
        if self._lost_at is None or max(len(members.nb), len(members.sb)) < 2:
            return 0.0
        return max(0.0, self._lost_at + ELECTION_S - self._clock())

    def open(self, intent: Intent) -> None:
        """Start connecting to what the configuration names."""
        wanted = (intent.ic_nb, intent.ic_sb)
        if not all(wanted):
            return
        if self._next is not None and _remotes(self._next) != wanted:
            self._next.close()
            self._next = None
        if self._current is not None and _remotes(self._current) == wanted:
            return
        if self._next is None:
            databases = (
                Database(intent.ic_nb, schema.interconnect_northbound(), self._wake),
                Database(intent.ic_sb, schema.interconnect_southbound(), self._wake),
            )
            self._next = Links(databases, self._wake)
        if self._current is None:
            self._use_next()

    def try_move(self, plan_against: Callable[[Interconnect], Plan | None]) -> tuple[Finding, ...]:
        """Go over to the next databases once they are fit for this site.

        Args:
            plan_against: plans the site against other databases; None if that cannot be said yet.

        Returns:
            Why the move has not been made, if there is one to make.
        """
        if self._next is None:
            return ()
        host = str(self._next.databases[0].remote)
        if not self._next.live:
            return (_not_moved(host, self._next.error or "not connected yet"),)
        plan = plan_against(_read(self._next))
        if plan is None:
            return ()
        if plan.refused:
            return tuple(_not_moved(host, finding.message) for finding in plan.findings)
        LOG.info("moving to the interconnection databases at %s", host)
        if self._current is not None:
            self._current.close()
        self._use_next()
        return ()

    def _use_next(self) -> None:
        """Take the next databases into use and watch their members."""
        self._close_members()
        self._current, self._next = self._next, None
        if self._current is not None:
            nb, sb = self._current.databases
            self._members = Members({Db.IC_NB: nb.remote, Db.IC_SB: sb.remote}, self._wake)

    def _close_members(self) -> None:
        members, self._members = self._members, None
        self._followed.clear()
        if members is not None:
            members.close()

    def read(self) -> Interconnect:
        """What the databases in use hold.

        Raises:
            OvsdbUnavailable: they have never been loaded.
        """
        return _read(self._current) if self._current is not None else observe_interconnect({}, {})

    def close(self) -> None:
        """Disconnect from all."""
        for links in (self._current, self._next):
            if links is not None:
                links.close()
        self._current = self._next = None
        self._close_members()


def _read(links: Links) -> Interconnect:
    nb, sb = links.databases
    return observe_interconnect(nb.snapshot(), sb.snapshot())


def _remotes(links: Links) -> tuple[Remote, Remote]:
    nb, sb = links.databases
    return nb.remote, sb.remote


def _not_moved(host: str, why: str) -> Finding:
    return Finding(
        Code.IC_NOT_MOVED,
        host,
        f"this site has not moved to the interconnection databases at {host}: {why.rstrip('.')}. "
        "The previous ones stay in use.",
    )
