"""What a person wants done, on real databases and without a screen."""

import subprocess

import pytest

from ovnmesh.access.mesh import MeshSession
from ovnmesh.access.session import Session
from ovnmesh.access.sites import SiteAddress
from ovnmesh.errors import ConfigError, IcDbError, OvnmeshError, StalePlan
from ovnmesh.model.prefixes import Prefix
from ovnmesh.model.remote import Remote, parse_remote
from ovnmesh.operate import gateway, look
from ovnmesh.operate.diagnose import diagnose
from ovnmesh.operate.forget import count_leftovers, find_leftovers, forget
from ovnmesh.operate.leave import leave
from ovnmesh.operate.manual_route import add_route, delete_route, parse_route_prefix
from ovnmesh.operate.transit_switch import add_switch, list_switches, remove_switch
from servers import wait_for
from site_harness import connected


def address_of(site) -> SiteAddress:
    return SiteAddress(
        f"az{site.number}",
        *(parse_remote(each.remote) for each in (site.nb, site.sb, site.ic.nb, site.ic.sb)),
    )


def remotes_of(ic) -> tuple[Remote, Remote]:
    return parse_remote(ic.nb.remote), parse_remote(ic.sb.remote)


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


def carry(site, node: str, ts: str = "ts") -> None:
    """What ovn-controller does on the node that takes the traffic of a transit switch."""
    carried = f"external_ids:ovnmesh-ts={ts}"
    find = ("--bare", "--columns=name", "find", "Logical_Router_Port", carried)
    wait_for(lambda: site.nbctl(*find))
    port = site.nbctl(*find).split()[0]
    sbctl = ["ovn-sbctl", f"--db={site.sb.remote}", "--timeout=5"]
    found = [*sbctl, "--bare", "--columns=_uuid", "find", "Chassis", f"name={node}"]
    chassis = subprocess.run(found, check=True, capture_output=True, text=True).stdout.strip()
    bound = [*sbctl, "get", "Port_Binding", f"cr-{port}", "_uuid"]
    wait_for(lambda: subprocess.run(bound, check=False, capture_output=True).returncode == 0)
    subprocess.run([*sbctl, "set", "Port_Binding", f"cr-{port}", f"chassis={chassis}"], check=True)


def quiet(_: str) -> None:
    """Nobody is told."""


@pytest.fixture
def two_gateways(pair):
    one, _two = pair
    one.configure(gw="az1-gw,az1-n1")
    one.mark("az1-n1")
    wait_for(lambda: "az1-n1" in one.nbctl("list", "Gateway_Chassis"), 10, "second gateway")
    carry(one, "az1-gw")
    return one


def test_gateway_switched_over_and_back(two_gateways) -> None:
    site = two_gateways
    address, told = address_of(site), []
    assert [(x.node, x.state) for x in gateway.list_gateways(address)] == [
        ("az1-gw", "active"),
        ("az1-n1", "standby"),
    ]

    def follow(text: str) -> None:
        told.append(text)
        if text == "waiting for the controller":
            carry(site, "az1-n1")

    done = gateway.prefer(address, "az1-n1", ["ts"], follow)
    assert done is not None
    assert (done.why, done.active) == ("prefer az1-n1", "ts on az1-n1")
    assert told[:2] == ["prefer az1-n1", "waiting for the controller"]
    assert gateway.prefer(address, "az1-n1", [], quiet) is None
    drained = gateway.drain(address, "az1-gw", quiet)
    assert drained is not None
    assert "drained" in [line.state for line in gateway.list_gateways(address)]
    back = gateway.undrain(address, "az1-gw", quiet)
    assert back is not None
    assert gateway.all_served(back.lines)


def test_gateway_that_traffic_does_not_leave(two_gateways, monkeypatch) -> None:
    monkeypatch.setattr(gateway, "FOLLOW_S", 0.3)
    told: list[str] = []
    with pytest.raises(OvnmeshError, match="To take the wish back: ovnmesh gateway reset az1"):
        gateway.drain(address_of(two_gateways), "az1-gw", told.append)
    assert told[-1] == "waiting for the controller"


