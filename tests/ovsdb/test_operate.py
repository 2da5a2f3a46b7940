"""What a person wants done, on real databases and without a screen."""

import pytest

from ovnmesh.access.sites import SiteAddress
from ovnmesh.errors import ConfigError, OvnmeshError
from ovnmesh.model.prefixes import Prefix
from ovnmesh.operate.manual_route import add_route, delete_route, parse_route_prefix
from servers import wait_for


def address_of(site) -> SiteAddress:
    return SiteAddress(
        f"az{site.number}", site.nb.remote, site.sb.remote, site.ic.nb.remote, site.ic.sb.remote
    )


def test_manual_route_added_and_removed(pair) -> None:
    one, _two = pair
    address, prefix = address_of(one), parse_route_prefix("10.99.0.0/24")
    assert add_route(address, prefix, "az2")
    wait_for(lambda: "10.99.0.0/24" in one.routes(), what=one.routes)
    assert add_route(address, prefix, "az2") == "", "it is there already"
    assert delete_route(address, prefix, "az2")
    wait_for(lambda: "10.99.0.0/24" not in one.routes(), what=one.routes)
    assert delete_route(address, prefix, "az2") == "", "there is none"


def test_manual_route_that_cannot_be(pair, sites) -> None:
    with pytest.raises(ConfigError, match=r'PREFIX: found "10\.99"'):
        parse_route_prefix("10.99")
    prefix = parse_route_prefix("10.99.0.0/24")
    assert isinstance(prefix, Prefix)
    with pytest.raises(OvnmeshError, match="az9"):
        add_route(address_of(pair[0]), prefix, "az9")
    with pytest.raises(OvnmeshError, match="site az3 is not connected"):
        add_route(address_of(sites(3)), prefix, "az2")
