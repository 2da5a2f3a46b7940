"""The site file and the cloud's answers, judged as the controller judges them."""

from collections.abc import Iterator

from ovnmesh.model.check import Check, Examined
from ovnmesh.model.finding import Finding
from ovnmesh.providers.openstack.checks.answer import CloudAnswer


def configuration_check(cloud: CloudAnswer) -> Check:
    """The check, of what a cloud has answered."""

    def run(_: Examined) -> Iterator[Finding]:
        yield from cloud.findings

    return Check("configuration", "Is the site file right, and does the cloud answer?", run)
