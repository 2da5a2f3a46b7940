"""Two clusters talk: every sentence about configuration, changes and leaving, with packets.

Ping trains of 10 ms run over every change; where nothing need be touched nothing may be lost.
Measured interruptions are printed (`pytest -rP`), and recorded in docs/benchmarks.md.
"""

import json
import shutil
import subprocess
import sys
import time

import pytest

from meshlab import MeshLab, eventually
from ovnmesh import ovn_keys as keys

pytestmark = [pytest.mark.root, pytest.mark.datapath]

SUBNET = """\
apiVersion: kubeovn.io/v1
kind: Subnet
metadata:
  name: {name}
spec:
  cidrBlock: {cidr}
  disableInterConnection: {disabled}
"""


def test_the_documents_listings(mesh: MeshLab) -> None:
    show = mesh.tool("ovn-ic-sbctl", "az1", "show")
    for site in ("az1", "az2"):
        assert f"availability-zone {site}" in show
        assert f"hostname: {site}-gw" in show
        assert f"port ts-{site}" in show
    assert "transit switch: ts" in show
    assert "169.254.100." in show
    routes = mesh.routes("az1")
    for prefix in ("10.17.0.0/16", "100.65.0.0/16"):
        line = next(line for line in routes.splitlines() if prefix in line)
        assert line.split()[1].startswith("169.254.100.")
        assert line.endswith("dst-ip (learned)")
    port = mesh.nbctl("az2", "show", "ts")
    assert "port ts-az2\n        type: router\n        router-port: az2-ts" in port
    assert "port ts-az1\n        type: remote" in port


def test_all_pairs_reach_each_other_from_the_first_packet(mesh: MeshLab) -> None:
    mesh.assert_all_pairs()


def test_source_addresses_are_the_pods_own(mesh: MeshLab) -> None:
    """No translation on the way: the other pod sees the sender's own address."""
    server = subprocess.Popen(
        [
            "ip",
            "netns",
            "exec",
            mesh.runner.netns_of("az2/pod2"),
            sys.executable,
            "-c",
            "import socket; s=socket.create_server(('', 7777)); c,a=s.accept();"
            "c.sendall(a[0].encode())",
        ]
    )
    try:
        client = (
            "import socket,time\n"
            "for _ in range(100):\n"
            "    try: s=socket.create_connection(('10.17.0.4',7777),1); break\n"
            "    except OSError: time.sleep(.05)\n"
            "print(s.recv(99).decode())"
        )
        assert mesh.runner.run_in("az1/pod1", [sys.executable, "-c", client]).strip() == "10.16.0.3"
    finally:
        server.kill()
        server.wait()


def test_gateway_policies_do_not_take_cross_site_traffic(mesh: MeshLab) -> None:
    """Kube-OVN issue 1589: without ours, the 29000 policies win and nothing arrives."""
    policies = mesh.nbctl("az1", "lr-policy-list", "ovn-cluster")
    assert "29000" in policies
    line = next(line for line in policies.splitlines() if "29500" in line)
    assert 'outport == "az1-ts"' in line
    assert "allow" in line
    uuid = mesh.nbctl(
        "az1", "--bare", "--columns=_uuid", "find", "Logical_Router_Policy", "priority=29500"
    ).strip()
    mesh.nbctl("az1", "set", "Logical_Router_Policy", uuid, "priority=1")
    eventually(lambda: "29500" in mesh.nbctl("az1", "lr-policy-list", "ovn-cluster"))
    eventually(lambda: mesh.ping("az1/pod1", "az2/pod2").lost == 0)


def test_appended_gateway_costs_nothing(mesh: MeshLab) -> None:
    with mesh.lossless():
        mesh.configure("az1", gw_nodes="az1-gw,az1-n1")
        eventually(lambda: mesh.mark("az1", "az1-n1") == "true")
        mesh.wait_joined()
        mesh.configure("az1", gw_nodes="az1-gw")
        eventually(lambda: mesh.mark("az1", "az1-n1") == "false")
    assert mesh.mark("az1", "az1-gw") == "true"
    assert mesh.mark("az1", "az1-n2") in ("", "false")


def test_reordered_gateways_move_the_active_one(mesh: MeshLab, record_property) -> None:
    mesh.configure("az1", gw_nodes="az1-gw,az1-n1,az1-n2")
    eventually(lambda: "az1-n2" in mesh.tool("ovn-ic-sbctl", "az1", "show"))
    mesh.wait_joined()
    with mesh.trains(("az1/pod1", "az2/pod2"), ("az2/pod0", "az1/pod0")) as results:
        mesh.configure("az1", gw_nodes="az1-n1,az1-gw,az1-n2")
        eventually(lambda: mesh.active_gateway("az1") == "az1-n1")
        time.sleep(0.5)
        mesh.configure("az1", gw_nodes="az1-gw,az1-n1,az1-n2")
        eventually(lambda: mesh.active_gateway("az1") == "az1-gw")
    worst = max(result.longest_gap_ms for result in results)
    print(f"reordered gateways, twice: longest gap {worst:.0f} ms")
    assert worst <= 500


