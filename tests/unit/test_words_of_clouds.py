"""Nobody reads advice for a cloud that is not his: planners know none, providers know their own."""

import ast
import re
from collections.abc import Iterator
from ipaddress import ip_network
from pathlib import Path

import pytest

import ovnmesh
from fake_mesh import Mesh, Site, wish
from ovnmesh.config import InterconnectConfig
from ovnmesh.controller.intent import decide_intent, make_desired
from ovnmesh.errors import ConfigError
from ovnmesh.model.changes import Db
from ovnmesh.model.desired import Desired
from ovnmesh.model.finding import Finding, with_advice
from ovnmesh.plan.site import plan_site
from ovnmesh.providers import sources
from ovnmesh.providers.base import Wish
from ovnmesh.providers.cluster import Subnet
from ovnmesh.providers.openstack import advice as openstack
from ovnmesh.providers.openstack.neutron import Neutron, NeutronRouter, NeutronSubnet
from ovnmesh.providers.openstack.resolve import resolve
from ovnmesh.providers.openstack.site_file import parse_site_file

SOURCE = Path(ovnmesh.__file__).parent
OPENSTACK = re.compile(r"openstack|neutron|security.group|site file|clouds\.yaml", re.IGNORECASE)
KUBERNETES = re.compile(
    r"(?i:kube|config ?map)|disableInterConnection|\bpods?\b|\b(Nodes?|Subnets?|Interconnection)\b"
)
#: What lies below the providers: nothing there knows a cloud.
BELOW = ("errors.py", "ovn_keys.py", "model", "config", "plan", "views", "ovsdb", "host")
#: What a site of any cloud runs through.
NEUTRAL = (*BELOW, "controller")
#: The clouds' words as parts of names in code.
NAMES = re.compile(
    r"(?i)neutron|openstack|keystone|floating_?ip|security_?group|kube|config_?map"
    r"|disable_?inter_?connection|vpc|pods?\b|custom_?resource|cluster_?router"
)
#: Names that code below the providers may have, each for a reason.
ALLOWED_NAMES = {
    # Codes are in one place, whoever finds them: monitoring may match any (docs/troubleshooting).
    "SECURITY_GROUP_CLOSED",
}
#: Texts, likewise.
ALLOWED_TEXTS = {
    "security-group-closed",
    # The router that is meant where nobody names one, for whatever cloud.
    "ovn-cluster",
}
#: Made for one cloud, and used by its sites alone.
OF_ONE_CLOUD = {
    "providers/openstack/row_events.py",
    "providers/openstack/neutron.py",
}


def texts(file: Path) -> Iterator[str]:
    """Every text in a module that is no docstring."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    said = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in said:
            yield node.value


def names(file: Path) -> Iterator[str]:
    """Every name in a module: what it defines, takes, uses and imports."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        match node:
            case ast.Name(id=name) | ast.arg(arg=name) | ast.Attribute(attr=name):
                yield name
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name) | ast.alias(name=name):
                yield name
            case ast.keyword(arg=str(name)):
                yield name
            case ast.ImportFrom(module=str(module)):
                yield module


def modules(*folders: str) -> list[Path]:
    found = [file for folder in folders for file in sorted((SOURCE / folder).rglob("*.py"))]
    return [file for file in found if str(file.relative_to(SOURCE)) not in OF_ONE_CLOUD]


def sources_of(part: str) -> list[Path]:
    """A module, or all modules of a folder."""
    return [SOURCE / part] if part.endswith(".py") else modules(part)


@pytest.mark.parametrize(
    ("folders", "foreign"),
    [
        (NEUTRAL, (OPENSTACK, KUBERNETES)),
        (("providers/openstack",), (KUBERNETES,)),
        (("providers/kubernetes", "providers/manifests.py", "providers/sources.py"), (OPENSTACK,)),
    ],
    ids=["neutral", "openstack", "kubernetes"],
)
def test_no_text_names_a_foreign_cloud(folders, foreign) -> None:
    files = [file for part in folders for file in sources_of(part)]
    assert files
    assert [
        f"{file.relative_to(SOURCE)}: {text}"
        for file in files
        for text in texts(file)
        if any(words.search(text) for words in foreign) and text not in ALLOWED_TEXTS
    ] == []


def test_no_name_below_the_providers_is_a_clouds() -> None:
    files = [file for part in BELOW for file in sources_of(part)]
    assert len(files) > 80
    assert [
        f"{file.relative_to(SOURCE)}: {name}"
        for file in files
        for name in [*names(file), file.stem]
        if NAMES.search(name) and name not in ALLOWED_NAMES
    ] == []


