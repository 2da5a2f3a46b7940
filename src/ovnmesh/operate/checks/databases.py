"""Whether the site's own databases answer."""

from collections.abc import Iterator

from ovnmesh.model.check import Check, Examined
from ovnmesh.model.finding import Code, Finding


def _run(site: Examined) -> Iterator[Finding]:
    if site.unreachable:
        yield Finding(Code.SITE_UNREACHABLE, site.name, site.unreachable)


CHECK = Check("databases", "Do the site's own databases answer?", _run)
