"""The controller with real databases, real ovn-northd and real ovn-ic; no data path, no root.

Gateway nodes are Chassis rows written by the test, which plays ovn-controller and the agents.
"""

import json
import signal
import subprocess

import pytest

from ovnmesh import ovn_keys as keys
from ovnmesh.model.changes import Db
from servers import Server, wait_for
from site_harness import CONFIG, connected


def test_two_sites_learn_each_others_routes(pair, ic) -> None:
    one, two = pair
    assert "100.65.0.0/16" in one.routes(), "the join subnet is advertised, as in the documents"

    def show() -> str:
        command = ["ovn-ic-sbctl", f"--db={ic.sb.remote}", "show"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    for word in ("availability-zone az1", "hostname: az1-gw"):
        wait_for(lambda word=word: word in show(), what=show)
    port = two.nbctl("show", "ts")
    assert "port ts-az1\n        type: remote" in port


def test_a_healthy_site_writes_nothing_and_logs_nothing(pair, caplog) -> None:
    one, _ = pair
    one.settle()
    caplog.clear()
    before = one.transactions()
    one.passed()
    assert one.transactions() == before
    assert [record for record in caplog.records if record.name.startswith("ovnmesh")] == []


def test_auto_route_false_withdraws_and_true_brings_back(pair) -> None:
    one, two = pair
    one.configure(auto="false")
    wait_for(lambda: "learned" not in one.routes() and "10.16.0.0/16" not in two.routes())
    one.nbctl("lr-route-add", "ovn-cluster", "10.17.0.0/24", "169.254.100.31")
    one.configure(auto="true")
    connected(one, two)
    assert "10.17.0.0/24" in one.routes(), "a manual route is foreign and survives"


def test_disabled_subnet_and_node_addresses_are_withheld(pair) -> None:
    one, two = pair
    one.write(
        "no-advertise.yaml",
        "apiVersion: kubeovn.io/v1\nkind: Subnet\nmetadata: {name: no-advertise}\n"
        "spec: {cidrBlock: 10.199.0.0/16, disableInterConnection: true}\n",
    )
    wait_for(lambda: "10.199.0.0/16" in one.option(keys.ROUTE_BLACKLIST))
    one.subnet("no-advertise", "10.199.0.1/16")
    one.subnet("advertise", "10.198.0.1/16")
    wait_for(lambda: "10.198.0.0/16" in two.routes())
    assert "10.199.0.0/16" not in two.routes()
    one.write(
        "no-advertise.yaml",
        "apiVersion: kubeovn.io/v1\nkind: Subnet\nmetadata: {name: no-advertise}\n"
        "spec: {cidrBlock: 10.199.0.0/16, disableInterConnection: false}\n",
    )
    wait_for(lambda: "10.199.0.0/16" in two.routes())
    one.nbctl("lr-route-add", "ovn-cluster", "10.42.1.1", "100.64.0.2")
    wait_for(lambda: "10.42.1.1" in two.routes())
    node = (
        "apiVersion: v1\nkind: Node\nmetadata: {name: az1-gw}\n"
        "status: {addresses: [{type: InternalIP, address: 10.42.1.1}]}\n"
    )
    one.write("nodes.yaml", node)
    wait_for(lambda: "10.42.1.1" not in two.routes())
    one.write(
        "ovn-ic-config.yaml",
        CONFIG.format(enable="true", az="az1", gw="az1-gw", auto="true", **one.ic.ports)
        + '  advertise-nodes: "true"\n',
    )
    wait_for(lambda: "10.42.1.1" in two.routes())


def test_bad_input_keeps_the_last_good_state(pair) -> None:
    one, _two = pair
    routes = one.routes()
    one.configure(auto="yes", gw="az1-gw,az1-gw")
    wait_for(lambda: one.codes().count("config-invalid") == 2)
    wait_for(lambda: "config-invalid" in one.nbctl("get", "NB_Global", ".", "external_ids"))
    assert not one.reports[-1].input_ok
    assert one.routes() == routes
    one.configure()
    wait_for(lambda: one.codes() == [])


def test_removed_configuration_is_not_leaving_even_across_a_restart(pair) -> None:
    one, two = pair
    routes = one.routes()
    (one.manifests / "ovn-ic-config.yaml").unlink()
    wait_for(lambda: "config-missing" in one.codes())
    controller, thread = one.controllers.pop()
    controller.stop()
    thread.join()
    one.reports.clear()
    one.control()
    wait_for(lambda: "config-missing" in one.codes() and one.reports[-1].state == "joined")
    assert one.routes() == routes
    two.subnet("late", "10.150.0.1/16")
    wait_for(lambda: "10.150.0.0/16" in one.routes(), what="ovn-ic runs on the last good state")


def test_unreadable_folder_is_not_leaving(pair) -> None:
    one, _ = pair
    routes = one.routes()
    one.manifests.rename(one.folder / "away")
    wait_for(lambda: "config-unreadable" in one.codes(), 15)
    assert one.routes() == routes
    (one.folder / "away").rename(one.manifests)
    wait_for(lambda: one.codes() == [], 15)


def test_leaving_restores_the_dumps_and_cleans_the_mesh(sites, ic) -> None:
    one, two = sites(1), sites(2)
    one.mark("az1-gw", "false")
    before = normal_dump(one.nb), normal_dump(one.sb)
    for site in (one, two):
        site.configure()
        site.control()
        site.mark(f"az{site.number}-gw")
    connected(one, two)
    one.configure(enable="false")
    wait_for(lambda: "10.16.0.0/16" not in two.routes(), what="withdrawn at the other site")
    wait_for(lambda: one.option(keys.GATEWAYS) == "", what="agents told to unmark")
    one.mark("az1-gw", "false")
    wait_for(lambda: one.reports[-1].state == "idle", 15, "left")
    # northd and ovn-ic take what is gone out of their own tables a moment later.
    wait_for(lambda: (normal_dump(one.nb), normal_dump(one.sb)) == before, 5, "as it was before")
    for database in (ic.nb, ic.sb):
        wait_for(lambda database=database: "az1" not in database.dump(), 5, database.dump)
    wait_for(lambda: two.codes() == [], 5, two.codes)


def normal_dump(server: Server) -> list[str]:
    """A dump without what the daemons count, draw or stamp by themselves."""
    lines = []
    tables = {
        Db.NB: (
            "NB_Global",
            "Logical_Router",
            "Logical_Router_Port",
            "Logical_Router_Policy",
            "Logical_Router_Static_Route",
            "Logical_Switch",
            "Logical_Switch_Port",
            "Gateway_Chassis",
            "Address_Set",
        ),
        Db.SB: ("Chassis", "Encap", "Port_Binding", "Datapath_Binding"),
    }[server.db]
    for table in tables:
        out = json.loads(
            subprocess.run(
                ["ovsdb-client", "dump", "-f", "json", server.remote, server.db.value, table],
                check=True,
                capture_output=True,
                text=True,
            ).stdout
        )
        for row in out["data"]:
            cells = dict(zip(out["headings"], row, strict=True))
            for volatile in ("nb_cfg", "sb_cfg", "hv_cfg", "nb_cfg_timestamp", "up"):
                cells.pop(volatile, None)
            lines.append(f"{table} {json.dumps(cells, sort_keys=True)}")
    return sorted(lines)


def test_second_site_with_the_same_name_is_refused(pair, sites) -> None:
    one, _two = pair
    routes = one.routes()
    three = sites(3)
    three.configure(az="az1")
    three.control()
    wait_for(lambda: "az-name-taken" in three.codes())
    assert one.routes() == routes
    assert three.nbctl("get", "NB_Global", ".", "name").strip() == '""'
    three.configure(az="az3")
    three.mark("az3-gw")
    wait_for(lambda: "10.18.0.0/16" in one.routes())


def uuids(dump: str) -> set[str]:
    return {line.split(",")[0] for line in dump.splitlines()[2:]}


def test_rename_keeps_routes_and_ends_with_the_documents_names(pair, ic) -> None:
    one, two = pair
    zones = uuids(ic.sb.dump("Availability_Zone"))
    routes = uuids(ic.sb.dump("Route"))
    one.configure(az="prod-east")
    wait_for(lambda: "port ts-prod-east" in two.nbctl("show", "ts"))
    wait_for(lambda: "router-port: prod-east-ts" in one.nbctl("show", "ts"))
    wait_for(lambda: "ts-az1" not in ic.sb.dump("Port_Binding"))
    one.settle()
    assert one.state() == "joined"
    assert "10.16.0.0/16" in two.routes()
    assert uuids(ic.sb.dump("Availability_Zone")) == zones, "renamed in place"
    assert uuids(ic.sb.dump("Route")) == routes, "no route was withdrawn, not for a moment"


def test_rename_while_no_controller_runs(pair, ic) -> None:
    one, two = pair
    controller, thread = one.controllers.pop()
    controller.stop()
    thread.join()
    one.configure(az="later")
    one.control()
    wait_for(lambda: "port ts-later" in two.nbctl("show", "ts"))
    wait_for(lambda: "later" in ic.sb.dump("Availability_Zone"))
    assert "az1" not in ic.sb.dump("Availability_Zone")


def test_gateway_is_promoted_after_it_is_marked(sites) -> None:
    one = sites(1)
    one.configure()
    one.control()
    wait_for(lambda: one.option(keys.GATEWAYS) == "az1-gw")
    wait_for(lambda: "port az1-ts\n" in one.nbctl("show", "ovn-cluster"))
    wait_for(lambda: "gateway-not-marked" in one.codes())
    assert one.nbctl("lrp-get-gateway-chassis", "az1-ts") == ""
    one.mark("az1-gw")
    wait_for(lambda: "az1-gw" in one.nbctl("lrp-get-gateway-chassis", "az1-ts"))
    one.configure(gw="az1-gw,az1-n1")
    one.mark("az1-n1")
    wait_for(lambda: "az1-n1" in one.nbctl("lrp-get-gateway-chassis", "az1-ts"))
    first = one.nbctl("lrp-get-gateway-chassis", "az1-ts").splitlines()[0]
    assert "az1-gw" in first


def test_overlap_is_kept_out_reported_and_healed(pair) -> None:
    one, two = pair
    two.write(
        "overlap.yaml",
        "apiVersion: kubeovn.io/v1\nkind: Subnet\nmetadata: {name: overlap}\n"
        "spec: {cidrBlock: 10.16.0.0/16}\n",
    )
    wait_for(lambda: "cidr-conflict" in two.codes())
    two.subnet("overlap", "10.16.0.1/16")
    wait_for(lambda: "10.16.0.0/16" not in two.routes(), what="az2 no longer learns it")
    message = next(f.message for f in two.reports[-1].findings if f.code == "cidr-conflict")
    assert "az1" in message
    assert "az2" in message
    assert "10.16.0.0/16" not in one.routes(), "az1 never learns its own prefix"
    two.nbctl("lrp-del", "ovn-cluster-overlap", "--", "ls-del", "overlap")
    (two.manifests / "overlap.yaml").unlink()
    wait_for(lambda: "10.16.0.0/16" in two.routes(), what="healed")
    wait_for(lambda: two.codes() == [])


def test_two_controllers_one_acts_and_the_other_takes_over(pair) -> None:
    one, _two = pair
    one.control()
    wait_for(lambda: any(report.state == "standby" for report in one.reports))
    controller, thread = one.controllers.pop(0)
    controller.stop()
    thread.join()
    one.configure(gw="az1-n1")
    one.mark("az1-n1")
    wait_for(lambda: "az1-n1" in one.nbctl("lrp-get-gateway-chassis", "az1-ts"))


def test_ovn_ic_killed_is_started_again(pair) -> None:
    import os

    one, two = pair
    ((controller, _),) = one.controllers
    pid = controller._ovn_ic.pid
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: controller._ovn_ic.pid not in (None, pid))
    two.subnet("late", "10.150.0.1/16")
    wait_for(lambda: "10.150.0.0/16" in one.routes())