def test_gateway_without_a_controller_records_the_wish(two_gateways) -> None:
    two_gateways.stop_controllers()
    with pytest.raises(OvnmeshError, match="The wish is recorded: start `ovnmesh controller`"):
        gateway.drain(address_of(two_gateways), "az1-gw", quiet)
    with Session(address_of(two_gateways)) as session:
        assert session.northbound().gateway_state.drained == {"az1-gw"}


def test_transit_switch_that_no_site_uses_yet_is_named_with_who_is_awaited(pair, ic) -> None:
    told: list[str] = []
    with MeshSession(*remotes_of(ic)) as mesh:
        with pytest.raises(OvnmeshError, match="waited 0 s for az1") as late:
            add_switch(mesh, "ts1", None, 0.0, told.append)
        assert "ovnmesh forget AZ" in str(late.value)
        added = {each.switch.name: each for each in list_switches(mesh)}["ts1"]
        assert added.switch.written_subnets == ("169.254.101.0/24",)
        assert {each.az for each in added.sites} == {"az1", "az2"}
        with pytest.raises(ConfigError, match="--cidr"):
            add_switch(mesh, "ts1", "169.254.102.0/24", 0.0, quiet)
        with pytest.raises(IcDbError, match="overlaps"):
            add_switch(mesh, "ts2", "169.254.101.0/25", 0.0, quiet)
        removal = remove_switch(mesh, "ts1", True, 20.0, quiet)
        assert removal.existed
        assert remove_switch(mesh, "ts1", False, 0.0, quiet).existed is False
        assert [each.switch.name for each in list_switches(mesh)] == ["ts"]


def test_site_that_does_not_leave_a_switch_is_named_and_forced(pair, ic) -> None:
    """az2 has no controller: nothing is removed under it unless forced; then it follows."""
    _one, two = pair
    with MeshSession(parse_remote(ic.nb.remote), parse_remote(ic.sb.remote)) as mesh:
        with pytest.raises(OvnmeshError, match="waited 0 s"):
            add_switch(mesh, "ts1", None, 0.0, quiet)
        for site in pair:
            carry(site, f"az{site.number}-gw", "ts1")
        assert add_switch(mesh, "ts1", None, 20.0, quiet) is not None
        two.stop_controllers()
        with pytest.raises(OvnmeshError, match="waited 2 s for az2") as left:
            remove_switch(mesh, "ts1", False, 2.0, quiet)
        assert "az1" not in str(left.value).split("to leave")[0]
        found = {each.switch.name: each for each in list_switches(mesh)}["ts1"]
        assert [(site.az, site.state) for site in found.sites] == [("az2", "draining")]
        assert "az2" in remove_switch(mesh, "ts1", True, 2.0, quiet).unheard
        assert [each.switch.name for each in list_switches(mesh)] == ["ts"]
    two.control()
    for site in pair:
        gone = f"az{site.number}-ts1"
        wait_for(lambda s=site, gone=gone: gone not in s.nbctl("show"), 20, "port removed")
    connected(*pair)


def test_transit_switch_without_a_proper_name_or_that_is_not_there(pair, ic) -> None:
    with MeshSession(parse_remote(ic.nb.remote), parse_remote(ic.sb.remote)) as mesh:
        with pytest.raises(ConfigError, match="a b"):
            add_switch(mesh, "a b", None, 0.0, quiet)
        assert remove_switch(mesh, "nothing", False, 0.0, quiet).existed is False
        assert [each.switch.name for each in list_switches(mesh)] == ["ts"]


def test_last_transit_switch_is_not_removed(pair, ic) -> None:
    with MeshSession(*remotes_of(ic)) as mesh:
        with pytest.raises(OvnmeshError, match="no other one is in service at az1, az2"):
            remove_switch(mesh, "ts", False, 0.0, quiet)
        assert not mesh.read().transit_switches["ts"].draining


