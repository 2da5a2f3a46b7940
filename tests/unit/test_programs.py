"""Where OVN's programs and schemas are: one setting, in a documented order of preference."""

from pathlib import Path

import pytest

from ovnmesh.host.programs import program, program_folders, schema_file


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch):
    for name in ("OVN_PREFIX", "OVN_PKGDATADIR", "OVS_PKGDATADIR"):
        monkeypatch.delenv(name, raising=False)


def test_by_default_programs_are_on_the_path_and_schemas_where_debian_puts_them():
    assert program("ovn-ic") == "ovn-ic"
    assert program_folders() == ()
    assert schema_file("ovn-ic-sb") == Path("/usr/share/ovn/ovn-ic-sb.ovsschema")
    assert schema_file("vswitch") == Path("/usr/share/openvswitch/vswitch.ovsschema")


def test_the_variables_of_ovns_scripts_move_schemas(monkeypatch):
    monkeypatch.setenv("OVN_PKGDATADIR", "/a")
    monkeypatch.setenv("OVS_PKGDATADIR", "/b")
    assert schema_file("ovn-nb") == Path("/a/ovn-nb.ovsschema")
    assert schema_file("vswitch") == Path("/b/vswitch.ovsschema")
    assert program("ovn-ic") == "ovn-ic"


def test_the_prefix_moves_everything_whatever_else_is_set(monkeypatch, tmp_path):
    monkeypatch.setenv("OVN_PKGDATADIR", "/a")
    monkeypatch.setenv("OVN_PREFIX", str(tmp_path))
    switchd = tmp_path / "lib/openvswitch-switch/ovs-vswitchd"
    for file in (tmp_path / "sbin/ovsdb-server", switchd):
        file.parent.mkdir(parents=True)
        file.touch()
    assert program("ovsdb-server") == str(tmp_path / "sbin/ovsdb-server")
    assert program("ovs-vswitchd") == str(switchd)
    assert schema_file("ovn-nb") == tmp_path / "share/ovn/ovn-nb.ovsschema"
    assert schema_file("vswitch") == tmp_path / "share/openvswitch/vswitch.ovsschema"


def test_what_the_prefix_lacks_is_not_taken_from_elsewhere(monkeypatch, tmp_path):
    monkeypatch.setenv("OVN_PREFIX", str(tmp_path))
    assert program("ovn-ic") == str(tmp_path / "bin/ovn-ic")


def test_a_relative_prefix_holds_in_other_folders_too(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OVN_PREFIX", "ovn")
    assert schema_file("ovn-nb") == tmp_path / "ovn/share/ovn/ovn-nb.ovsschema"
