"""What a site is right now, as its databases tell it.

Built from plain rows by `model.reading`; read by planners, checks and the command line.
Knows which rows are ours, which are ovn-ic's and which are foreign. Must not decide anything.
"""

from dataclasses import dataclass

from ovnmesh.model.interconnect import Interconnect
from ovnmesh.model.northbound import Northbound
from ovnmesh.model.southbound import Southbound


@dataclass(frozen=True)
class Observed:
    """One site and the mesh it is in."""

    nb: Northbound
    sb: Southbound
    ic: Interconnect

    def carrier(self, ts: str, az: str) -> str:
        """Name of the chassis that our port on a transit switch is bound to; "" if to none."""
        lrp = self.nb.transit_lrp(ts, az)
        return self.sb.active.get(lrp.name, "") if lrp is not None else ""
