"""Questions to Neutron, by openstacksdk.

Called by the provider and by commands, never by the controller's own thread. Lists only: a reading
takes four or five requests, however many routers and subnets a site has (up to hundreds). The one
place where exceptions of openstacksdk and keystoneauth become ours. Must not decide.
"""

import ipaddress
import logging
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import openstack.config
import requests
import yaml
from keystoneauth1 import exceptions as keystone
from openstack import exceptions as sdk
from openstack.connection import Connection

from ovnmesh.config import quote
from ovnmesh.errors import ProviderError
from ovnmesh.providers.openstack.neutron import OPT_OUT_TAG, Neutron, NeutronRouter, NeutronSubnet
from ovnmesh.providers.openstack.site_spec import OpenStackSite

LOG = logging.getLogger(__name__)

TIMEOUT_S = 10.0
"""Seconds to connect, and between two bytes of an answer; ``api_timeout`` of clouds.yaml wins."""
#: Values of one filter in a request: 40 ids make 1.6 kB, and uwsgi takes 4 kB of headers unless it
#: is told otherwise (uwsgi, buffer-size), of which a token may be a part.
_CHUNK = 40
_ID = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{32}")
_INTERFACE = "network:router_interface"
_ROUTER_FIELDS = ("id", "name", "admin_state_up", "external_gateway_info", "routes")
_SUBNET_FIELDS = ("id", "name", "cidr", "network_id", "tags")
_URL = re.compile(r"https?://[\w.:\[\]-]*[\w\]]")

_FOREIGN = (sdk.SDKException, keystone.ClientException, requests.RequestException)

# It logs the lines of a wrong clouds.yaml, which may hold a password.
logging.getLogger("openstack.config").setLevel(logging.CRITICAL)


class Api:
    """Neutron of one cloud.

    Args:
        site: names the cloud, its entry of clouds.yaml.
    """

    def __init__(self, site: OpenStackSite) -> None:
        self.cloud = site.cloud
        self._clouds_yaml = site.clouds_yaml
        self._connection: Connection | None = None

    def serves(self, site: OpenStackSite) -> bool:
        """Whether this is the cloud that a site names."""
        return (self.cloud, self._clouds_yaml) == (site.cloud, site.clouds_yaml)

    @property
    def network(self) -> Any:
        """Openstacksdk's network proxy; made when first asked for.

        Raises:
            ProviderError: clouds.yaml, or the entry, is missing or wrong.
        """
        if self._connection is None:
            self._connection = self._connect()
        return self._connection.network

    def _connect(self) -> Connection:
        files = [self._clouds_yaml] if self._clouds_yaml else None
        if files:
            _check_clouds_yaml(Path(files[0]))
        try:
            config = openstack.config.OpenStackConfig(
                config_files=files,
                secure_files=[str(Path(files[0]).with_name("secure.yaml"))] if files else None,
                load_envvars=not files,
            )
            if self.cloud not in config.get_cloud_names():
                raise ProviderError(_unknown_cloud(self.cloud, config))
            region = config.get_one(self.cloud)
        except (sdk.SDKException, keystone.ClientException) as error:
            said = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise ProviderError(
                f"cloud {quote(self.cloud)}: found {said}; expected a whole entry in clouds.yaml"
            ) from error
        if region.config.get("api_timeout") is None:
            region.config["api_timeout"] = TIMEOUT_S
        return Connection(config=region)

    def look_closer(self, error: Exception) -> Exception:
        """What is behind a failed discovery: keystoneauth keeps the reason to itself."""
        url = _URL.search(str(error))
        if url is not None and self._connection is not None:
            try:
                self._connection.session.get(url[0])
            except _FOREIGN as reason:
                return reason
        return error

    def close(self) -> None:
        """Forget the connection; the next question makes a new one, with clouds.yaml as it is."""
        if self._connection is not None:
            self._connection.close()
        self._connection = None


@contextmanager
def asking(api: Api) -> Iterator[Any]:
    """Ask; what goes wrong becomes a `ProviderError` without secrets, the same text each time.

    Yields:
        openstacksdk's network proxy.
    """
    try:
        yield api.network
    except _FOREIGN as error:
        LOG.debug("cloud %s: %s", api.cloud, type(error).__name__, exc_info=True)
        cause = api.look_closer(error) if isinstance(error, keystone.DiscoveryFailure) else error
        api.close()
        raise ProviderError(f"cloud {quote(api.cloud)}: {explain(cause)}") from None


def read_neutron(api: Api, names: Iterable[str]) -> Neutron:
    """Everything about some routers.

    Args:
        api: the cloud.
        names: names or ids of the routers.

    Raises:
        ProviderError: Neutron cannot be asked, or does not answer.
    """
    with asking(api) as network:
        return _read_neutron(network, list(names))


def _read_neutron(network: Any, wanted: list[str]) -> Neutron:
    found = {router.id: router for router in _routers(network, name=wanted)}
    ids = [name for name in wanted if _ID.fullmatch(name.lower())]
    found |= {router.id: router for router in _routers(network, id=ids)}
    routers = tuple(found.values())
    interfaces = _interfaces(network, [router.id for router in routers])
    externals = sorted({router.external_network for router in routers} - {""})
    subnets = {
        subnet.id: subnet
        for subnet in (
            *_subnets(network, id=sorted({each for ids in interfaces.values() for each in ids})),
            *_subnets(network, network_id=externals),
        )
    }
    known = {name for router in routers for name in (router.id, router.name)}
    neutron = Neutron(routers, interfaces, subnets)
    if set(wanted) <= known:
        return neutron
    others = tuple(each.name or each.id for each in network.routers(fields=["id", "name"]))
    if set(others) & (set(wanted) - known):
        # Seen from a Neutron that had just started; a router must not be taken for gone.
        raise ProviderError(
            "Neutron's answers contradict each other: it lists a router that it does not find by "
            "name. It may have just started; it is asked again"
        )
    return replace(neutron, other_routers=tuple(sorted(others)))


