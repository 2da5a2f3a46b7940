"""A cloud as a source of configuration under test: a site file and objects in a Neutron.

For any Neutron that openstacksdk reaches, the fake one or a real one; used by the provider contract
of both.
"""

import threading
from pathlib import Path

import yaml

from ovnmesh.providers.openstack.neutron import OPT_OUT_TAG
from ovnmesh.providers.openstack.provider import OpenStackProvider

#: Of the router of every harness on the same Neutron: to make one takes seconds.
ROUTER = "router-of-the-contract"


class CloudHarness:
    """One site file, one router with subnets.

    Args:
        folder: for the site file, exists.
        neutron: openstacksdk's network proxy.
        clouds_yaml: names the cloud `cloud`.
        cloud: entry of `clouds_yaml`.
        events: see `OpenStackProvider`.
    """

    def __init__(self, folder, neutron, clouds_yaml, cloud="mycloud", events=None):
        self.file = Path(folder) / "os1.yaml"
        self.neutron = neutron
        self._cloud = {"cloud": cloud, "clouds-yaml": str(clouds_yaml)}
        self.router = neutron.find_router(ROUTER) or neutron.create_router(name=ROUTER)
        self.provider = OpenStackProvider(self.file, events)
        #: Closes the API and opens it again; to be set where that is possible.
        self.take_away = self.bring_back = lambda: None

    def put(self, manifest):
        """A ConfigMap becomes the site file, a Subnet a subnet on the router for each network."""
        if manifest["kind"] == "ConfigMap":
            content = {**manifest["data"], **self._cloud, "routers": [self.router.name]}
            scratch = self.file.with_name(".scratch")
            scratch.write_text(yaml.safe_dump(content))
            scratch.rename(self.file)
            return
        self.delete(manifest)
        spec = manifest["spec"]
        network = self.neutron.create_network(name=f"net-{manifest['metadata']['name']}")
        for cidr in spec["cidrBlock"].split(","):
            made = self.neutron.create_subnet(
                name=manifest["metadata"]["name"],
                network_id=network.id,
                cidr=cidr,
                ip_version=6 if ":" in cidr else 4,
            )
            self.neutron.add_interface_to_router(self.router, subnet_id=made.id)
            if spec.get("disableInterConnection"):
                self.neutron.set_tags(made, [OPT_OUT_TAG])

    def delete(self, manifest):
        if manifest["kind"] == "ConfigMap":
            self.file.unlink()
            return
        for found in list(self.neutron.subnets(name=manifest["metadata"]["name"])):
            self.neutron.remove_interface_from_router(self.router, subnet_id=found.id)
            self.neutron.delete_subnet(found)

    def read(self):
        """What the provider says as soon as it has looked."""
        looked, stop = threading.Event(), threading.Event()
        watch = threading.Thread(target=self.provider.watch, args=(looked.set, stop))
        watch.start()
        try:
            assert looked.wait(20)
            return self.provider.read()
        finally:
            stop.set()
            watch.join(5)

    def clean_up(self):
        """Remove what was made in Neutron, but for networks and the router."""
        for port in list(self.neutron.ports(device_id=self.router.id)):
            for fixed in port.fixed_ips:
                subnet = fixed["subnet_id"]
                self.neutron.remove_interface_from_router(self.router, subnet_id=subnet)
                self.neutron.delete_subnet(subnet)