def test_replaced_gateway(mesh: MeshLab) -> None:
    with mesh.trains(("az1/pod1", "az2/pod2"), ("az2/pod0", "az1/pod0")) as results:
        mesh.configure("az1", gw_nodes="az1-n2")
        eventually(lambda: mesh.active_gateway("az1") == "az1-n2")
        eventually(lambda: mesh.mark("az1", "az1-gw") == "false")
    worst = max(result.longest_gap_ms for result in results)
    print(f"replaced gateway: longest gap {worst:.0f} ms")
    assert worst <= 500


def test_unknown_gateway_node_is_an_error_and_harms_nobody(mesh: MeshLab) -> None:
    with mesh.lossless():
        mesh.configure("az1", gw_nodes="az1-gw,az1-n9")
        eventually(lambda: mesh.codes("az1") == ["config-invalid"])
    done = mesh.ovnmesh("status", "az1", check=False)
    assert done.returncode == 1
    assert "az1-n9" in done.stdout


def test_bad_input_keeps_the_last_good_state(mesh: MeshLab) -> None:
    with mesh.lossless():
        (mesh.folder("az1") / "ovn-ic-config.yaml").write_text("data: {{{{")
        eventually(lambda: mesh.codes("az1") == ["config-invalid"])
        metrics = mesh.runner.run_in(
            "az1/control",
            [
                sys.executable,
                "-c",
                "import urllib.request as u;"
                "print(u.urlopen('http://127.0.0.1:9476/metrics').read().decode())",
            ],
        )
        assert "ovnmesh_config_ok 0.0" in metrics
        assert 'ovnmesh_findings{code="config-invalid",severity="error"} 1.0' in metrics
    log = mesh.runner.directory / "az1" / "controller" / "controller.log"
    assert "config-invalid" in log.read_text()


def test_auto_route_off_and_on(mesh: MeshLab) -> None:
    mesh.configure("az1", auto_route="false")
    eventually(lambda: "learned" not in mesh.routes("az1"))
    eventually(lambda: "10.16.0.0/16" not in mesh.routes("az2"))
    assert "port ts-az1" in mesh.tool("ovn-ic-sbctl", "az1", "show")
    mesh.configure("az1", auto_route="true")
    mesh.wait_joined()
    mesh.assert_all_pairs()


def test_manual_routes_exactly_as_in_the_documents(mesh: MeshLab) -> None:
    for site in mesh.names:
        mesh.configure(site, auto_route="false")
    eventually(lambda: all("learned" not in mesh.routes(site) for site in mesh.names))
    listing = mesh.ovnmesh("routes", "az1", "-o", "json").stdout
    seen = json.loads(listing)
    hop = {port["az"]: port["address"].split()[1].split("/")[0] for port in seen["ports"]}
    shown = mesh.nbctl("az1", "show", "ts")
    assert hop["az2"] in shown, "the documents' way of finding the next hop gives the same"
    mesh.nbctl("az1", "lr-route-add", "ovn-cluster", "10.17.0.0/24", hop["az2"])
    mesh.nbctl("az2", "lr-route-add", "ovn-cluster", "10.16.0.0/24", hop["az1"])
    eventually(lambda: mesh.ping("az1/pod0", "az2/pod0", 2).lost == 0)
    assert mesh.ping("az2/pod2", "az1/pod1").lost == 0
    with mesh.lossless():
        mesh.configure("az1", gw_nodes="az1-gw,az1-n1")
        eventually(lambda: mesh.mark("az1", "az1-n1") == "true")
        mesh.configure("az1", gw_nodes="az1-gw")
        eventually(lambda: mesh.mark("az1", "az1-n1") == "false")
    mesh.reset()
    assert "10.17.0.0/24" in mesh.routes("az1"), "manual routes are foreign: they stay"
    mesh.nbctl("az1", "lr-route-del", "ovn-cluster", "10.17.0.0/24")
    mesh.nbctl("az2", "lr-route-del", "ovn-cluster", "10.16.0.0/24")


