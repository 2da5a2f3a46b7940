"""How long traffic between sites may rest for each fault and change: what a chaos run asserts.

The same table is in docs/chaos.md; `test_chaos_plan` compares them.
"""

from dataclasses import dataclass
from math import inf

#: News that a healed part still holds up: the last back-off of a client of the databases (ovn-ic
#: waits up to 8 s, lib/reconnect.c), and electing a leader.
RECOVERY_MS = 10_000.0
#: BFD's time to notice with the default timers, 100 ms x 3; it is in the bounds below.
USUAL_BFD_MS = 300.0


@dataclass(frozen=True, slots=True)
class Bound:
    """What may happen to traffic between pods whose own nodes are well.

    Attributes:
        ms: the longest gap, in milliseconds, with room for a busy machine of two cores.
        why: what the figure is made of.
        lasts: no way is left, or routes are withdrawn: traffic may rest until all is healed.
        moves: traffic goes to another gateway, of which the other sites must be told.
        halts_ms: how long the other sites may be told nothing; `inf` until all is healed.
    """

    ms: float
    why: str
    lasts: bool = False
    moves: bool = False
    halts_ms: float = 0


def allowed_ms(bounds: list[Bound], window_ms: float, slower_bfd_ms: float) -> float:
    """The longest gap allowed in a step.

    Args:
        bounds: of all that was broken and changed in it.
        window_ms: from the first blow until all was healed.
        slower_bfd_ms: by how much the configured BFD timers are slower than the usual ones.
    """
    total = sum(bound.ms for bound in bounds)
    moves = any(bound.moves for bound in bounds)
    if moves:
        total += slower_bfd_ms
        total += min(max(bound.halts_ms for bound in bounds), window_ms + RECOVERY_MS)
    if any(bound.lasts for bound in bounds):
        total += window_ms + RECOVERY_MS
    return total


UNTIL_HEALED = inf

FAULTS = {
    "kill controller": Bound(0, "no state in it; its `ovn-ic` ends too", halts_ms=UNTIL_HEALED),
    "kill ovn-ic": Bound(0, "restarted by the controller after 0.2 s", halts_ms=1500),
    "kill agent": Bound(0, "marks stay"),
    "kill ovn-controller": Bound(0, "flows stay in ovs-vswitchd", halts_ms=UNTIL_HEALED),
    "kill ovsdb-server": Bound(
        500, "a gateway's: its BFD seems down, so traffic moves", moves=True, halts_ms=UNTIL_HEALED
    ),
    "kill ovs-vswitchd": Bound(1000, "of a gateway: BFD 300 ms, and the return", moves=True),
    "kill nb": Bound(0, "rows are files; clients reconnect", halts_ms=UNTIL_HEALED),
    "kill sb": Bound(0, "ovn-controllers keep their flows", halts_ms=UNTIL_HEALED),
    "kill ovn-northd": Bound(0, "logical flows stay in SB", halts_ms=UNTIL_HEALED),
    "kill ic-db": Bound(0, "all of it: learned routes stay in NB", halts_ms=UNTIL_HEALED),
    "kill ic-db member": Bound(0, "the others serve; if it led, as below", halts_ms=3000),
    "kill ic-db leader": Bound(0, "election, and ovn-ic taken to the leader", halts_ms=3000),
    "cut ic-db member": Bound(0, "its link, without a word; the others elect", halts_ms=3000),
    "part site from ic-db leader": Bound(
        0, "the others reach it, so nobody is elected", halts_ms=UNTIL_HEALED
    ),
    "cut site from ic-db": Bound(0, "learned routes stay in NB", halts_ms=UNTIL_HEALED),
    "cut gateway link": Bound(1000, "BFD 300 ms, claim, IC-SB, the far SB; its return", moves=True),
    "cut node link": Bound(0, "of a node that carries no traffic of others"),
    "cut gateway path": Bound(
        1500, "BFD 300 ms, 0.2 s of patience, and a planned switch", moves=True
    ),
    "part the sites": Bound(0, "there is no other way", lasts=True),
}
CHANGES = {
    "gw-nodes": Bound(500, "planned switch, if the first is another one", moves=True),
    "gateway-mode": Bound(500, "planned switch", moves=True),
    "gateway-preempt and back": Bound(500, "planned switch, if another one serves", moves=True),
    "bfd timers": Bound(0, "sessions stay up"),
    "auto-route off and on": Bound(0, "routes are withdrawn in between", lasts=True),
    "Subnet added and deleted": Bound(0, "nobody else's rows"),
    "az-name and back": Bound(1000, "ports renamed in place, twice"),
    "bad input": Bound(0, "the last good state stays"),
    "gateway drain": Bound(500, "planned switch", moves=True),
    "gateway prefer": Bound(500, "planned switch", moves=True),
    "gateway reset": Bound(500, "planned switch", moves=True),
    "transit switch added and removed": Bound(0, "ports are parked until they can carry traffic"),
    "leave and join": Bound(0, "the site is disconnected in between", lasts=True),
    "storm": Bound(0, "anything, every 0.2 s, and the controller killed", lasts=True),
}
