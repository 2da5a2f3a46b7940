"""Starts an OpenStack site of a lab, step by step.

Called by `boot`, whose phases the steps are, and by `faults`. Puts the modules beside it in order;
holds no knowledge of Neutron of its own.
"""

import json
from collections.abc import Iterable

import yaml

from ovnmesh import ovn_keys as keys
from ovnmesh.lab import daemons
from ovnmesh.lab.network import loopback
from ovnmesh.lab.openstack import keystone, mariadb, neutron, template, wsgi
from ovnmesh.lab.openstack.install import Installation
from ovnmesh.lab.values.openstack_shape import (
    FORWARD,
    KEYSTONE,
    MARIADB,
    NEUTRON,
    REGION,
    ROUTER_PREFIX,
)
from ovnmesh.lab.values.topology import Site


def write_files(site: Site, installation: Installation) -> None:
    """Write what a new site's services and controller read."""
    cloud = site.require_openstack()
    cloud.directory.mkdir(parents=True)
    cloud.venv.symlink_to(installation.venv)
    template.unpack_template(installation.template, cloud.directory)
    if cloud.keystone:
        keystone.write_files(site)
    neutron.write_files(site)
    cloud.site_file.parent.mkdir()
    wsgi.write_secret(cloud.site_file, yaml.safe_dump(site_document(site), sort_keys=False))


def write_clouds(sites: Iterable[Site]) -> None:
    """Write a lab's clouds.yaml, by which openstacksdk and the openstack client find its sites."""
    sites = tuple(sites)
    clouds = {site.name: _cloud_entry(site) for site in sites}
    document = yaml.safe_dump({"clouds": clouds}, sort_keys=False)
    for path in {site.require_openstack().clouds_yaml for site in sites}:
        wsgi.write_secret(path, document)


def _cloud_entry(site: Site) -> dict[str, object]:
    cloud = site.require_openstack()
    if not cloud.keystone:
        return {"auth_type": "none", "auth": {"endpoint": cloud.neutron_url}}
    entry = {"auth": keystone.credentials(site), "region_name": REGION}
    return {**entry, "interface": "public", "identity_api_version": 3}


def site_document(site: Site) -> dict[str, object]:
    """The site file of a site's controller."""
    cloud = site.require_openstack()
    return {
        "az-name": site.name,
        "enable-ic": site.enable_ic,
        "cloud": site.name,
        "clouds-yaml": str(cloud.clouds_yaml),
        "routers": list(cloud.routers),
        "ic-db-host": site.ic_db_host,
        "gw-nodes": keys.ENABLE_AS_GATEWAY,
        "auto-route": site.auto_route,
    }


def start_databases(site: Site) -> None:
    """Start a new site's MariaDB, without waiting for it."""
    mariadb.start(site.require_openstack().directory, site.control_netns)


def start_apis(site: Site) -> None:
    """Start a new site's API servers, without waiting for them.

    MariaDB must have been started, and OVN's databases must run: Neutron connects when it starts.

    Raises:
        LabError: the address on the machine's side is taken.
        ProcessError: MariaDB does not serve, or Keystone cannot be set up.
    """
    cloud = site.require_openstack()
    mariadb.wait_ready(cloud.directory)
    start_forward(site)
    wsgi.start(neutron.api(site), site.control_netns)
    if cloud.keystone:
        keystone.bootstrap(site)
        wsgi.start(keystone.api(site), site.control_netns)


def start_forward(site: Site) -> None:
    """Let the machine reach a site's APIs.

    Raises:
        LabError: the address on the machine's side is taken.
    """
    cloud = site.require_openstack()
    loopback.start_forward(site, cloud.address, cloud.ports, cloud.directory / "forward.log")


def populate(site: Site) -> None:
    """Wait for a new site's APIs, make all its objects, and plug its VMs.

    Raises:
        LabError: an API refuses something.
        ProcessError: an API does not answer.
    """
    from ovnmesh.lab.openstack import objects

    cloud = site.require_openstack()
    if cloud.keystone:
        wsgi.wait_ready(keystone.api(site))
    wsgi.wait_ready(neutron.api(site))
    if cloud.keystone:
        # With a token of its own: the catalog that a client has is that of its token.
        with objects.connect(site) as connection:
            objects.register_neutron(site, connection)
    with objects.connect(site) as connection:
        made = objects.populate(site, connection)
    routers = {name: f"{ROUTER_PREFIX}{key}" for name, key in made.routers.items()}
    cloud.routers_file.write_text(json.dumps(routers))
    for node in site.nodes:
        words: list[str] = []
        for vm in site.pods:
            if vm.node == node.name:
                words += ["--", *daemons.pod_port_words(vm, made.ports[vm.name])]
        if words:
            daemons.vsctl(node, *words[1:])
    wait = [word for port in made.ports.values() for word in ("--", *_up(port))]
    if wait:
        daemons.nbctl(site, *wait[1:])
    daemons.nbctl(site, "--wait=hv", "sync")


def _up(port: str) -> tuple[str, ...]:
    return ("wait-until", "Logical_Switch_Port", port, "up=true")


def heal(site: Site, daemon: str) -> None:
    """Start a daemon of a site again, and wait until it serves.

    Args:
        site: the site.
        daemon: one of `shape.OpenStack.daemons`, which does not run.

    Raises:
        ProcessError: it does not serve.
    """
    directory = site.require_openstack().directory
    if daemon == MARIADB:
        mariadb.wait_ready(directory, mariadb.start(directory, site.control_netns))
    elif daemon == FORWARD:
        start_forward(site)
    else:
        api = {NEUTRON: neutron.api, KEYSTONE: keystone.api}[daemon](site)
        wsgi.wait_ready(api, wsgi.start(api, site.control_netns))