def test_route_add_and_del_look_the_next_hop_up(mesh: MeshLab) -> None:
    for site in mesh.names:
        mesh.configure(site, auto_route="false")
    eventually(lambda: all("learned" not in mesh.routes(site) for site in mesh.names))
    mesh.ovnmesh("route", "add", "az1", "10.17.0.0/24", "--via", "az2")
    mesh.ovnmesh("route", "add", "az2", "10.16.0.0/24", "--via", "az1")
    again = mesh.ovnmesh("route", "add", "az1", "10.17.0.0/24", "--via", "az2")
    assert "nothing to do" in again.stderr
    eventually(lambda: mesh.ping("az1/pod0", "az2/pod0", 2).lost == 0)
    unknown = mesh.ovnmesh("route", "add", "az1", "10.17.0.0/24", "--via", "az9", check=False)
    assert unknown.returncode == 2
    assert "az2" in unknown.stderr
    mesh.ovnmesh("route", "del", "az1", "10.17.0.0/24", "--via", "az2")
    mesh.ovnmesh("route", "del", "az2", "10.16.0.0/24", "--via", "az1")
    assert "10.17.0.0/24" not in mesh.routes("az1")


def test_new_subnet_reaches_the_other_site_and_an_opted_out_one_does_not(mesh: MeshLab) -> None:
    public = SUBNET.format(name="public", cidr="10.150.0.0/24", disabled="false")
    private = SUBNET.format(name="no-advertise", cidr="10.199.0.0/16", disabled="true")
    with mesh.lossless():
        mesh.apply("az1", public)
        mesh.apply("az1", private)
        eventually(lambda: "10.150.0.0/24" in mesh.routes("az2"))
    mesh.runner.add_pod("az1", "extra", "az1-n2", "public")
    eventually(lambda: mesh.ping("az2/pod0", "az1/extra", 2).lost == 0)
    assert "10.199.0.0/16" not in mesh.routes("az2")
    withheld = json.loads(mesh.ovnmesh("routes", "az1", "-o", "json").stdout)["routes"]
    why = next(r["why"] for r in withheld if r["prefix"] == "10.199.0.0/16")
    assert "disableInterConnection" in why
    mesh.apply("az1", private.replace("true", "false"))
    eventually(lambda: "10.199.0.0/16" in mesh.routes("az2"))
    mesh.runner.delete_pod("az1", "extra")
    mesh.delete("az1", public)
    mesh.delete("az1", private)
    eventually(lambda: "10.150.0.0/24" not in mesh.routes("az2"))


def test_node_addresses_stay_home_unless_advertised(mesh: MeshLab) -> None:
    mesh.nbctl("az1", "lr-route-add", "ovn-cluster", "192.168.42.11", "100.64.0.3")
    time.sleep(0.5)
    assert "192.168.42.11" not in mesh.routes("az2")
    mesh.configure("az1", advertise_nodes="true")
    eventually(lambda: "192.168.42.11" in mesh.routes("az2"))
    mesh.write_config("az1", mesh.first["az1"])
    eventually(lambda: "192.168.42.11" not in mesh.routes("az2"))
    mesh.nbctl("az1", "lr-route-del", "ovn-cluster", "192.168.42.11")


def test_overlap_is_kept_out_reported_with_both_owners_and_heals(mesh: MeshLab) -> None:
    clash = SUBNET.format(name="clash", cidr="10.16.0.0/16", disabled="false")
    with mesh.lossless(("az1/pod0", "az1/pod2"), ("az2/pod0", "az2/pod2")):
        mesh.apply("az2", clash)
        eventually(lambda: mesh.codes("az2") == ["cidr-conflict"])
    finding = mesh.status("az2")["findings"][0]["message"]
    assert "az1" in finding
    assert "az2" in finding
    assert "10.16.0.0/16" not in mesh.routes("az1"), "az1 never learns its own prefix"
    mesh.delete("az2", clash)
    mesh.wait_joined()
    mesh.assert_all_pairs()


def test_rename(mesh: MeshLab) -> None:
    with mesh.trains(("az1/pod1", "az2/pod2"), ("az2/pod0", "az1/pod0")) as results:
        mesh.configure("az1", az_name="prod-east")
        eventually(lambda: "port ts-prod-east" in mesh.tool("ovn-ic-sbctl", "az1", "show"))
        mesh.wait_joined()
    worst = max(result.longest_gap_ms for result in results)
    print(f"az-name changed: longest gap {worst:.0f} ms")
    assert worst <= 1000
    assert "az1" not in mesh.tool("ovn-ic-sbctl", "az1", "list", "Availability_Zone")
    assert "prod-east" in mesh.ovnmesh("status", "az1").stdout


