"""Whether ovn-ic must be started anew to follow the leaders of the interconnection databases.

Called by the reconciler's parts. Pure: time, members and connections come as arguments.

ovn-ic works with the leaders only. When one is lost its OVSDB client tries every address once, all
of them in vain while the election lasts, and then waits 1, 2, 4 and 8 s between two attempts at one
address each (OVS, lib/reconnect.c): some 15 s without propagation, although the election takes two.
There is no command that makes it look again, but a new process does so at once.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from ovnmesh.ovsdb.members import Member

#: Seconds within which ovn-ic finds a new leader by itself or not before the next back-off: its
#: attempts without back-off take milliseconds.
GRACE_S = 0.2
#: Seconds that a process just started is given to connect, doubled each time that was in vain.
FIRST_PATIENCE_S = 1.0
LAST_PATIENCE_S = 16.0
#: Seconds after which our own connections are sent to a leader again, if that was in vain.
FOLLOW_AGAIN_S = 1.0
#: Seconds that databases without a leader count as electing one; an election takes two election
#: timers of 1 s (ovsdb-server(1), cluster/change-election-timer), two rounds of it rarely.
ELECTION_S = 6.0


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do about ovn-ic.

    Attributes:
        restart: start it anew, now.
        look_again_s: seconds after which to decide again; None when nothing is open.
    """

    restart: bool = False
    look_again_s: float | None = None


def leader_of(members: Iterable[Member]) -> Member | None:
    """The member that leads; of several that say so, the one that said it last.

    A leader that is cut off silently goes on claiming, as far as can be heard from here.
    """
    claims = [member for member in members if member.leads_since is not None]
    return max(claims, key=lambda member: member.leads_since or 0.0, default=None)


def methods_to_use(members: Collection[Member], leader_only: bool = False) -> tuple[str, ...]:
    """Connection methods to start ovn-ic with: those that answer, or all of them.

    ovn-ic tries them in random order. An address that does not answer costs it a second, and a
    server that accepts a connection and says no more costs two probe intervals: a leader that has
    been replaced without saying so may be one.

    Args:
        members: the servers.
        leader_only: an attempt with the others has been in vain.
    """
    leader = leader_of(members)
    if leader_only and leader is not None:
        return (leader.method,)
    silent = [m for m in members if m.leads_since is not None and m is not leader]
    answering = [m.method for m in members if m.answers and m not in silent]
    return tuple(answering or [m.method for m in members])


def decide(
    now: float,
    leaders: Collection[Member | None],
    connected: Collection[str],
    started: float,
    patience_s: float,
) -> Decision:
    """Decide about an ovn-ic that runs.

    Args:
        now: monotonic time, in seconds.
        leaders: of each interconnection database; None while there is none.
        connected: connection methods that ovn-ic has connections to.
        started: when ovn-ic was started.
        patience_s: seconds to wait for a process just started.
    """
    strayed = []
    for leader in leaders:
        if leader is None or leader.leads_since is None:
            return Decision()  # nowhere to go; the end of the election will be heard
        if leader.method not in connected:
            strayed.append(leader.leads_since)
    if not strayed:
        return Decision()
    due = max(*strayed, 0.0) + GRACE_S
    due = max(due, started + patience_s)
    return Decision(restart=True) if now >= due else Decision(look_again_s=due - now)


@dataclass(frozen=True, slots=True)
class IcMembers:
    """The servers of the interconnection databases; none if they are not being watched."""

    nb: tuple[Member, ...] = ()
    sb: tuple[Member, ...] = ()

    @property
    def leaders(self) -> tuple[Member | None, Member | None]:
        """Who leads each of them."""
        return leader_of(self.nb), leader_of(self.sb)
