"""One table of keys: the CRD, the reference and every form of a configuration say what it says."""

import re
from dataclasses import fields
from typing import Any

import pytest
from deploy_manifests import ROOT, crd

from ovnmesh.config import InterconnectConfig, parse_config
from ovnmesh.config.key import Key, ValueType
from ovnmesh.config.keys import BY_NAME, BY_SPEC_NAME, GATEWAY_KEYS, KEYS, SITE_KEYS
from ovnmesh.errors import ConfigError
from ovnmesh.model.desired import GatewayPolicy
from ovnmesh.providers.interconnection_spec import parse_interconnection
from ovnmesh.providers.openstack.site_spec import OWN_KEYS, SHARED_KEYS, parse_site

SPEC: dict[str, Any] = crd()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"][
    "spec"
]["properties"]
#: A site that joins, in texts and in types.
TEXTS = {"enable-ic": "true", "az-name": "az1", "ic-db-host": "192.0.2.1", "gw-nodes": "gw"}
TEXTS |= {"auto-route": "true"}
TYPED: dict[str, Any] = {"azName": "az1", "icDBHosts": ["192.0.2.1"], "gatewayNodes": ["gw"]}
CRD_TYPES = {
    ValueType.TEXT: "string",
    ValueType.BOOLEAN: "boolean",
    ValueType.NUMBER: "integer",
    ValueType.NUMBER_OR_TEXT: None,
    ValueType.LIST: "array",
}
every_key = pytest.mark.parametrize("key", KEYS, ids=lambda key: key.name)


def typed_default(key: Key) -> str:
    """What a typed form that does not name the key means, as text; "" for nothing."""
    return key.typed_default or ("" if key.required else key.show(key.default))


def table(heading: str) -> dict[str, list[str]]:
    """Rows of the first table below a heading of the reference, by what stands first in each."""
    text = (ROOT / "docs" / "configuration.md").read_text("utf-8")
    part = re.search(rf"^## {heading}\n(.*?)^## ", text, re.MULTILINE | re.DOTALL)
    assert part is not None
    rows = re.findall(r"^\| `(.*?)\|$", part.group(1), re.MULTILINE)
    cells = [[cell.strip() for cell in f"`{row}".split(" | ")] for row in rows]
    return {name: row[1:] for row in cells for name in re.findall("`([^`]+)`", row[0])}


def test_every_attribute_has_one_key() -> None:
    site = {each.name for each in fields(InterconnectConfig)} - {"gateways"}
    assert sorted(key.field for key in SITE_KEYS) == sorted(site)
    policy = [each.name for each in fields(GatewayPolicy)]
    assert sorted(key.field for key in GATEWAY_KEYS) == sorted(policy)
    assert len(BY_NAME) == len(BY_SPEC_NAME) == len(KEYS)


@every_key
def test_defaults_are_those_of_the_types(key: Key) -> None:
    if not key.required:
        owner = InterconnectConfig(True) if key in SITE_KEYS else GatewayPolicy()
        assert getattr(owner, key.field) == key.default


@every_key
def test_a_default_is_shown_as_it_is_parsed(key: Key) -> None:
    if key.default not in (None, "", ()) or key.name == "gateway-mtu":
        found: list[str] = []
        text = key.show(key.default)
        assert key.parse(text, lambda *said: found.extend(said)) == key.default
        assert found == []


def test_the_schema_has_these_fields() -> None:
    assert set(SPEC) == set(BY_SPEC_NAME)


@every_key
def test_the_schema_has_the_keys_type_bounds_and_default(key: Key) -> None:
    schema = SPEC[key.spec_name]
    assert schema.get("type") == CRD_TYPES[key.kind]
    assert schema.get("x-kubernetes-int-or-string", False) is (key.kind is ValueType.NUMBER_OR_TEXT)
    shown = schema.get("default", "")
    assert (str(shown).lower() if isinstance(shown, bool) else str(shown)) == typed_default(key)
    assert tuple(schema.get("enum", ())) == key.choices
    if key.kind is ValueType.NUMBER:
        assert (schema["minimum"], schema["maximum"]) == key.bounds
    if key.kind is ValueType.NUMBER_OR_TEXT:
        assert key.bounds is not None
        rule = schema["x-kubernetes-validations"][0]["rule"]
        assert f"self >= {key.bounds[0]} && self <= {key.bounds[1]}" in rule


@pytest.mark.parametrize("name", [key.name for key in KEYS if key.bounds])
def test_bounds_are_kept_in_every_form(name: str) -> None:
    key = BY_NAME[name]
    assert key.bounds is not None
    least, most = key.bounds
    for number, right in ((least - 1, False), (least, True), (most, True), (most + 1, False)):
        forms = (
            lambda text: parse_config(TEXTS | {name: str(text)}, "test"),
            lambda number: parse_interconnection(TYPED | {key.spec_name: number}, "test"),
            lambda number: parse_site(
                TEXTS | {"cloud": "c", "routers": ["r"], name: number}, "test", {}
            ),
        )
        for form in forms:
            if right:
                form(number)
            else:
                with pytest.raises(ConfigError, match=f"(?i){name}|{key.spec_name}"):
                    form(number)


@every_key
def test_the_reference_has_the_key_with_its_default(key: Key) -> None:
    needed, default, value = table("ovn-ic-config")[key.name]
    assert needed == ("yes" if key.required else "no")
    assert default == ("-" if key.required else f'`"{key.show(key.default)}"`')
    assert all(str(bound) in value for bound in key.bounds or () if key.name.startswith("bfd"))


def test_the_reference_has_no_other_key() -> None:
    assert set(table("ovn-ic-config")) == set(BY_NAME)


def test_the_reference_of_the_typed_form() -> None:
    rows = table("Interconnection")
    assert set(rows) == set(BY_SPEC_NAME)
    for name, (_, default, key) in rows.items():
        assert key == f"`{BY_SPEC_NAME[name].name}`"
        assert default == (typed_default(BY_SPEC_NAME[name]) or "-")


def test_the_reference_of_the_site_file() -> None:
    rows = table("The site file of an OpenStack cloud")
    assert set(rows) == {*SHARED_KEYS, *OWN_KEYS}
    for name, key in SHARED_KEYS.items():
        assert rows[name][0] == ("to join" if key.required and not key.typed_default else "no")


def test_forms_of_one_configuration_are_equal() -> None:
    site = parse_site(TEXTS | {"cloud": "c", "routers": ["r"]}, "test", {})
    assert parse_config(TEXTS, "test") == parse_interconnection(TYPED, "test") == site.config