def listed(
    question: Callable[..., Iterable[Any]], key: str, values: Sequence[str], **rest: Any
) -> Iterator[Any]:
    """Every object that has one of some values of a key; none if there are no values."""
    for start in range(0, len(values), _CHUNK):
        yield from question(**{key: list(values[start : start + _CHUNK])}, **rest)


def _routers(network: Any, **wanted: list[str]) -> Iterator[NeutronRouter]:
    ((key, values),) = wanted.items()
    for each in listed(network.routers, key, values, fields=list(_ROUTER_FIELDS)):
        gateway = each.external_gateway_info or {}
        addresses = tuple(
            (ipaddress.ip_address(fixed["ip_address"]), fixed["subnet_id"])
            for fixed in gateway.get("external_fixed_ips", ())
            if fixed.get("ip_address")
        )
        enabled = each.is_admin_state_up is not False
        outside = gateway.get("network_id") or ""
        extra = [route["destination"] for route in each.routes or ()]
        destinations = (ipaddress.ip_network(text, strict=False) for text in extra)
        # OVN advertises no default route unless told to (ovn-nb(5), ic-route-adv-default).
        routes = tuple(network for network in destinations if network.prefixlen)
        yield NeutronRouter(each.id, each.name or "", enabled, outside, addresses, routes)


def _interfaces(network: Any, routers: list[str]) -> dict[str, tuple[str, ...]]:
    found: dict[str, set[str]] = {router: set() for router in routers}
    fields = ["device_id", "fixed_ips"]
    ports = listed(network.ports, "device_id", routers, device_owner=_INTERFACE, fields=fields)
    for port in ports:
        found[port.device_id] |= {fixed["subnet_id"] for fixed in port.fixed_ips or ()}
    return {router: tuple(sorted(subnets)) for router, subnets in found.items()}


def _subnets(network: Any, **wanted: list[str]) -> Iterator[NeutronSubnet]:
    ((key, values),) = wanted.items()
    for each in listed(network.subnets, key, values, fields=list(_SUBNET_FIELDS)):
        yield NeutronSubnet(
            each.id,
            each.name or "",
            ipaddress.ip_network(each.cidr, strict=False),
            each.network_id,
            OPT_OUT_TAG in (each.tags or ()),
        )


def explain(error: Exception) -> str:
    """What went wrong and what to do, in words that do not change from one attempt to the next."""
    url = _URL.search(str(error))
    at = f" at {url[0]}" if url else ""
    status = getattr(error, "status_code", None) or getattr(error, "http_status", None)
    if isinstance(error, keystone.SSLError):
        return (
            f"the API{at} has a certificate that is not trusted; expected `cacert` in the entry of "
            "clouds.yaml"
        )
    if status == 401:
        return (
            "the credentials are refused (401); expected a user and password, or application "
            "credential, that Keystone knows, in clouds.yaml"
        )
    if status == 403:
        return "this user may not do that (403); expected the role reader, see docs/openstack.md"
    if isinstance(error, keystone.ConnectTimeout):
        return f"the API{at} does not answer in time; expected Neutron and Keystone to run there"
    if isinstance(error, keystone.ConnectionError | requests.RequestException):
        return f"the API{at} cannot be reached; expected Neutron and Keystone to run there"
    if isinstance(
        error, keystone.CatalogException | sdk.EndpointNotFound | sdk.ServiceDiscoveryException
    ):
        return (
            "the catalog has no network service that fits; expected one, in the region and of the "
            "interface that clouds.yaml names"
        )
    if isinstance(error, keystone.AuthPluginException):
        return f"{error}; expected a whole entry in clouds.yaml"
    if status is not None:
        return f"the API{at} fails (HTTP status {status}); see Neutron's log"
    return f"the API{at} cannot be used ({type(error).__name__}); expected Neutron to answer there"


def _check_clouds_yaml(path: Path) -> None:
    """Refuse a file that openstacksdk would pass over in silence."""
    try:
        yaml.safe_load(path.read_bytes())
    except OSError as error:
        found = f"{path}, which cannot be read ({error.strerror})"
        raise ProviderError(f"clouds-yaml: found {found}; expected a clouds.yaml") from None
    except yaml.YAMLError as error:
        # Not its text: it quotes the line, which may hold a password.
        mark = getattr(error, "problem_mark", None)
        at = f", line {mark.line + 1}" if mark else ""
        raise ProviderError(f"clouds-yaml: {path}{at}: not YAML; expected a clouds.yaml") from None


def _unknown_cloud(cloud: str, config: Any) -> str:
    # "defaults" is openstacksdk's own word for no cloud at all.
    named = sorted(name for name in config.get_cloud_names() if name and name != "defaults")
    names = ", ".join(named)
    known = f"one of {names}" if names else "an entry of that name; there is none at all"
    place = config.config_filename or "clouds.yaml"
    return f"cloud {quote(cloud)}: found no such entry in {place}; expected {known}"
