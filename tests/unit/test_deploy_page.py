"""The CRD accepts and refuses what it should, and docs/kubernetes.md says what `deploy/` does."""

import os
import re
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from deploy_manifests import (
    DEPLOY,
    ROOT,
    Object,
    Rule,
    crd,
    crd_problems,
    indented_yaml,
    of_kind,
    rendered,
    rules,
)

from ovnmesh.config import parse_config
from ovnmesh.providers.interconnection_spec import parse_interconnection

PAGE = ROOT / "docs" / "kubernetes.md"
GOOD: dict[str, Any] = {"azName": "az1", "icDBHosts": ["192.168.65.3"], "gatewayNodes": ["gw"]}


def interconnection(name: str = "default", **spec: Any) -> Object:
    return {
        "apiVersion": "ovnmesh.io/v1",
        "kind": "Interconnection",
        "metadata": {"name": name},
        "spec": {**GOOD, **spec},
    }


@pytest.mark.parametrize(
    "spec",
    [
        {},
        {"icDBHosts": ["fd00::1", "192.168.65.3"], "icNBPort": 16645, "autoRoute": False},
        {"gatewayNodes": ["az1-gw.example", "az1_gw2"], "advertiseNodes": True},
    ],
)
def test_the_crd_accepts(spec: dict[str, Any]) -> None:
    wanted = interconnection(**spec)
    assert crd_problems(wanted) == []
    parse_interconnection(wanted["spec"], "test")


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        ({"azName": "prod east"}, "does not match"),
        ({"azName": "a" * 64}, "too long"),
        ({"icDBHosts": ["ic.example"]}, "not valid"),
        ({"icDBHosts": ["0.0.0.0"]}, "an address that every site can reach"),
        ({"icDBHosts": ["::"]}, "an address that every site can reach"),
        ({"icDBHosts": []}, "should be non-empty"),
        ({"icDBHosts": ["192.168.65.3", "192.168.65.3"]}, "an entry twice"),
        ({"icDBHosts": "192.168.65.3"}, "is not of type 'array'"),
        ({"icNBPort": 6646}, "must differ"),
        ({"icNBPort": 0}, "less than the minimum"),
        ({"icNBPort": "6645"}, "is not of type 'integer'"),
        ({"enableIC": "true"}, "is not of type 'boolean'"),
        ({"gwNodes": ["gw"]}, "'gwNodes' was unexpected"),
    ],
)
def test_the_crd_refuses(spec: dict[str, Any], problem: str) -> None:
    (found,) = crd_problems(interconnection(**spec))
    assert problem in found


def test_the_crd_needs_all_to_join_and_nothing_to_leave() -> None:
    without = interconnection()
    del without["spec"]["gatewayNodes"]
    assert "are needed while enableIC is true" in crd_problems(without)[0]
    without["spec"]["enableIC"] = False
    assert crd_problems(without) == []
    assert crd_problems({**without, "spec": {"enableIC": False}}) == []
    assert crd_problems({key: value for key, value in without.items() if key != "spec"}) == []


def test_the_crd_knows_one_name() -> None:
    (found,) = crd_problems(interconnection(name="other"))
    assert 'name it "default"' in found


def test_objects_of_the_page_are_valid() -> None:
    seen = []
    for each in indented_yaml(PAGE):
        seen.append(each["kind"])
        if each["kind"] == "Interconnection":
            assert crd_problems(each) == []
            parse_interconnection(each["spec"], "page")
        elif each["kind"] == "ConfigMap":
            kubernetes_validate.validate(each, kubernetes_validate.latest_version(), strict=True)
            parse_config(each["data"], "page")
    assert sorted(seen) == ["ConfigMap", "Interconnection", "Kustomization"]


def test_both_forms_on_the_page_say_the_same() -> None:
    objects = {each["kind"]: each for each in indented_yaml(PAGE)}
    from_data = parse_config(objects["ConfigMap"]["data"], "page")
    assert parse_interconnection(objects["Interconnection"]["spec"], "page") == from_data


def test_the_overlay_of_the_page_renders(tmp_path: Path) -> None:
    (wanted,) = [each for each in indented_yaml(PAGE) if each["kind"] == "Kustomization"]
    (base,) = wanted["resources"]
    real = DEPLOY / "overlays" / Path(base).name
    wanted["resources"] = [os.path.relpath(real, tmp_path)]
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(wanted))
    (databases,) = of_kind(rendered(str(tmp_path)), "ConfigMap")
    assert databases["data"]["OVN_NB_DB"].count("tcp:") == 3


def test_the_table_of_fields_is_that_of_the_crd() -> None:
    (version,) = crd()["spec"]["versions"]
    spec = version["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
    rows = re.findall(r"^\| `(\w+)` \| `[\w-]+` \| (\S+) \|$", PAGE.read_text("utf-8"), re.M)
    documented = {name: default.strip("`") for name, default in rows}
    assert documented == {
        name: str(part.get("default", "-")).lower() for name, part in spec.items()
    }


def test_the_reason_of_every_verb_is_documented() -> None:
    section = PAGE.read_text("utf-8").partition("## Permissions")[2].partition("\n## ")[0]
    rows = [[cell.strip() for cell in row.split("|")] for row in section.splitlines()]
    documented = set()
    for _, where, what, verbs, reason, _ in [row for row in rows if len(row) == 6]:
        resource, _, name = what.partition(" ")
        resource, slash, subresource = resource.partition("/")
        resource, _, group = resource.partition(".")
        for verb in verbs.split(", "):
            for namespace in where.split(", "):
                documented.add(
                    Rule(
                        "" if namespace == "cluster" else namespace,
                        group,
                        f"{resource}{slash}{subresource}",
                        name.strip("`"),
                        verb,
                    )
                )
        assert reason
    assert rules("ovnmesh-controller") <= documented
    assert {rule for rule in documented if rule.verb in ("list", "watch", "patch", "create")} <= (
        rules("ovnmesh-controller")
    )