def test_transit_switch_that_is_being_removed_is_put_back_into_service(pair, ic) -> None:
    with MeshSession(*remotes_of(ic)) as mesh:
        with pytest.raises(OvnmeshError, match="waited 0 s for az1"):
            add_ts1(mesh)
        wait_for(lambda: mesh.read().transit_switches["ts1"].claims, 10, "claims on ts1")
        with pytest.raises(OvnmeshError, match="to leave it"):
            remove_switch(mesh, "ts1", False, 0.0, quiet)
        assert mesh.read().transit_switches["ts1"].draining
        with pytest.raises(OvnmeshError, match="waited 0 s for az1"):
            add_ts1(mesh)
        assert not mesh.read().transit_switches["ts1"].draining
        remove_switch(mesh, "ts1", True, 20.0, quiet)


def add_ts1(mesh: MeshSession) -> None:
    add_switch(mesh, "ts1", None, 0.0, quiet)


def test_wish_about_gateways_is_recorded_although_somebody_else_writes(
    two_gateways, monkeypatch
) -> None:
    rivals, apply = [1, 2], Session.apply

    def meet_a_rival(self: Session, batch) -> None:
        if rivals:
            rivals.pop()
            raise StalePlan("a rival was quicker")
        apply(self, batch)

    monkeypatch.setattr(Session, "apply", meet_a_rival)
    assert gateway.undrain(address_of(two_gateways), "az1-gw", quiet) is None
    done = gateway.drain(address_of(two_gateways), "az1-n1", quiet)
    assert done is not None
    assert rivals == []


def test_look_at_sites_and_at_their_mesh(pair, ic) -> None:
    one, two = pair
    addresses = [address_of(one), address_of(two)]
    told: list[str] = []
    assert not look.all_connected(look.wait_connected(addresses, 0.0, told.append))
    carry(one, "az1-gw")
    carry(two, "az2-gw")
    seen = look.wait_connected(addresses, 20.0, told.append)
    assert look.all_connected(seen)
    assert sorted(seen) == ["az1", "az2"]
    mesh = look.look_at_mesh(addresses)
    assert mesh is not None
    assert [zone.az for zone in mesh.zones] == ["az1", "az2"]
    one.stop_controllers()
    ic.sb.stop()
    lost = look.look_at(addresses[0])
    assert [each.code for each in lost.findings] == ["controller-missing", "ic-unreachable"]
    assert look.look_at_mesh(addresses) is None
    assert look.wait_connected(addresses[:1], 0.0, told.append)["az1"] == lost
    codes = [each.code for each in diagnose(addresses[0])]
    assert {"ic-unreachable", "controller-missing"} <= set(codes)
    one.nb.stop()
    assert look.look_at(addresses[0]).state == "unreachable"
    (away,) = diagnose(addresses[0])
    assert (away.code, away.subject) == ("site-unreachable", "az1")
    assert away.message.startswith("site az1: OVN_Northbound cannot be reached")
    ic.sb.start()
    one.nb.start()


def test_site_that_leaves_without_its_mesh_says_what_is_left(pair, ic) -> None:
    one, two = pair
    one.stop_controllers()
    two.stop_controllers()
    ic.sb.stop()
    with pytest.raises(ConfigError, match="interconnection databases that do not answer"):
        leave(address_of(one), False, quiet)
    told: list[str] = []
    left = leave(address_of(one), True, told.append)
    assert not left.clean
    assert str(left).endswith("ovnmesh forget AZ")
    assert "remove transit ports and learned routes" in told
    assert "ovnmesh" not in one.nb.dump("NB_Global")
    ic.sb.start()
    with MeshSession(*remotes_of(ic)) as mesh:
        left_behind = find_leftovers(mesh, "az1")
        assert count_leftovers(left_behind) > 1
        forget(mesh, left_behind)
        assert find_leftovers(mesh, "az1") == ()