@pytest.mark.parametrize("which", ["ic_nb", "ic_sb", "nb", "sb"])
def test_losing_a_database_is_reported_and_mended(pair, ic, which: str) -> None:
    one, two = pair
    database = {"ic_nb": ic.nb, "ic_sb": ic.sb, "nb": one.nb, "sb": one.sb}[which]
    code = "ic-unreachable" if which.startswith("ic") else "site-unreachable"
    routes = one.routes()
    port = ic.ports.get(which[3:])
    database.stop(kill=True)
    wait_for(lambda: code in one.codes(), 20)
    if which != "nb":
        assert one.routes() == routes
    database.start()
    if port is not None:
        subprocess.run(
            [
                "ovs-appctl",
                "-t",
                f"{database.folder}/{database.db.name}.ctl",
                "ovsdb-server/add-remote",
                f"ptcp:{port}:127.0.0.1",
            ],
            check=True,
        )
    wait_for(lambda: one.codes() == [] and one.reports[-1].state == "joined", 30)
    two.subnet("late", "10.150.0.1/16")
    wait_for(lambda: "10.150.0.0/16" in one.routes(), 20)


def test_moving_to_an_address_where_nothing_answers_keeps_the_old(pair) -> None:
    one, two = pair
    one.configure(nb=1, sb=2)
    wait_for(lambda: "ic-not-moved" in one.codes())
    two.subnet("late", "10.150.0.1/16")
    wait_for(lambda: "10.150.0.0/16" in one.routes())
    one.configure()
    wait_for(lambda: one.codes() == [])