def test_transit_switch_added_and_deleted(mesh: MeshLab) -> None:
    """By hand, without a word in advance; `transit-switch remove` is in test_transit_switches."""
    with mesh.lossless():
        mesh.tool("ovn-ic-nbctl", "az1", "ts-add", "ts1")
        mesh.tool(
            "ovn-ic-nbctl",
            "az1",
            "set",
            "Transit_Switch",
            "ts1",
            "external_ids:subnet=169.254.101.0/24",
        )
        eventually(lambda: "az1-ts1" in mesh.nbctl("az1", "show", "ts1"))
        eventually(lambda: mesh.routes("az2").count("10.16.0.0/16") == 2, what="ECMP")
        mesh.wait_joined()
    gone = "Transit_Switch ts1 deleted"
    with mesh.trains(("az1/pod1", "az2/pod2"), ("az2/pod0", "az1/pod0")) as results:
        mesh.tool("ovn-ic-nbctl", "az1", "ts-del", "ts1")
        eventually(lambda: "az1-ts1" not in mesh.nbctl("az1", "show"), what=gone)
        eventually(lambda: "az2-ts1" not in mesh.nbctl("az2", "show"), what=gone)
        eventually(lambda: mesh.routes("az2").count("10.16.0.0/16") == 1, what="orphaned routes")
    print(f"transit switch deleted: {[r.longest_gap_ms for r in results]} ms")
    mesh.wait_joined()
    mesh.assert_all_pairs()


def test_removed_configuration_is_not_leaving(mesh: MeshLab) -> None:
    path = mesh.folder("az1") / "ovn-ic-config.yaml"
    with mesh.lossless():
        path.unlink()
        eventually(lambda: mesh.codes("az1") == ["config-missing"])
        mesh.runner.fault_kill("az1/control", "controller")
        mesh.runner.fault_kill("az1/control", "controller", heal=True)
        time.sleep(1.5)
        assert mesh.codes("az1") == ["config-missing"]
        shutil.move(mesh.folder("az1"), mesh.runner.directory / "away")
        eventually(lambda: mesh.codes("az1") == ["config-unreadable"])
        shutil.move(mesh.runner.directory / "away", mesh.folder("az1"))
        eventually(lambda: mesh.codes("az1") == ["config-missing"])


def test_leave_restores_to_the_letter(mesh: MeshLab) -> None:
    """A first leave gives the state before any join; joining and leaving again gives the same."""
    mesh.configure("az1", enable_ic="false")
    eventually(lambda: mesh.status("az1")["state"] == "idle")
    eventually(lambda: mesh.mark("az1", "az1-gw") == "false")
    eventually(lambda: not any(keys.GATEWAYS in line for line in mesh.dump("az1")))
    before = mesh.dump("az1")
    assert not any("ovnmesh" in line or "is-remote" in line for line in before)
    assert "az1" not in mesh.ic_text()
    mesh.configure("az1", enable_ic="true")
    mesh.wait_joined()
    mesh.assert_all_pairs()
    mesh.ovnmesh("leave", "az1")
    eventually(lambda: not any(keys.GATEWAYS in line for line in mesh.dump("az1")))
    after = mesh.dump("az1")
    assert strip_keys(after) == strip_keys(before)
    assert "az1" not in mesh.ic_text()
    assert 'enable-ic: "false"' in (mesh.folder("az1") / "ovn-ic-config.yaml").read_text()


def strip_keys(dump: list[str]) -> list[str]:
    """Without numbers that OVN draws anew: what northd remembers as the highest tunnel id."""
    return [line for line in dump if not line.startswith("BFD")]


def test_second_site_with_the_same_name_is_refused(mesh: MeshLab) -> None:
    with mesh.lossless(("az1/pod0", "az1/pod2"), ("az2/pod0", "az2/pod2")):
        mesh.configure("az2", enable_ic="false")
        eventually(lambda: mesh.status("az2")["state"] == "idle")
        mesh.configure("az2", enable_ic="true", az_name="az1")
        eventually(lambda: mesh.codes("az2") == ["az-name-taken"])
    owner = mesh.nbctl("az1", "get", "NB_Global", ".", "_uuid").strip()
    assert owner in mesh.status("az2")["findings"][0]["message"]
    assert "port ts-az1" in mesh.tool("ovn-ic-sbctl", "az1", "show")


def test_status_tells_all_in_both_forms_with_the_same_exit_code(mesh: MeshLab) -> None:
    done = mesh.ovnmesh("status", "--wait", "--timeout", "20")
    assert "az1-gw*" in done.stdout
    assert "joined" in done.stdout
    assert "\x1b[" not in done.stdout, "colour only on a terminal"
    found = json.loads(mesh.ovnmesh("status", "-o", "json").stdout)
    assert found["sites"]["az1"]["healthy"] is True
    assert {port["az"] for port in found["mesh"]} == {"az1", "az2"}
    mesh.configure("az1", auto_route="maybe")
    eventually(lambda: mesh.codes("az1") == ["config-invalid"])
    for form in ("table", "json"):
        assert mesh.ovnmesh("status", "-o", form, check=False).returncode == 1
