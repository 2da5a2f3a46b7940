"""Which databases a SITE argument means.

Names are looked up in a sites file (`--sites-file`,
OVNMESH_SITES, the lab's own, /etc/ovnmesh/sites.yaml); without a name and without a file, the
environment variables of ovn-nbctl(8) and its siblings count. Must not connect.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ovnmesh import ovn_keys as keys
from ovnmesh.errors import ConfigError, Problem
from ovnmesh.model.remote import NOWHERE, Remote, parse_remote

SITES_VARIABLE = "OVNMESH_SITES"
#: Where `ovnmesh lab` keeps its own sites file (cli.lab, `--dir`).
LAB_VARIABLE, LAB_DIR = "OVNMESH_LAB_DIR", "/run/ovnmesh-lab"
SYSTEM_FILE = Path("/etc/ovnmesh/sites.yaml")
#: Where OVN opens its sockets on Debian (ovn-ctl(8)).
RUN_DIR = "/var/run/ovn"
NB_SOCKET, SB_SOCKET = f"unix:{RUN_DIR}/ovnnb_db.sock", f"unix:{RUN_DIR}/ovnsb_db.sock"
#: Name of the one site where no file names any.
LOCAL_SITE = "local"


@dataclass(frozen=True, slots=True)
class SiteAddress:
    """How to reach one site.

    Attributes:
        name: as given.
        nb: where the northbound database is.
        sb: where the southbound database is.
        ic_nb: where the interconnection northbound database is; `NOWHERE` to use what the site's
            own record says.
        ic_sb: the same, southbound.
        router: the cluster's logical router.
        config: folder of the site's manifests, None if it is configured elsewhere.
        openstack: site file of an OpenStack cloud, None for other sites.
    """

    name: str
    nb: Remote
    sb: Remote
    ic_nb: Remote = NOWHERE
    ic_sb: Remote = NOWHERE
    router: str = keys.DEFAULT_ROUTER
    config: Path | None = None
    openstack: Path | None = None


def sites_file(given: Path | None) -> Path | None:
    """The sites file that applies, or None if there is none."""
    if given is not None:
        return given
    if named := os.environ.get(SITES_VARIABLE):
        return Path(named)
    lab = Path(os.environ.get(LAB_VARIABLE, LAB_DIR)) / "sites.yaml"
    return next((path for path in (lab, SYSTEM_FILE) if path.is_file()), None)


def load_sites(given: Path | None) -> dict[str, SiteAddress]:
    """All sites of the sites file; without one, the site of the environment if there is any.

    Raises:
        ConfigError: the file cannot be read or is not a sites file.
    """
    path = sites_file(given)
    if path is None:
        return _from_environment()
    import yaml  # only where there is a file: every command looks for one

    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise _wrong(path, str(error), "a readable YAML file") from error
    entries = document.get("sites") if isinstance(document, dict) else None
    if not isinstance(entries, dict):
        raise _wrong(path, repr(document)[:60], "a mapping `sites:` from names to databases")
    return {str(name): _parse_site(path, str(name), entry) for name, entry in entries.items()}


def pick_sites(names: list[str], given: Path | None) -> list[SiteAddress]:
    """The named sites, or all.

    Raises:
        ConfigError: a name is not in the sites file.
    """
    sites = load_sites(given)
    for name in names:
        if name not in sites:
            known = ", ".join(sorted(sites))
            expected = f"one of: {known}" if known else "a sites file that names it (--sites-file)"
            raise ConfigError([Problem("SITE", f'"{name}"', expected)])
    return [sites[name] for name in names or sorted(sites)]


def complete_site(incomplete: str) -> list[str]:
    """Site names for shell completion."""
    try:
        return [name for name in load_sites(None) if name.startswith(incomplete)]
    except ConfigError:
        return []


def named_interconnect(sites: Iterable[SiteAddress]) -> tuple[Remote, Remote]:
    """Where the interconnection databases are: as the sites say, else as on their own host.

    Returns:
        Northbound and southbound; `NOWHERE` if nothing says.
    """
    for site in sites:
        if site.ic_nb and site.ic_sb:
            return site.ic_nb, site.ic_sb
    variables = ("OVN_IC_NB_DB", "OVN_IC_SB_DB")
    nb, sb = (parse_remote(os.environ.get(variable, "")) for variable in variables)
    if nb and sb:
        return nb, sb
    # Default sockets of ovn-ctl(8), which `ovnmesh ic-db` opens too.
    sockets = [_run_dir() / f"ovn_ic_{side}_db.sock" for side in ("nb", "sb")]
    if all(socket.exists() for socket in sockets):
        return Remote((f"unix:{sockets[0]}",)), Remote((f"unix:{sockets[1]}",))
    return NOWHERE, NOWHERE


def _run_dir() -> Path:
    """Where OVN's own tools look for sockets (ovn-ctl(8))."""
    return Path(os.environ.get("OVN_RUNDIR", RUN_DIR))


def _from_environment() -> dict[str, SiteAddress]:
    # Defaults of ovn-nbctl(8) and its siblings on Debian. A host with none of them has no site:
    # the interconnection databases' own host, say.
    nb, sb = (_run_dir() / f"ovn{side}_db.sock" for side in ("nb", "sb"))
    if "OVN_NB_DB" not in os.environ and not nb.exists():
        return {}
    site = SiteAddress(
        LOCAL_SITE,
        parse_remote(os.environ.get("OVN_NB_DB", f"unix:{nb}")),
        parse_remote(os.environ.get("OVN_SB_DB", f"unix:{sb}")),
        parse_remote(os.environ.get("OVN_IC_NB_DB", "")),
        parse_remote(os.environ.get("OVN_IC_SB_DB", "")),
        os.environ.get("OVNMESH_ROUTER", keys.DEFAULT_ROUTER),
    )
    return {site.name: site}


def _parse_site(path: Path, name: str, entry: object) -> SiteAddress:
    allowed = {"nb", "sb", "ic_nb", "ic_sb", "router", "config", "openstack"}
    if not isinstance(entry, dict) or not {"nb", "sb"} <= set(entry) <= allowed:
        raise _wrong(path, f"sites.{name}: {entry!r}"[:80], f"keys nb, sb of {sorted(allowed)}")
    text = {str(key): str(value) for key, value in entry.items()}
    paths = {key: Path(text.pop(key)) for key in ("config", "openstack") if text.get(key)}
    databases = {"nb", "sb", "ic_nb", "ic_sb"} & text.keys()
    remotes = {key: parse_remote(text.pop(key)) for key in databases}
    return SiteAddress(name=name, **paths, **remotes, **text)  # type: ignore[arg-type]


def _wrong(path: Path, found: str, expected: str) -> ConfigError:
    return ConfigError([Problem(f"sites file {path}", found, expected)])