def test_addresses_of_a_site_run_by_hand_are_respected(sites, ic) -> None:
    zone = json.loads(
        ic.sb.transact({"op": "insert", "table": "Availability_Zone", "row": {"name": "byhand"}})
    )[0]["uuid"]
    one = sites(1)
    one.configure()
    one.control()
    one.mark("az1-gw")
    wait_for(lambda: one.reports and one.reports[-1].state == "joined")
    mine = one.nbctl("get", "Logical_Router_Port", "az1-ts", "networks").strip('[]"\n')
    ic.sb.transact(
        {
            "op": "insert",
            "table": "Port_Binding",
            "row": {
                "logical_port": "ts-byhand",
                "transit_switch": "ts",
                "availability_zone": zone,
                "tunnel_key": 77,
                "address": f"00:00:00:50:ac:8c {mine}",
            },
        }
    )
    wait_for(lambda: mine not in one.nbctl("get", "Logical_Router_Port", "az1-ts", "networks"))
    assert mine in ic.sb.dump("Port_Binding"), "theirs is untouched"


def test_empty_interconnection_databases_do_not_take_the_switches_away(pair, ic, server) -> None:
    """A controller that starts anew, aimed at databases that are empty, starts no ovn-ic there."""
    one, _two = pair
    empty = server(Db.IC_NB, one.folder), server(Db.IC_SB, one.folder)
    empty[0].transact({"op": "insert", "table": "IC_NB_Global", "row": {}})
    controller, thread = one.controllers.pop()
    controller.stop()
    thread.join()
    one.configure(nb=empty[0].listen(), sb=empty[1].listen())
    one.control()
    one.control()
    wait_for(lambda: "ic-empty" in {f.code for r in one.reports for f in r.findings})
    wait_for(lambda: any(report.state == "standby" for report in one.reports))
    assert all(controller._ovn_ic.pid is None for controller, _ in one.controllers)
    assert "port ts-az2" in one.nbctl("show", "ts")
    assert "10.17.0.0/16" in one.routes()
    one.configure()
    wait_for(lambda: one.codes() == [] and one.state() == "joined", 20)
