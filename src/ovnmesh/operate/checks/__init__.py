"""What is asked of every site, whatever its cloud: one file for each check, listed in `CHECKS`."""

from ovnmesh.model.check import Check
from ovnmesh.operate.checks import controller, databases, interconnect, rows

#: In the order in which their findings are shown.
CHECKS: tuple[Check, ...] = (rows.CHECK, interconnect.CHECK, controller.CHECK, databases.CHECK)
