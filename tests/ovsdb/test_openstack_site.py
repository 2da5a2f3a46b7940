"""`ovnmesh openstack`, `site validate` and `diagnose`: a fake Neutron, everything else is real.

The router's rows are written here as Neutron writes them; northd, ovn-ic, the controller with its
provider, and the commands are real.
"""

import json
import subprocess
import threading
from contextlib import contextmanager

import pytest
import yaml
from typer.testing import CliRunner

from fake_neutron import FakeNeutron
from ovnmesh.cli.main import app
from ovnmesh.errors import ConfigError, OvnmeshError, ProviderError
from ovnmesh.model.remote import parse_remote
from ovnmesh.providers.openstack import provider
from ovnmesh.providers.openstack.provider import OpenStackProvider
from ovnmesh.providers.openstack.row_events import NeutronEvents
from servers import wait_for, wait_quiet


class Cloud:
    """An OpenStack site: router0 with one subnet and one VM, a site file, and a neighbour."""

    def __init__(self, site, other, folder, monkeypatch) -> None:
        self.site, self.other = site, other
        self.neutron = FakeNeutron()
        clouds = self.neutron.clouds_yaml(folder / "clouds.yaml")
        self.file = folder / "openstack.yaml"
        self.content = {
            "az-name": "os1",
            "cloud": "mycloud",
            "clouds-yaml": str(clouds),
            "routers": ["router0"],
            "ic-db-host": "127.0.0.1",
            "ic-nb-port": site.ic.ports["nb"],
            "ic-sb-port": site.ic.ports["sb"],
            "gw-nodes": ["az1-gw"],
        }
        self.router = self.neutron.add("routers", name="router0")
        self.ovn_name = f"neutron-{self.router['id']}"
        names = f"external_ids:neutron\\:router_name={self.ovn_name}"
        site.nbctl("lr-add", self.ovn_name)
        site.nbctl(
            *("set", "Logical_Router", self.ovn_name, "external_ids:neutron\\:router_name=router0")
        )
        self.attach("192.168.1.0/24", names)
        self.group = self.neutron.add("security-groups", name="default")
        self.neutron.add(
            "ports",
            name="vm0",
            network_id="net-192.168.1.0/24",
            device_owner="compute:nova",
            fixed_ips=[{"subnet_id": self.subnet["id"], "ip_address": "192.168.1.5"}],
            security_groups=[self.group["id"]],
        )
        sites = folder / "sites.yaml"
        entry = {"nb": site.nb.remote, "sb": site.sb.remote, "openstack": str(self.file)}
        sites.write_text(yaml.safe_dump({"sites": {"os1": entry}}))
        monkeypatch.setenv("OVNMESH_SITES", str(sites))

    def attach(self, cidr, names="") -> None:
        """What `openstack router add subnet` does, in Neutron and in NB."""
        self.subnet = self.neutron.add("subnets", network_id=f"net-{cidr}", cidr=cidr, name=cidr)
        self.neutron.attach(self.router["id"], self.subnet["id"])
        port = f"lrp-{len(self.neutron.objects['subnets'])}"
        names = names or f"external_ids:neutron\\:router_name={self.ovn_name}"
        address = cidr.replace(".0/", ".1/").replace("::/", "::1/")
        mac = f"fa:16:3e:00:00:{sum(cidr.encode()) % 100:02d}"
        self.site.nbctl(
            *("lrp-add", self.ovn_name, port, mac, address),
            *("--", "set", "Logical_Router_Port", port, names),
        )

    def write(self, **changes) -> None:
        self.file.write_text("# ours\n" + yaml.safe_dump({**self.content, **changes}))

    def control(self) -> None:
        self.site.control(
            OpenStackProvider(self.file, NeutronEvents(parse_remote(self.site.nb.remote)))
        )

    def run(self, *words):
        return CliRunner().invoke(app, list(words))

    def openstack(self, *words):
        databases = ("--nb", self.site.nb.remote, "--sb", self.site.sb.remote)
        return self.run("openstack", words[0], str(self.file), *words[1:], *databases)

    def rules(self):
        rules = self.neutron.objects["security-group-rules"].values()
        return sorted(rule["remote_ip_prefix"] for rule in rules)


