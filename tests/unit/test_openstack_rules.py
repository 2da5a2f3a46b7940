"""Security-group rules: which are missing, which are ours and stale, which ports are closed."""

from ipaddress import ip_network

import pytest

from ovnmesh.model.prefixes import parse_prefix
from ovnmesh.operate.config_files import disable_manifest, replace_file, set_enabled
from ovnmesh.providers.openstack.checks.routers import check_routers
from ovnmesh.providers.openstack.checks.security import check_security
from ovnmesh.providers.openstack.neutron import Neutron, NeutronRouter, NeutronSubnet
from ovnmesh.providers.openstack.security import SecuredPort, Security, SecurityGroup, SecurityRule
from ovnmesh.providers.openstack.security_rules import RuleChanges, mark, plan_rules

POD, POD6 = parse_prefix("10.16.0.0/16"), parse_prefix("fd00:16::/64")
MESH = (POD, POD6)
ANY4 = SecurityRule("any4", "g", 4)


def rule(source, group="g", **more):
    prefix = parse_prefix(source)
    name = f"{group} {source} {more.get('description', '')}"
    return SecurityRule(name, group, prefix.version, prefix, **more)


def security(*rules, groups=("g",)):
    port = SecuredPort("p", "vm0", frozenset({"s"}), frozenset(groups))
    return Security(
        (port,),
        {
            group: SecurityGroup(
                group, f"name-{group}", tuple(r for r in rules if r.group == group)
            )
            for group in groups
        },
    )


def test_both_families_are_let_in_to_every_group():
    assert plan_rules(security(groups=("g", "h")), (), MESH, "os1") == RuleChanges(
        (("g", POD), ("g", POD6), ("h", POD), ("h", POD6))
    )


def test_what_lies_within_another_prefix_needs_no_rule():
    inner = parse_prefix("10.16.5.0/24")
    assert plan_rules(security(), (), (inner, POD), "os1").add == (("g", POD),)


@pytest.mark.parametrize(
    ("there", "enough"),
    [
        (rule("10.0.0.0/8"), True),
        (ANY4, True),
        (rule("10.16.0.0/17"), False),
        (rule("10.16.0.0/16", protocol="tcp"), False),
        (SecurityRule("r", "g", 4, by_group=True), False),
        (SecurityRule("r", "g", 6), False),
    ],
)
def test_a_rule_that_opens_already(there, enough):
    assert (plan_rules(security(there), (), (POD,), "os1").add == ()) is enough


def test_doing_it_again_changes_nothing():
    ours = [rule(str(prefix), description=mark("os1")) for prefix in MESH]
    assert plan_rules(security(*ours), ours, MESH, "os1") == RuleChanges()


def test_our_stale_rules_go_and_nobody_elses():
    stale = rule("10.99.0.0/16", description=mark("os1"))
    unused = rule("10.16.0.0/16", "other", description=mark("os1"))
    theirs = rule("10.99.0.0/16", description="mine")
    neighbour = rule("10.98.0.0/16", description=mark("os2"))
    changes = plan_rules(
        security(stale, theirs, ANY4), [stale, unused, theirs, neighbour], (POD,), "os1"
    )
    assert changes == RuleChanges((), (stale, unused))


def test_a_closed_port_is_told_with_group_prefixes_and_command():
    (found,) = check_security(security(), MESH, "/etc/os1.yaml")
    assert found.code == "security-group-closed"
    assert "name-g (g)" in found.message
    assert "vm0" in found.message
    assert "10.16.0.0/16, fd00:16::/64" in found.message
    assert "ovnmesh openstack join /etc/os1.yaml --allow-from-mesh" in found.message


@pytest.mark.parametrize(
    "there", [ANY4, rule("10.16.0.0/16", protocol="tcp"), rule("10.16.9.0/24"), rule("10.0.0.0/8")]
)
def test_a_port_that_lets_something_in_is_meant_so(there):
    assert list(check_security(security(there), (POD,), "f")) == []


def test_one_of_several_groups_is_enough():
    assert list(check_security(security(ANY4, groups=("g", "h")), (POD,), "f")) == []


def test_a_port_without_group_is_closed():
    (found,) = check_security(security(groups=()), (POD,), "f")
    assert found.subject == "no security group"


def test_without_other_sites_nothing_is_closed():
    assert list(check_security(security(), (), "f")) == []


def test_routers_that_carry_nothing():
    disabled = NeutronRouter("r1", "router1", enabled=False)
    bare = NeutronRouter("r2", "router2")
    neutron = Neutron(
        (disabled, bare),
        {"r1": ("s",), "r2": ()},
        {"s": NeutronSubnet("s", "", ip_network("10.1.0.0/24"), "n")},
    )
    found = [(f.code, f.subject) for f in check_routers((disabled, bare), neutron)]
    assert found == [("router-disabled", "router1"), ("router-without-subnet", "router2")]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("a: 1\nenable-ic: true   # why\nb: 2\n", "a: 1\nenable-ic: false   # why\nb: 2\n"),
        ('enable-ic: "true"\n', "enable-ic: false\n"),
        ("enable-ic: yes\n", "enable-ic: false\n"),
        ("enable-ic: false # no\n", "enable-ic: false # no\n"),
        ("a: 1\n", "a: 1\nenable-ic: false\n"),
        ("# enable-ic: true\na: 1\n", "# enable-ic: true\na: 1\nenable-ic: false\n"),
    ],
)
def test_only_the_one_value_of_a_site_file_changes(before, after):
    assert set_enabled(before, wanted=False) == after
    assert set_enabled(after, wanted=False) == after


def test_enabling_what_is_enabled_by_default_changes_nothing():
    assert set_enabled("a: 1\n", wanted=True) == "a: 1\n"
    assert set_enabled("enable-ic: false # x\n", wanted=True) == "enable-ic: true # x\n"


def test_a_manifest_keeps_its_quotes():
    assert disable_manifest('  enable-ic: "true"  # x\n') == '  enable-ic: "false"  # x\n'
    assert disable_manifest('  enable-ic: "maybe"\n') == '  enable-ic: "maybe"\n'


def test_a_file_is_replaced_with_its_mode_and_through_its_link(tmp_path):
    real = tmp_path / "real.yaml"
    real.write_text("old")
    real.chmod(0o640)
    link = tmp_path / "link.yaml"
    link.symlink_to(real)
    replace_file(link, "new")
    assert link.is_symlink()
    assert real.read_text() == "new"
    assert real.stat().st_mode & 0o777 == 0o640
    assert sorted(tmp_path.iterdir()) == [link, real]
