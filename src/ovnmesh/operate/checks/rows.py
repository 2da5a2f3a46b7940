"""What the controller has recorded, and what the rows themselves show."""

from collections.abc import Iterator

from ovnmesh.model.check import Check, Examined
from ovnmesh.model.finding import Finding
from ovnmesh.views.site_overview import site_overview


def _run(site: Examined) -> Iterator[Finding]:
    if site.observed is not None:
        yield from site_overview(site.observed).findings


CHECK = Check("rows", "Is everything in the databases as it should be?", _run)
