"""What a check of a site is: one question about what can be seen of it, answered by findings.

Checks are kept in `operate.checks`, and in the room of the cloud they know
(`providers.openstack.checks`): one file each. Values only; must not ask anybody.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ovnmesh.model.finding import Finding
from ovnmesh.model.observed import Observed


@dataclass(frozen=True, slots=True)
class Examined:
    """A site as far as it can be seen.

    Attributes:
        name: the site.
        observed: its databases and the mesh, None if its own databases do not answer.
        unreachable: why they do not, "" if they do.
        ic_error: why the interconnection databases do not answer, "" if they do or none are known.
        has_controller: whether a controller runs for it.
    """

    name: str
    observed: Observed | None = None
    unreachable: str = ""
    ic_error: str = ""
    has_controller: bool = False


@dataclass(frozen=True, slots=True)
class Check:
    """One question.

    Attributes:
        name: a short, stable name.
        asks: the question, in words.
        run: answers it; may raise an `OvnmeshError`, which keeps no other check from being made.
    """

    name: str
    asks: str
    run: Callable[[Examined], Iterable[Finding]]
