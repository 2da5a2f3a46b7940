"""What to do about findings in an OpenStack cloud, by code.

Called by the provider, and by `ovnmesh openstack join`, which plans without a controller.
"""

from collections.abc import Mapping

from ovnmesh.providers.openstack.neutron import OPT_OUT_TAG

ADVICE: Mapping[str, str] = {
    "cidr-conflict": "In this cloud, a subnet is kept out by a tag: openstack subnet set "
    f"--tag {OPT_OUT_TAG} SUBNET",
    "config-missing": "It belongs in the site file.",
    "nat-without-external-port": "Neutron owns the rules. To give the router its gateway back: "
    "openstack router set --external-gateway NETWORK ROUTER",
    "nat-without-gateway-port": "Neutron owns the rules: when it makes one anew, repeat that. What "
    "lasts are floating IPs of the subnet in which the router's own external address is.",
    "router-disabled": "To enable it: openstack router set --enable {subject}",
    "router-missing": "The site file names it, in the list `routers`; see: openstack router list",
}
