"""Runs a site's Neutron 29: its files, its API server, and its tools for OVN.

Called by `site`, `template` and tests. Knows flags and options; what is in Neutron is `objects`'
business. The options are those of a deployment on OVN (neutron.conf, ml2_conf.ini), without the
message queue, on which nobody listens in a deployment without agents.
"""

import subprocess
from pathlib import Path

from ovnmesh.host.process import run, spawn
from ovnmesh.lab.openstack import keystone, mariadb, wsgi
from ovnmesh.lab.values.openstack_shape import APPLICATIONS, NEUTRON, NEUTRON_PORT
from ovnmesh.lab.values.topology import Site

MAINTENANCE_WORKER = "neutron-ovn-maintenance-worker"

_TOOL_TIMEOUT_S = 180.0


def write_files(site: Site) -> None:
    """Write what a new site's Neutron reads."""
    cloud = site.require_openstack()
    directory = cloud.directory / NEUTRON
    directory.mkdir()
    common = {"core_plugin": "ml2", "service_plugins": "ovn-router", "host": f"{site.name}-control"}
    # Processes keep the names by which the lab finds them.
    common["setproctitle"] = "off"
    sections: dict[str, dict[str, str]] = {
        "DEFAULT": {
            **common,
            "auth_strategy": "keystone" if cloud.keystone else "noauth",
            "api_paste_config": str(cloud.venv / "etc" / NEUTRON / "api-paste.ini"),
            "state_path": str(directory / "state"),
            "transport_url": "fake://",
            "rpc_workers": "0",
            "rpc_state_report_workers": "0",
        },
        "database": {"connection": mariadb.url(cloud.directory, NEUTRON)},
        "oslo_concurrency": {"lock_path": str(directory / "lock")},
    }
    if cloud.keystone:
        sections["keystone_authtoken"] = keystone.token_options(site)
    (directory / "state").mkdir()
    wsgi.write_configuration(_files(directory)[0], sections)
    wsgi.write_configuration(
        _files(directory)[1],
        {
            "ml2": {
                "type_drivers": "geneve,flat,local",
                "tenant_network_types": "geneve",
                "mechanism_drivers": "ovn",
                "extension_drivers": "port_security",
            },
            "ml2_type_geneve": {"vni_ranges": "1:65536", "max_header_size": "38"},
            "ml2_type_flat": {"flat_networks": "*"},
            "ovn": {
                "ovn_nb_connection": site.nb,
                "ovn_sb_connection": site.sb,
                "ovn_metadata_enabled": "false",
            },
        },
    )


def migrate(directory: Path, venv: Path) -> None:
    """Make the tables of an empty database.

    Args:
        directory: where MariaDB runs.
        venv: virtual environment of Neutron.

    Raises:
        ProcessError: it failed.
    """
    configuration = directory / "neutron-migrate.conf"
    connection = mariadb.url(directory, NEUTRON)
    wsgi.write_configuration(configuration, {"database": {"connection": connection}})
    words = [str(venv / "bin" / "neutron-db-manage"), "--config-file", str(configuration)]
    run([*words, "upgrade", "heads"], timeout_s=_TOOL_TIMEOUT_S)


def api(site: Site) -> wsgi.Api:
    """A site's Neutron API server."""
    cloud = site.require_openstack()
    directory = cloud.directory / NEUTRON
    return wsgi.Api(
        name=NEUTRON,
        application=APPLICATIONS[NEUTRON],
        program=cloud.venv / "bin" / "uwsgi",
        directory=directory,
        listen=f"{cloud.address}:{NEUTRON_PORT}",
        env={
            "OS_NEUTRON_CONFIG_DIR": str(directory),
            "OS_NEUTRON_CONFIG_FILES": ";".join(path.name for path in _files(directory)),
        },
    )


def start_maintenance_worker(site: Site) -> "subprocess.Popen[bytes]":
    """Start Neutron's periodic repair of OVN's rows; it begins with one round of all its tasks."""
    directory = site.require_openstack().directory / NEUTRON
    return spawn(
        _tool(site, MAINTENANCE_WORKER),
        log=directory / f"{MAINTENANCE_WORKER}.log",
        netns=site.control_netns,
        pidfile=directory / f"{MAINTENANCE_WORKER}.pid",
    )


def repair(site: Site) -> str:
    """Run ``neutron-ovn-db-sync-util`` in repair mode: make OVN's rows what Neutron has.

    Returns:
        What it says.

    Raises:
        ProcessError: it failed.
    """
    words = [*_tool(site, "neutron-ovn-db-sync-util"), "--ovn-neutron_sync_mode", "repair"]
    return run(words, netns=site.control_netns, timeout_s=_TOOL_TIMEOUT_S)


def _tool(site: Site, name: str) -> list[str]:
    cloud = site.require_openstack()
    paths = _files(cloud.directory / NEUTRON)
    words = [str(cloud.venv / "bin" / name)]
    return words + [word for path in paths for word in ("--config-file", str(path))]


def _files(directory: Path) -> tuple[Path, Path]:
    return directory / "neutron.conf", directory / "ml2_conf.ini"
