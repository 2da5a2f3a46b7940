"""Runs a site's Keystone 30: its files, its first user, its API server.

Called by `site`, `template` and `neutron`, for sites that have one. The catalog's entry for Neutron
is `objects`' business.
"""

import base64
import secrets
from pathlib import Path

from ovnmesh.host.process import run
from ovnmesh.lab.openstack import mariadb, wsgi
from ovnmesh.lab.values.openstack_shape import APPLICATIONS, KEYSTONE, KEYSTONE_PORT, REGION
from ovnmesh.lab.values.topology import Site

USER = "admin"
PROJECT = "admin"
DOMAIN = "Default"

_TOOL_TIMEOUT_S = 180.0
_KEY_BYTES = 32
"""Of a Fernet key, written in base64 (Fernet's specification)."""


def write_files(site: Site) -> None:
    """Write what a new site's Keystone reads, and its administrator's password."""
    directory = _directory(site)
    directory.mkdir()
    keys = {name: directory / name for name in ("fernet", "credential")}
    for repository in keys.values():
        _write_keys(repository)
    wsgi.write_secret(_password_file(site), secrets.token_hex(16))
    wsgi.write_configuration(
        _configuration(site),
        {
            "database": {"connection": mariadb.url(site.require_openstack().directory, KEYSTONE)},
            "fernet_tokens": {"key_repository": str(keys["fernet"])},
            "fernet_receipts": {"key_repository": str(keys["fernet"])},
            "credential": {"key_repository": str(keys["credential"])},
            "cache": {"enabled": "false"},
        },
    )


def _write_keys(repository: Path) -> None:
    """Write what ``keystone-manage fernet_setup`` does: a staged key, 0, and a primary one, 1."""
    repository.mkdir(mode=0o700)
    for name in ("0", "1"):
        key = base64.urlsafe_b64encode(secrets.token_bytes(_KEY_BYTES)).decode()
        wsgi.write_secret(repository / name, key)


def migrate(directory: Path, venv: Path) -> None:
    """Make the tables of an empty database.

    Args:
        directory: where MariaDB runs.
        venv: virtual environment of Keystone.

    Raises:
        ProcessError: it failed.
    """
    configuration = directory / "keystone-migrate.conf"
    connection = mariadb.url(directory, KEYSTONE)
    wsgi.write_configuration(configuration, {"database": {"connection": connection}})
    words = [str(venv / "bin" / "keystone-manage"), "--config-file", str(configuration)]
    run([*words, "db_sync"], timeout_s=_TOOL_TIMEOUT_S)


def bootstrap(site: Site) -> None:
    """Make the administrator, the roles, the region, and Keystone's own entry in the catalog.

    Raises:
        ProcessError: it failed.
    """
    cloud = site.require_openstack()
    words = [str(cloud.venv / "bin" / "keystone-manage")]
    words += ["--config-file", str(_configuration(site)), "bootstrap"]
    words += ["--bootstrap-username", USER, "--bootstrap-project-name", PROJECT]
    words += ["--bootstrap-region-id", REGION]
    # Users take the public one, Neutron the internal one.
    for interface in ("public", "internal"):
        words += [f"--bootstrap-{interface}-url", f"{cloud.keystone_url}/v3"]
    # Not an argument: those are for all to see.
    env = {"OS_BOOTSTRAP_PASSWORD": password(site)}
    run(words, netns=site.control_netns, env=env, timeout_s=_TOOL_TIMEOUT_S)


def api(site: Site) -> wsgi.Api:
    """A site's Keystone API server."""
    cloud = site.require_openstack()
    return wsgi.Api(
        name=KEYSTONE,
        application=APPLICATIONS[KEYSTONE],
        program=cloud.venv / "bin" / "uwsgi",
        directory=_directory(site),
        listen=f"{cloud.address}:{KEYSTONE_PORT}",
        env={
            "OS_KEYSTONE_CONFIG_DIR": str(_directory(site)),
            "OS_KEYSTONE_CONFIG_FILES": _configuration(site).name,
        },
    )


def password(site: Site) -> str:
    """Password of the administrator."""
    return _password_file(site).read_text()


def credentials(site: Site) -> dict[str, str]:
    """What the administrator authenticates with, in the words of clouds.yaml."""
    return {
        "auth_url": f"{site.require_openstack().keystone_url}/v3",
        "username": USER,
        "password": password(site),
        "project_name": PROJECT,
        "user_domain_name": DOMAIN,
        "project_domain_name": DOMAIN,
    }


def token_options(site: Site) -> dict[str, str]:
    """Options by which another service checks its callers' tokens (keystonemiddleware).

    A deployment has a user for each service; a lab lets them all be administrator.
    """
    uri = f"{site.require_openstack().keystone_url}/v3"
    return {"www_authenticate_uri": uri, "auth_type": "password", **credentials(site)}


def _directory(site: Site) -> Path:
    return site.require_openstack().directory / KEYSTONE


def _configuration(site: Site) -> Path:
    return _directory(site) / "keystone.conf"


def _password_file(site: Site) -> Path:
    return _directory(site) / "password"