@pytest.mark.parametrize(
    "code",
    ["def kube_ovn(): ...", "import ovnmesh.providers.openstack", "x.neutron_id", "f(vpc=1)"],
)
def test_a_clouds_name_would_be_found(code: str, tmp_path: Path) -> None:
    file = tmp_path / "x.py"
    file.write_text(code)
    assert any(NAMES.search(name) for name in names(file))


@pytest.mark.parametrize(
    ("advice", "command"),
    [
        (sources.ADVICE, "ovn-nbctl set Logical_Router r0 enabled=true"),
        (openstack.ADVICE, "openstack router set --enable r0"),
    ],
)
def test_each_cloud_adds_its_own_command(advice, command) -> None:
    disabled = Finding("router-disabled", "r0", "router r0 is disabled. Enable it again.")
    other = Finding("ic-empty", "x", "as it is")
    told, kept = with_advice([disabled, other], advice)
    assert told.message == f"router r0 is disabled. Enable it again. To enable it: {command}"
    assert kept == other


def test_both_clouds_advise_on_the_same_findings() -> None:
    assert set(sources.ADVICE) <= set(openstack.ADVICE)
    # The command in this one is OVN's own; only Neutron undoes what it does.
    assert set(openstack.ADVICE) - set(sources.ADVICE) == {"nat-without-gateway-port"}


@pytest.mark.parametrize(
    ("advice", "command"),
    [
        (sources.ADVICE, "To remove a rule: ovn-nbctl lr-nat-del"),
        (openstack.ADVICE, "openstack router set --external-gateway NETWORK ROUTER"),
    ],
)
def test_nat_rules_are_mended_where_they_are_made(advice, command) -> None:
    site = Site(Mesh())
    place = ("Logical_Router", site.router, "nat")
    site.db.add_child(Db.NB, place, "NAT", external_ip="172.31.1.10", gateway_port=frozenset())
    site.settle(wish())
    (found,) = with_advice(plan_site(wish(), site.observed).findings, advice)
    assert found.code == "nat-without-external-port"
    assert found.message.endswith(command)


@pytest.mark.parametrize(
    ("advice", "foreign"), [(sources.ADVICE, OPENSTACK), (openstack.ADVICE, KUBERNETES)]
)
def test_a_configuration_that_is_gone(advice, foreign) -> None:
    record = Desired("az1", ("gw",), True)
    intent = decide_intent(Wish(config_present=False), "", record)
    assert intent.desired == record
    (found,) = with_advice(intent.findings, advice)
    assert found.code == "config-missing"
    assert "the last good state stays in force. It belongs in" in found.message
    assert not foreign.search(found.message)


SITE_FILE = b"""\
az-name: os1
cloud: mycloud
routers: [router0]
ic-db-host: 192.0.2.1
gw-nodes: enable-chassis-as-gw
"""


def test_reasons_of_an_openstack_site_speak_of_openstack() -> None:
    file = parse_site_file(SITE_FILE, Path("openstack.yaml"))
    router = NeutronRouter("1", "router0")
    subnet = NeutronSubnet("s", "inner", ip_network("10.1.0.0/24"), "n", opted_out=True)
    state = resolve(file, Neutron((router,), interfaces={"1": ("s",)}, subnets={"s": subnet}))
    assert state.config is not None
    reasons = make_desired(state, state.config).denied.values()
    assert list(reasons) == [("subnet inner: tag ovnmesh-no-interconnection",)]


def test_reasons_of_a_kube_ovn_site_speak_of_its_objects() -> None:
    why = "Subnet inner: disableInterConnection"
    inner = Subnet("inner", (ip_network("10.1.0.0/24"),), why, "r")
    config = InterconnectConfig(True)
    wish = sources.make_wish(config, [inner], [], "r")
    assert list(make_desired(wish, config).denied.values()) == [(why,)]


def problems(text: str) -> str:
    """What is wrong with a site file."""
    try:
        parse_site_file(text.encode(), Path("openstack.yaml"))
    except ConfigError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("value", ["", "a b", "[]", "{a: b}", "1", "x,x", "true", "null"])
def test_problems_of_a_site_file_speak_of_no_other_cloud(value: str) -> None:
    found = []
    known = ("enable-ic", "auto-route", "ic-nb-port", "ic-sb-port", "ic-db-host", "gw-nodes")
    known += ("az-name", "gateway-mode", "gateway-preempt", "gateway-mtu", "bfd-min-rx")
    known += ("bfd-min-tx", "bfd-mult", "cloud", "clouds-yaml", "routers", "deny", "mistyped")
    for key in known:
        lines = [line for line in SITE_FILE.decode().splitlines() if not line.startswith(key)]
        text = "\n".join([*lines, f"{key}: {value}"])
        found.append(problems(text))
    assert any(found)
    assert [each for each in found if KUBERNETES.search(each)] == []
