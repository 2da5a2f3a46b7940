"""Where a lab site's objects are: in its folder of manifests, or behind its Kubernetes API.

Called by `runner`, which need not know. Labs without API servers never import the API's client.
"""

from collections.abc import Iterable

from ovnmesh.errors import LabError
from ovnmesh.lab.kubernetes import apiserver, manifests
from ovnmesh.lab.kubernetes.manifests import Change, Manifest
from ovnmesh.lab.values.topology import Site


def check_api_needs() -> None:
    """Check that what API servers need is there: programs and manifests.

    Raises:
        LabError: names what is missing, and where to get it.
    """
    from ovnmesh.lab.kubernetes import api_objects as kubernetes

    apiserver.check_programs()
    kubernetes.check_deploy()


def apply_objects(site: Site, documents: Iterable[Manifest]) -> tuple[Change, ...]:
    """Put objects in the place of those of the same kind and name.

    Args:
        site: the site.
        documents: parsed by `manifests.parse_manifests`.

    Returns:
        What changed, in the order given.

    Raises:
        LabError: the API refuses an object, and those before it are applied; or the site is an
            OpenStack one.
    """
    _check_shape(site)
    if site.api_address is None:
        return manifests.apply_manifests(site.manifests, documents)
    from ovnmesh.lab.kubernetes import api_objects as kubernetes

    return kubernetes.apply_manifests(site, documents)


def delete_objects(site: Site, documents: Iterable[Manifest]) -> tuple[Change, ...]:
    """Take objects away; those not there are passed over.

    Args:
        site: the site.
        documents: parsed by `manifests.parse_manifests`; kind and name count.

    Returns:
        What was removed, in the order given.

    Raises:
        LabError: the API refuses to delete an object, or the site is an OpenStack one.
    """
    _check_shape(site)
    if site.api_address is None:
        return manifests.delete_manifests(site.manifests, documents)
    from ovnmesh.lab.kubernetes import api_objects as kubernetes

    return kubernetes.delete_manifests(site, documents)


def _check_shape(site: Site) -> None:
    if site.openstack:
        raise LabError(
            f"site {site.name}: an OpenStack site has no manifests; use its API: "
            f"OS_CLIENT_CONFIG_FILE={site.openstack.clouds_yaml} openstack --os-cloud {site.name}"
        )