@pytest.fixture
def cloud(sites, tmp_path, monkeypatch):
    one, two = sites(1), sites(2)
    two.configure()
    two.control()
    two.mark("az2-gw")
    wait_for(lambda: two.state() == "joined", 10, "joined")
    made = Cloud(one, two, tmp_path, monkeypatch)
    yield made
    made.neutron.close()


def test_join_allow_diagnose_leave(cloud) -> None:
    site = cloud.site
    before = site.nbctl("list", "NB_Global"), site.nbctl("show")
    cloud.write(**{"enable-ic": False})
    dry = cloud.openstack("join", "--allow-from-mesh", "--dry-run", "-o", "json")
    assert dry.exit_code == 0, dry.output
    planned = json.loads(dry.stdout)
    lines = "\n".join(f"{each['where']}: {each['what']}" for each in planned["changes"])
    assert "Neutron: security group default" in lines
    assert "site file: enable-ic: true" in lines
    assert "insert Logical_Switch_Port name=lsp-ts-router0" in lines
    assert "insert Logical_Router_Port name=lrp-router0-ts" in lines
    assert "IC_NB_Global.external_ids ovnmesh-az-os1=" in lines
    assert (site.nbctl("list", "NB_Global"), site.nbctl("show")) == before
    assert cloud.rules() == []

    without = cloud.openstack("join")
    assert isinstance(without.exception, OvnmeshError)
    assert "systemctl enable --now ovnmesh-controller" in str(without.exception)
    assert cloud.file.read_text().startswith("# ours\n")

    cloud.control()
    site.mark("az1-gw")
    joined = cloud.openstack("join", "--timeout", "20")
    assert joined.exit_code == 0, joined.output
    wait_for(lambda: "192.168.1.0/24" in cloud.other.routes(), 10, "learned")
    wait_for(lambda: site.routes(cloud.ovn_name).count("(learned)") == 2, 10, "learned")

    closed = json.loads(cloud.run("diagnose", "-o", "json").stdout)["os1"]
    (found,) = [each for each in closed if each["code"] == "security-group-closed"]
    assert "10.17.0.0/16, 100.65.0.0/16" in found["message"]
    for _ in range(2):  # again changes nothing
        assert cloud.openstack("join", "--allow-from-mesh").exit_code == 0
        assert cloud.rules() == ["10.17.0.0/16", "100.65.0.0/16"]
    told = json.loads(cloud.run("diagnose", "-o", "json").stdout)["os1"]
    assert "security-group-closed" not in [each["code"] for each in told]

    theirs = cloud.neutron.add(
        "security-group-rules",
        security_group_id=cloud.group["id"],
        direction="ingress",
        ethertype="IPv4",
        remote_ip_prefix="203.0.113.0/24",
    )
    left = cloud.openstack("leave")
    assert left.exit_code == 0, left.output
    assert "enable-ic: false" in cloud.file.read_text()
    assert list(cloud.neutron.objects["security-group-rules"].values()) == [theirs]
    wait_for(lambda: "192.168.1.0/24" not in cloud.other.routes(), 10, "withdrawn")
    assert "router0" not in site.nbctl("find", "Logical_Router_Port", "name=lrp-router0-ts")
    assert site.option("ic-route-adv") == ""


