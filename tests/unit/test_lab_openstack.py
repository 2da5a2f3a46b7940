"""OpenStack sites of a lab as values, and the cache that their programs are installed in."""

import stat
from ipaddress import IPv4Network
from pathlib import Path

import pytest
import yaml

from ovnmesh.errors import ConfigError, LabError
from ovnmesh.lab import daemons
from ovnmesh.lab.kubernetes import objects
from ovnmesh.lab.openstack import install
from ovnmesh.lab.openstack import site as openstack_site
from ovnmesh.lab.state import LabState, create_state, load_state
from ovnmesh.lab.values.layout import compute_lab, first_subnets
from ovnmesh.lab.values.spec import parse_spec_text, uniform_spec, with_openstack
from ovnmesh.lab.values.topology import Lab
from ovnmesh.providers.openstack.site_spec import parse_site

DIRECTORY = Path("/run/a-lab")


def lab_of(text: str) -> Lab:
    return compute_lab(parse_spec_text(text, "t.yaml"), DIRECTORY)


@pytest.fixture
def mixed() -> Lab:
    return compute_lab(with_openstack(uniform_spec(), ["os1", "os2"], keystone=False), DIRECTORY)


def test_openstack_sites_come_after_the_others_and_change_nothing_of_them(mixed) -> None:
    assert [site.name for site in mixed.sites] == ["az1", "az2", "os1", "os2"]
    assert mixed.sites[:2] == compute_lab(uniform_spec(), DIRECTORY).sites
    assert [site.openstack is None for site in mixed.sites] == [True, True, False, False]


def test_names_and_addresses_are_those_of_the_documents(mixed) -> None:
    os1 = mixed.site("os1")
    assert [node.name for node in os1.nodes] == ["os1-gw", "os1-n1"]
    assert os1.gw_nodes == ("os1-gw",)
    assert [(vm.name, vm.node, str(vm.addresses[0])) for vm in os1.pods] == [
        ("vm-0", "os1-gw", "192.168.1.10/24"),
        ("vm-1", "os1-n1", "192.168.1.11/24"),
    ]
    cloud = os1.require_openstack()
    assert cloud.routers == ("router0",)
    assert cloud.networks[0].name == "provider"
    assert cloud.neutron_url == f"http://{cloud.address}:9696"


def test_networks_addresses_and_hosts_of_all_sites_differ(mixed) -> None:
    networks = [site.underlay for site in mixed.sites]
    networks += [cidr for site in mixed.sites for s in first_subnets(site) for cidr in s.cidrs]
    networks += [n for site in mixed.sites if site.external for n in site.external.networks]
    for i, one in enumerate(networks):
        assert not any(one.overlaps(other) for other in networks[i + 1 :])
    hosts = [node.name for site in mixed.sites for node in site.nodes]
    assert len(set(hosts)) == len(hosts)
    assert len({site.require_openstack().address for site in mixed.sites[2:]}) == 2
    assert len(set(mixed.namespaces)) == len(mixed.namespaces)


def test_only_openstack_sites_make_a_lab_too() -> None:
    lab = compute_lab(with_openstack(uniform_spec(sites=0), ["os1"], keystone=True), DIRECTORY)
    assert [site.name for site in lab.sites] == ["os1"]
    assert lab.sites[0].underlay == IPv4Network("192.168.42.0/24")
    assert daemons.control_daemons(lab.sites[0])[-4:] == (
        "mariadb",
        "keystone",
        "neutron",
        "forward",
    )


def test_a_topology_chooses_networks_and_routers() -> None:
    lab = lab_of(
        """
        openstack:
          - name: cloud
            nodes: [a, b, c]
            vms: 1
            gw_nodes: b
            external: false
            networks:
              - {name: red, cidr: 10.50.0.0/24, router: r1}
              - {name: green, router: r1}
              - {name: blue, router: r2}
        """
    )
    (site,) = lab.sites
    cloud = site.require_openstack()
    assert cloud.routers == ("r1", "r2")
    assert [str(n.cidrs[0]) for n in cloud.networks] == [
        "10.50.0.0/24",
        "10.201.1.0/24",
        "10.201.2.0/24",
    ]
    assert [(vm.name, vm.subnet, vm.node) for vm in site.pods] == [
        ("vm-0", "red", "a"),
        ("vm-1", "green", "a"),
        ("vm-2", "blue", "a"),
    ]
    assert (site.gw_nodes, site.external) == (("b",), None)


@pytest.mark.parametrize("protocol", ["ipv6", "dual"])
def test_networks_have_the_families_of_the_lab(protocol) -> None:
    (site,) = lab_of(f"protocol: {protocol}\nopenstack: [{{}}]").sites
    families = {"ipv6": [6], "dual": [4, 6]}[protocol]
    assert [cidr.version for cidr in site.ovn_default.cidrs] == families
    assert [address.version for address in site.pods[0].addresses] == families


