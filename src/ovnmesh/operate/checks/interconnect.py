"""Whether the interconnection databases answer, seen from the host of whoever asks."""

from collections.abc import Iterator

from ovnmesh.model.check import Check, Examined
from ovnmesh.model.finding import Code, Finding


def _run(site: Examined) -> Iterator[Finding]:
    if site.ic_error:
        said = f"{site.ic_error}; nothing is known of other sites"
        yield Finding(Code.IC_UNREACHABLE, site.name, said)


CHECK = Check("interconnect", "Do the interconnection databases answer?", _run)
