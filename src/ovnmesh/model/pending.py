"""Conditions that count only once they have held for a while; plans, being pure, have no clock.

A plan names those it waits for, with the seconds they have to hold; the controller plans again when
they are due and says for how long each has held (`controller.patience`). Called by planners.
"""

from collections.abc import Mapping

#: What, and where: ("path", "ts", "node1").
Condition = tuple[str, ...]
#: Seconds for which conditions have held.
Ages = Mapping[Condition, float]
#: Seconds for which conditions have to hold.
Waits = Mapping[Condition, float]