@pytest.mark.parametrize(
    ("text", "where", "says"),
    [
        ("openstack: [{vms: -1}]", "t.yaml, openstack[0].vms", "greater"),
        ("openstack: [{networks: []}]", "t.yaml, openstack[0].networks", "from 1 to 16"),
        (
            "openstack: [{pods: 1}]",
            "t.yaml, openstack[0].pods",
            "one of the fields name, nodes, vms",
        ),
        (
            "openstack: [{networks: [{cidrs: 10.0.0.0/24}]}]",
            "t.yaml, openstack[0].networks[0].cidrs",
            "one of the fields name, cidr, router",
        ),
        ("openstack: [{networks: [{cidr: 'fd00::/64'}]}]", "openstack[0].networks[0].cidr", "ipv4"),
        ("openstack: [{networks: [{}, {}]}]", "sites", "2 networks named 'provider'"),
        ("openstack: [{networks: [{cidr: 10.0.0.0/30}]}]", "openstack[0]", "no address number"),
        ("openstack: [{}, {}, {}, {}, {}, {}, {}, {}, {}]", "t.yaml, openstack", "at most 8"),
        ("sites: [{name: os1}]\nopenstack: [{}]", "sites", "2 sites named 'os1'"),
        ("sites: [{nodes: [x]}]\nopenstack: [{nodes: [x]}]", "sites", "2 nodes named 'x'"),
    ],
)
def test_errors_name_the_field(text: str, where: str, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        lab_of(text)
    problems = [str(problem) for problem in caught.value.problems]
    assert any(said.startswith(where) and says in said for said in problems), problems


def test_the_site_file_is_one_that_the_controller_takes(mixed) -> None:
    document = openstack_site.site_document(mixed.site("os1"))
    site = parse_site(yaml.safe_load(yaml.safe_dump(document)), "site.yaml", {})
    assert (site.config.az_name, site.cloud) == ("os1", "os1")
    assert [router.name for router in site.routers] == ["router0"]
    assert site.config.gw_nodes == ("enable-chassis-as-gw",)


def test_clouds_yaml_names_every_site_and_is_root_s_alone(tmp_path: Path) -> None:
    spec = with_openstack(uniform_spec(sites=0), ["os1", "os2"], keystone=False)
    lab = compute_lab(spec, tmp_path)
    openstack_site.write_clouds(lab.sites)
    path = tmp_path / "clouds.yaml"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    clouds = yaml.safe_load(path.read_text())["clouds"]
    assert {name: cloud["auth"]["endpoint"] for name, cloud in clouds.items()} == {
        site.name: site.require_openstack().neutron_url for site in lab.sites
    }


def test_manifests_are_refused_with_what_to_use_instead(mixed) -> None:
    with pytest.raises(LabError, match=r"clouds\.yaml openstack --os-cloud os1"):
        objects.apply_objects(mixed.site("os1"), [])
    state = LabState(spec=uniform_spec(), bare=False, subnets={}, pods=())
    with pytest.raises(LabError, match="Neutron"):
        state.subnet(mixed, "os1", "provider")


def test_state_survives_a_round_trip(tmp_path: Path) -> None:
    spec = with_openstack(uniform_spec(sites=1), ["os1"], keystone=True)
    state = LabState(spec=spec, bare=False, subnets={}, pods=())
    create_state(tmp_path, state)
    assert load_state(tmp_path) == state


class FakePip:
    """Makes what venv makes; pip fails while told to."""

    def __init__(self) -> None:
        self.ran: list[str] = []
        self.broken = False

    def __call__(self, argv: list[str], what: str, env: object = None) -> None:
        self.ran.append("venv" if "venv" in argv else "pip")
        if self.ran[-1] == "venv":
            (Path(argv[-1]) / "bin").mkdir(parents=True)
        elif self.broken:
            raise LabError(what)


@pytest.fixture
def pip(monkeypatch: pytest.MonkeyPatch) -> FakePip:
    fake = FakePip()
    monkeypatch.setattr(install, "_run", fake)
    monkeypatch.setattr(install.shutil, "which", lambda name: f"/usr/sbin/{name}")

    def make_template(archive: Path, venv: Path, names: object) -> None:
        archive.touch()

    from ovnmesh.lab.openstack import template

    monkeypatch.setattr(template, "make_template", make_template)
    return fake


def ensure(cache: Path, *, keystone: bool = False) -> install.Installation:
    return install.ensure_installed(cache, keystone=keystone, progress=lambda _: None)


def test_what_is_installed_is_not_installed_again(tmp_path: Path, pip: FakePip) -> None:
    first = ensure(tmp_path)
    assert pip.ran == ["venv", "pip"]
    assert ensure(tmp_path) == first
    assert pip.ran == ["venv", "pip"]


def test_keystone_is_added_to_what_is_there(tmp_path: Path, pip: FakePip) -> None:
    without = ensure(tmp_path)
    both = ensure(tmp_path, keystone=True)
    assert pip.ran == ["venv", "pip", "pip"]
    assert both.venv == without.venv
    assert both.template != without.template


def test_a_half_made_environment_is_made_anew(tmp_path: Path, pip: FakePip) -> None:
    pip.broken = True
    with pytest.raises(LabError, match="packages of neutron"):
        ensure(tmp_path)
    pip.broken = False
    ensure(tmp_path)
    assert pip.ran == ["venv", "pip", "venv", "pip"]


def test_other_pins_make_another_environment(
    tmp_path: Path, pip: FakePip, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = ensure(tmp_path)
    monkeypatch.setattr(install, "_requirements", lambda name: f"{name}==1\n")
    after = ensure(tmp_path)
    assert before.venv != after.venv
    assert before.template != after.template


def test_pins_are_whole_and_keystone_only_adds() -> None:
    pins = {name: install._requirements(name) for name in ("neutron", "keystone")}
    names = {
        name: [line.split("==")[0].lower() for line in text.splitlines() if "==" in line]
        for name, text in pins.items()
    }
    for text in pins.values():
        assert all("==" in line for line in text.splitlines() if not line.startswith("#"))
    assert {"neutron", "pymysql", "pyuwsgi"} <= set(names["neutron"])
    assert "keystone" in names["keystone"]
    assert not set(names["neutron"]) & set(names["keystone"])