def test_what_neutron_writes_is_seen_without_waiting(cloud, monkeypatch) -> None:
    monkeypatch.setattr(provider, "POLL_S", 600.0)
    cloud.write(deny=["10.99.0.0/16"])
    cloud.control()
    cloud.site.mark("az1-gw")
    wait_for(lambda: "192.168.1.0/24" in cloud.other.routes(), 10, "learned")
    assert "10.99.0.0/16" in cloud.site.option("ic-route-blacklist")
    asked = len(cloud.neutron.lists())
    cloud.attach("192.168.2.0/24")
    wait_for(lambda: len(cloud.neutron.lists()) > asked, 5, "asked again")
    record = "external_ids:ovnmesh-site"
    wait_for(
        lambda: "192.168.2.0/24" in cloud.site.nbctl("get", "NB_Global", ".", record), 5, "taken"
    )
    while (quiet := len(cloud.neutron.lists())) != asked:
        asked = quiet
        assert not threading.Event().wait(1.5)  # longer than two readings are apart
    cloud.site.nbctl("lr-add", "neutron-of-somebody-else")
    assert not threading.Event().wait(1.5)
    assert len(cloud.neutron.lists()) == quiet


def test_ipv6_of_a_router_on_an_ipv4_switch_is_not_advertised_without_end(cloud) -> None:
    cloud.attach("fd00:1::/64")
    cloud.write()
    cloud.control()
    cloud.site.mark("az1-gw")
    wait_for(lambda: "192.168.1.0/24" in cloud.other.routes(), 10, "learned")
    wait_for(lambda: "fd00:1::/64" in cloud.site.option("ic-route-blacklist"), 5, "denied")

    def rows():
        command = ["ovn-ic-sbctl", f"--db={cloud.site.ic.sb.remote}", "-f", "csv", "list", "Route"]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    wait_for(lambda: "fd00:1" not in rows() and cloud.site.state() == "joined", 5, "withdrawn")
    wait_quiet(rows)
    assert cloud.site.codes() == []


def test_the_last_good_state_outlives_the_api(cloud, monkeypatch) -> None:
    monkeypatch.setattr(provider, "POLL_S", 0.1)
    cloud.write()
    cloud.control()
    cloud.site.mark("az1-gw")
    wait_for(lambda: "192.168.1.0/24" in cloud.other.routes(), 10, "learned")
    cloud.neutron.take_away()
    wait_for(lambda: cloud.site.codes() == ["config-unreadable"], 5, "told")
    cloud.site.stop_controllers()
    cloud.control()
    wait_for(lambda: cloud.site.codes() == ["config-unreadable"], 5, "told again")
    assert "192.168.1.0/24" in cloud.other.routes()
    cloud.neutron.bring_back()
    wait_for(lambda: cloud.site.state() == "joined" and cloud.site.codes() == [], 10, "well again")
    # Neither is it needed to leave.
    cloud.neutron.take_away()
    left = cloud.openstack("leave")
    assert isinstance(left.exception, ProviderError)
    assert "lrp-router0-ts" not in cloud.site.nbctl("show")
    cloud.neutron.bring_back()
    assert cloud.openstack("leave").exit_code == 0


def test_join_writes_the_file_and_makes_the_router(cloud) -> None:
    written = cloud.file.with_name("written.yaml")
    flags = ["--cloud", "mycloud", "--router", "new", "--az-name", "os1"]
    flags += ["--ic-db-host", "127.0.0.1", "--create-router"]
    cloud.file = written
    done = cloud.openstack("join", *flags, "--dry-run")
    # clouds.yaml is looked for where openstacksdk does: not there.
    assert isinstance(done.exception, ProviderError)
    assert "found no such entry" in str(done.exception)
    assert not written.exists()

    cloud.write(routers=["new"])
    missing = cloud.openstack("join")
    assert isinstance(missing.exception, ConfigError)
    assert '"new", which is no router' in str(missing.exception)
    made = cloud.openstack("join", "--create-router")
    assert "no controller runs" in str(made.exception)
    (router,) = [r for r in cloud.neutron.objects["routers"].values() if r["name"] == "new"]
    assert router["description"] == "ovnmesh os1"
    again = cloud.openstack("join", *flags)
    assert "a file with other content" in str(again.exception)

    left = cloud.openstack("leave")
    assert left.exit_code == 0, left.output
    assert [r["name"] for r in cloud.neutron.objects["routers"].values()] == ["router0"]


