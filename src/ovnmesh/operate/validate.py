"""What a controller would say of a site file or a folder of manifests, before it sees them.

Reads by the providers, so the verdict is the controller's own. Changes nothing.
"""

from dataclasses import dataclass
from pathlib import Path

from ovnmesh.errors import ConfigError, Problem, ProviderError
from ovnmesh.model.denied import pairs_of
from ovnmesh.model.desired import Router
from ovnmesh.providers.base import Wish
from ovnmesh.providers.cluster import CONFIG_NAME


@dataclass(frozen=True, slots=True)
class NetworkLine:
    """A network of a site.

    Attributes:
        network: the network.
        state: "advertised" or "denied".
        what: what it is, or why it is denied.
    """

    network: str
    state: str
    what: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a controller would say of one file or folder.

    Attributes:
        path: as given.
        problems: what is wrong with it.
        error: why it could not be judged whole, "" if it was.
        wish: what it says; None if it says nothing usable.
    """

    path: Path
    problems: tuple[Problem, ...] = ()
    error: str = ""
    wish: Wish | None = None

    @property
    def word(self) -> str:
        """The verdict in a word: "right", "wrong", or "unknown"."""
        return "wrong" if self.problems else "unknown" if self.error else "right"

    @property
    def az(self) -> str:
        """AZ name of the site, "" if it says none."""
        config = self.wish.config if self.wish is not None else None
        return config.az_name if config is not None else ""

    @property
    def named_routers(self) -> tuple[Router, ...]:
        """Routers that the file names; a folder of manifests names none, the controller does."""
        routers = self.wish.routers if self.wish is not None else ()
        return tuple(router for router in routers if router.ports_named_after)

    @property
    def networks(self) -> tuple[NetworkLine, ...]:
        """Each network of the site."""
        if self.wish is None:
            return ()
        told = (("advertised", self.wish.local), ("denied", self.wish.denied))
        return tuple(
            NetworkLine(str(prefix), word, what)
            for word, prefixes in told
            for prefix, what in pairs_of(prefixes)
        )


def judge(path: Path, cloud: bool) -> Verdict:
    """Judge a site file or a folder of manifests.

    Args:
        path: the file or folder.
        cloud: also ask the cloud.
    """
    try:
        wish = _read_folder(path) if path.is_dir() else _read_file(path, cloud)
    except ConfigError as error:
        return Verdict(path, error.problems)
    except ProviderError as error:
        return Verdict(path, error=str(error))
    return Verdict(path, wish.problems, wish=wish)


def _read_folder(path: Path) -> Wish:
    from ovnmesh.providers.manifests import ManifestsProvider

    wish = ManifestsProvider(path).read()
    if not wish.config_present:
        expected = f"a ConfigMap {CONFIG_NAME}, or an Interconnection, in a *.yaml file"
        raise ConfigError([*wish.problems, Problem(str(path), "no configuration", expected)])
    return wish


def _read_file(path: Path, cloud: bool) -> Wish:
    from ovnmesh.providers.openstack.site_file import read_site_file

    file = read_site_file(path)
    if not cloud:
        return Wish(config=file.site.config)
    from ovnmesh.providers.openstack.api import Api, read_neutron
    from ovnmesh.providers.openstack.resolve import resolve

    api = Api(file.site)
    try:
        return resolve(file, read_neutron(api, [each.name for each in file.site.routers]))
    finally:
        api.close()
