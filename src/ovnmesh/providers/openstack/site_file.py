"""The site file on disk.

Called by the provider and by the commands about the file. Must not ask Neutron.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ovnmesh.errors import ConfigError, Problem, ProviderError
from ovnmesh.providers.files.yaml_documents import LocatedDict, parse_documents
from ovnmesh.providers.openstack.site_spec import OpenStackSite, parse_site


@dataclass(frozen=True, slots=True)
class SiteFile:
    """A site file that is right.

    Attributes:
        name: its name, for messages.
        site: what it says.
        lines: line of each key.
    """

    name: str
    site: OpenStackSite
    lines: Mapping[object, int] = field(default_factory=dict)

    def place(self, key: str) -> str:
        """Where a key stands, for messages."""
        at = f"{self.name}:{self.lines[key]}" if key in self.lines else self.name
        return f"{at}, {key}"


def read_bytes(path: Path) -> bytes | None:
    """Content of the file, None if there is no such file.

    Raises:
        ProviderError: it cannot be read.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ProviderError(
            f"site file {path}: found {error.strerror}; expected a file that can be read"
        ) from error


def parse_site_file(content: bytes, path: Path) -> SiteFile:
    """Parse the content of a site file.

    Raises:
        ConfigError: with every problem.
    """
    name = path.name if path.name.isprintable() else "site file"
    documents = parse_documents(content, name)
    if len(documents) != 1 or documents[0] is None:
        found = f"{len(documents)} documents" if len(documents) > 1 else "an empty file"
        raise ConfigError([Problem(name, found, "one YAML document, with keys such as az-name")])
    (document,) = documents
    lines = document.lines if isinstance(document, LocatedDict) else {}
    return SiteFile(name, parse_site(document, name, lines), lines)


def read_site_file(path: Path) -> SiteFile:
    """Read and parse a site file.

    Raises:
        ProviderError: it cannot be read.
        ConfigError: it is missing, or wrong.
    """
    content = read_bytes(path)
    if content is None:
        expected = "a site file; `ovnmesh openstack join` can write one"
        raise ConfigError([Problem(str(path), "no such file", expected)])
    return parse_site_file(content, path)
