"""The commands on real databases: what they print, what they change, how they exit."""

import json
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner, Result

from ovnmesh.cli.main import app
from ovnmesh.errors import ConfigError
from servers import wait_for


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ic):
    """Run a command with a sites file of the given sites."""
    for name in ("OVN_NB_DB", "OVN_SB_DB", "OVN_IC_NB_DB", "OVN_IC_SB_DB", "OVNMESH_SITES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OVNMESH_LAB_DIR", str(tmp_path / "nolab"))
    monkeypatch.setenv("OVN_RUNDIR", str(tmp_path / "norun"))

    def run(*words: str, sites=(), folder: bool = True) -> Result:
        file = tmp_path / "sites.yaml"
        entries = {
            f"az{site.number}": {
                "nb": site.nb.remote,
                "sb": site.sb.remote,
                "ic_nb": ic.nb.remote,
                "ic_sb": ic.sb.remote,
                **({"config": str(site.manifests)} if folder else {}),
            }
            for site in sites
        }
        file.write_text(yaml.safe_dump({"sites": entries}))
        if sites:
            monkeypatch.setenv("OVNMESH_SITES", str(file))
        return CliRunner().invoke(app, list(words))

    return run


def test_status_of_a_mesh_from_its_interconnection_databases_alone(
    pair, ic, run, monkeypatch
) -> None:
    monkeypatch.setenv("OVN_IC_NB_DB", ic.nb.remote)
    monkeypatch.setenv("OVN_IC_SB_DB", ic.sb.remote)
    done = run("status")
    assert done.exit_code == 0
    assert "az1  ovnmesh  az1-gw" in done.stdout
    zones = json.loads(run("status", "-o", "json").stdout)["zones"]
    assert [zone["az"] for zone in zones] == ["az1", "az2"]
    assert zones[0]["routes"] == 2


def test_status_says_what_it_needs(run) -> None:
    done = run("status")
    assert isinstance(done.exception, ConfigError)
    assert "OVN_IC_SB_DB" in str(done.exception)


def test_status_notices_that_no_controller_runs(pair, run) -> None:
    one, _two = pair
    assert "controller-missing" not in run("status", "az1", sites=pair).stdout
    controller, thread = one.controllers.pop()
    controller.stop()
    thread.join()
    done = run("status", "az1", sites=pair)
    assert "controller-missing" in done.stdout
    assert done.exit_code == 1
    one.control()
    wait_for(lambda: one.reports[-1].state == "joined")


def test_status_of_a_site_that_cannot_be_reached(pair, run) -> None:
    one, _two = pair
    one.nb.stop()
    done = run("status", "-o", "json", sites=pair)
    found = json.loads(done.stdout)["sites"]
    assert found["az1"]["findings"][0]["code"] == "site-unreachable"
    assert found["az2"]["az"] == "az2"
    assert done.exit_code == 1
    one.nb.start()
    wait_for(lambda: one.reports[-1].state == "joined", 20)


def test_routes_tell_learned_refused_and_withheld_with_reasons(pair, run) -> None:
    one, two = pair
    two.subnet("overlap", "10.16.0.1/16")
    wait_for(lambda: "cidr-conflict" in two.codes())
    found = json.loads(run("routes", "az2", "-o", "json", sites=pair).stdout)["routes"]
    states = {(route["prefix"], route["az"]): route for route in found}
    assert states["100.64.0.0/16", "az1"]["state"] == "learned"
    refused = states["10.16.0.0/16", "az1"]
    assert refused["state"] == "refused"
    assert refused["why"] == "overlap: az1 keeps 10.16.0.0/16, az2 has 10.16.0.0/16"
    assert states["10.16.0.0/16", "az2"]["state"] == "withheld"
    assert "learned" in run("routes", "az1", sites=pair).stdout
    assert one.codes() == []


def test_leave_lets_the_controller_do_it(pair, run) -> None:
    one, two = pair
    one.mark("az1-gw", "true")
    done = run("leave", "az1", sites=pair)
    assert done.exit_code == 0, done.output
    assert 'enable-ic: "false"' in (one.manifests / "ovn-ic-config.yaml").read_text()
    wait_for(lambda: "10.16.0.0/16" not in two.routes(), what=two.routes)
    assert one.nbctl("get", "NB_Global", ".", "name").strip() == '""'


def test_leave_refuses_where_a_controller_would_join_again(pair, run) -> None:
    done = run("leave", "az1", sites=pair, folder=False)
    assert isinstance(done.exception, ConfigError)
    assert "enable-ic" in str(done.exception)
    assert "10.16.0.0/16" in pair[1].routes()


def test_leave_without_a_controller(pair, run) -> None:
    one, two = pair
    controller, thread = one.controllers.pop()
    controller.stop()
    thread.join()
    done = run("leave", "az1", sites=pair, folder=False)
    assert done.exit_code == 0, done.output
    wait_for(lambda: "10.16.0.0/16" not in two.routes())
    assert "ovnmesh" not in one.nb.dump("NB_Global")


def test_forget_removes_what_a_dead_site_left(pair, run, ic) -> None:
    one, two = pair
    controller, thread = one.controllers.pop()
    controller.stop()
    thread.join()
    done = run("forget", "az1", "--yes", sites=pair)
    assert done.exit_code == 0, done.output
    wait_for(lambda: "10.16.0.0/16" not in two.routes())
    assert "az1" not in ic.sb.dump() + ic.nb.dump()
    again = run("forget", "az1", "--yes", sites=pair)
    assert "nothing to do" in again.stderr
    asked = run("forget", "az2", sites=pair)
    assert asked.exit_code == 1, "no answer is a no"
    assert "az2" in ic.sb.dump()


def test_forget_finds_the_databases_by_a_site_s_record(pair, monkeypatch) -> None:
    """As in a controller's pod, where nothing else names them."""
    one, two = pair
    for controller, thread in [two.controllers.pop()]:
        controller.stop()
        thread.join()
    monkeypatch.setenv("OVN_NB_DB", one.nb.remote)
    monkeypatch.setenv("OVN_SB_DB", one.sb.remote)
    for name in ("OVN_IC_NB_DB", "OVN_IC_SB_DB", "OVNMESH_SITES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OVNMESH_LAB_DIR", str(one.folder))
    done = CliRunner().invoke(app, ["forget", "az2", "--yes"])
    assert done.exit_code == 0, done.output
    wait_for(lambda: "10.17.0.0/16" not in one.routes())


def test_unknown_site_names_the_known_ones(pair, run) -> None:
    done = run("routes", "az7", sites=pair)
    assert isinstance(done.exception, ConfigError)
    assert "az1, az2" in str(done.exception)


@pytest.mark.parametrize(
    "content",
    ["[]", "sites: 3", "sites: {az1: {nb: x}}", "sites: {az1: {nb: x, sb: y, z: 1}}", "{"],
)
def test_bad_sites_file_is_a_clear_error(tmp_path: Path, content: str) -> None:
    file = tmp_path / "sites.yaml"
    file.write_text(content)
    done = CliRunner().invoke(app, ["status", "--sites-file", str(file)])
    assert isinstance(done.exception, ConfigError)
    assert str(file) in str(done.exception)
