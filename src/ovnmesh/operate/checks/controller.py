"""Whether a controller keeps the site in order."""

from collections.abc import Iterator

from ovnmesh.model.check import Check, Examined
from ovnmesh.model.finding import Finding
from ovnmesh.operate.look import NO_CONTROLLER


def _run(site: Examined) -> Iterator[Finding]:
    if site.observed is not None and not site.has_controller:
        yield NO_CONTROLLER


CHECK = Check("controller", "Does a controller run for the site?", _run)