def test_a_router_of_ours_with_something_attached_stays(cloud) -> None:
    ours = cloud.neutron.add("routers", name="new", description="ovnmesh os1")
    subnet = cloud.neutron.add("subnets", network_id="n", cidr="10.1.0.0/24")
    cloud.neutron.attach(ours["id"], subnet["id"])
    cloud.write()
    left = cloud.openstack("leave")
    assert left.exit_code == 0
    assert 'router "new" stays: something is attached to it' in left.stderr
    assert ours["id"] in cloud.neutron.objects["routers"]


def test_leave_by_the_name_of_the_site(cloud) -> None:
    cloud.write()
    cloud.control()
    wait_for(lambda: cloud.site.state() == "joined", 10, "joined")
    assert cloud.run("leave", "os1").exit_code == 0
    assert cloud.file.read_text().endswith("enable-ic: false\n")
    assert "lrp-router0-ts" not in cloud.site.nbctl("show")


def test_validate_says_what_the_controller_would(cloud, tmp_path) -> None:
    cloud.write()
    assert cloud.run("site", "validate", str(cloud.file)).exit_code == 0
    asked = cloud.run("site", "validate", str(cloud.file), "--cloud", "-o", "json")
    (verdict,) = json.loads(asked.stdout)
    assert (asked.exit_code, verdict["verdict"]) == (0, "right")
    assert verdict["routers"][0]["logical_router"] == cloud.ovn_name
    cloud.neutron.take_away()
    assert cloud.run("site", "validate", str(cloud.file), "--cloud").exit_code == 1
    cloud.write(**{"az-name": "a b"})
    wrong = cloud.run("site", "validate", str(cloud.file), "-o", "json")
    assert wrong.exit_code == 2
    (problem,) = json.loads(wrong.stdout)[0]["problems"]
    assert problem["where"] == "openstack.yaml:2, az-name"
    assert cloud.run("site", "validate", str(cloud.other.manifests)).exit_code == 0
    assert cloud.run("site", "validate", str(tmp_path)).exit_code == 2


def test_diagnose_of_a_router_that_is_disabled(cloud) -> None:
    cloud.write()
    cloud.router["admin_state_up"] = False
    told = cloud.run("diagnose", "-o", "json")
    codes = {each["code"] for each in json.loads(told.stdout)["os1"]}
    assert told.exit_code == 1
    assert {"router-disabled", "controller-missing"} <= codes


@contextmanager
def carried(site, lrp):
    """The router port is bound where its first gateway is, as ovn-controllers would have it."""
    stop = threading.Event()

    def follow():
        while not stop.wait(0.05):
            first = site.nbctl("lrp-get-gateway-chassis", lrp).split()[:1]
            if not first:
                continue
            name = first[0].removeprefix(f"{lrp}-")
            select = {"op": "select", "table": "Chassis", "where": [["name", "==", name]]}
            (chassis,) = json.loads(site.sb.transact(select))[0]["rows"]
            where = [["logical_port", "==", f"cr-{lrp}"]]
            row = {"chassis": chassis["_uuid"]}
            site.sb.transact({"op": "update", "table": "Port_Binding", "where": where, "row": row})

    thread = threading.Thread(target=follow)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def test_gateways_that_the_cloud_allows_are_drained_and_preferred(cloud) -> None:
    site, lrp = cloud.site, "lrp-router0-ts"
    for name in ("az1-gw", "az1-n1"):
        options = [["is-interconn", "true"], ["ovn-cms-options", "enable-chassis-as-gw"]]
        row = {"other_config": ["map", options]}
        where = [["name", "==", name]]
        site.sb.transact({"op": "update", "table": "Chassis", "where": where, "row": row})
    cloud.write(**{"gw-nodes": "enable-chassis-as-gw"})
    cloud.control()
    wait_for(
        lambda: site.state() == "joined" and "az1-n1" in site.nbctl("lrp-get-gateway-chassis", lrp),
        15,
        "both serve",
    )
    with carried(site, lrp):

        def gateway(*words):
            done = cloud.run("gateway", words[0], "os1", *words[1:])
            assert done.exit_code == 0, (done.output, done.exception)
            return done

        def leads(node):
            lines = json.loads(cloud.run("gateway", "list", "os1", "-o", "json").stdout)
            return [line["node"] for line in lines if line["state"] == "active"] == [node]

        wait_for(lambda: leads("az1-gw"), 10, "the first serves")
        gateway("drain", "az1-gw")
        assert leads("az1-n1")
        assert "nothing to do" in gateway("drain", "az1-gw").stderr
        gateway("undrain", "az1-gw")
        assert leads("az1-n1")
        gateway("prefer", "az1-gw", "--ts", "ts")
        assert leads("az1-gw")
        gateway("drain", "az1-gw")
        gateway("reset")
        assert leads("az1-gw")
        refused = cloud.run("gateway", "drain", "os1", "enable-chassis-as-gw")
        assert "a gateway of the site: az1-gw, az1-n1" in str(refused.exception)

        cloud.write(**{"gw-nodes": "enable-chassis-as-gw", "gateway-preempt": True})
        wait_for(
            lambda: r"preempt\":true" in site.nbctl("list", "NB_Global"), 10, "taken over again"
        )
        refused = cloud.run("gateway", "prefer", "os1", "az1-n1")
        assert 'gateway-preempt: "true"' in str(refused.exception)


def test_findings_speak_of_the_cloud_of_their_site(cloud) -> None:
    """The same mishaps at an OpenStack site and at one of Kube-OVN's."""
    cloud.write()
    cloud.control()
    cloud.site.mark("az1-gw")
    wait_for(lambda: "192.168.1.0/24" in cloud.other.routes(), 10, "learned")
    cloud.other.subnet("overlap", "192.168.1.1/24")
    cloud.attach("10.17.0.0/16")
    for site in (cloud.site, cloud.other):
        wait_for(lambda site=site: "cidr-conflict" in site.codes(), 10, "overlap")
    told = {}
    for site, router, config in (
        (cloud.site, cloud.ovn_name, cloud.file),
        (cloud.other, "ovn-cluster", cloud.other.manifests / "ovn-ic-config.yaml"),
    ):
        site.nbctl("set", "Logical_Router", router, "enabled=false")
        wait_for(lambda site=site: "router-disabled" in site.codes(), 10, "disabled")
        site.nbctl("set", "Logical_Router", router, "enabled=true")
        wait_for(lambda site=site: "router-disabled" not in site.codes(), 10, "enabled")
        config.rename(config.with_suffix(".gone"))
        wait_for(lambda site=site: "config-missing" in site.codes(), 10, "gone")
        findings = [finding for report in site.reports for finding in report.findings]
        told[site] = "\n".join(sorted({finding.message for finding in findings}))
        shown = json.loads(site.nbctl("get", "NB_Global", ".", "external_ids:ovnmesh-status"))
        assert findings[-1].message in {each["message"] for each in json.loads(shown)["findings"]}
    ours, theirs = told[cloud.site], told[cloud.other]
    assert "openstack router set --enable router0" in ours
    assert "openstack subnet set --tag ovnmesh-no-interconnection SUBNET" in ours
    assert "It belongs in the site file." in ours
    for foreign in ("disableInterConnection", "ConfigMap", "Kube", "Node ", "Subnet "):
        assert foreign not in ours
    assert "ovn-nbctl set Logical_Router ovn-cluster enabled=true" in theirs
    assert "disableInterConnection: true" in theirs
    assert "ConfigMap kube-system/ovn-ic-config" in theirs
    for foreign in ("openstack", "site file", "Neutron"):
        assert foreign not in theirs
