"""Whatever the input, the parsers return a value or raise ConfigError; values round-trip."""

import ipaddress

from hypothesis import given, settings
from hypothesis import strategies as st

from ovnmesh.config import InterconnectConfig, check_gateways, parse_config
from ovnmesh.errors import ConfigError
from ovnmesh.providers.cluster import parse_node, parse_subnet
from ovnmesh.providers.files.yaml_documents import parse_documents
from ovnmesh.providers.openstack.site_spec import parse_site

KEYS = [
    *("enable-ic", "az-name", "ic-db-host", "ic-nb-port", "ic-sb-port", "gw-nodes"),
    *("auto-route", "advertise-nodes"),
]
TEXTS = st.one_of(
    st.text(max_size=40),
    st.sampled_from(["true", "false", "az1", "10.0.0.1", "fd00::1,10.0.0.1", "6645", "a,b", ""]),
    st.text(alphabet="0123456789abcdef:.,/[]% -_", max_size=40),
)
SCALARS = st.one_of(
    *(st.none(), st.booleans(), st.integers(), st.floats(), st.binary(max_size=5)),
    *(TEXTS, st.builds(pow, st.just(10), st.just(5000))),
)
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(SCALARS, inner, max_size=4),
    max_leaves=6,
)
MAPPINGS = st.dictionaries(st.sampled_from(KEYS) | TEXTS, TEXTS | ANYTHING, max_size=10)
METADATA = st.fixed_dictionaries({}, optional={"name": TEXTS | ANYTHING}) | ANYTHING
MANIFESTS = st.fixed_dictionaries(
    {},
    optional={
        "metadata": METADATA,
        "spec": ANYTHING
        | st.fixed_dictionaries(
            {},
            optional={
                "cidrBlock": TEXTS | ANYTHING,
                "disableInterConnection": ANYTHING,
                "vpc": TEXTS | ANYTHING,
            },
        ),
        "status": ANYTHING
        | st.fixed_dictionaries(
            {"addresses": st.lists(st.fixed_dictionaries({"type": TEXTS, "address": ANYTHING}))}
        ),
    },
)
NAMES = st.text(
    alphabet="abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.",
    min_size=1,
    max_size=63,
)
HOSTS = st.ip_addresses().filter(
    lambda a: not (a.is_unspecified or a.is_multicast or (a.version == 6 and a.is_link_local))
)


def outcome(parse, value):
    """The parsed value, or the ConfigError; any other exception fails the test."""
    try:
        return parse(value, "somewhere")
    except ConfigError as error:
        wrong = error
    assert wrong.problems
    assert all(p.where.startswith("somewhere") for p in wrong.problems)
    assert all(p.found and p.expected for p in wrong.problems)
    str(wrong).encode()
    return wrong


@settings(max_examples=70, deadline=None)
@given(MAPPINGS | ANYTHING)
def test_any_config(data):
    config = outcome(parse_config, data)
    if isinstance(config, InterconnectConfig):
        assert parse_config(config.to_data(), "again") == config
        check_gateways(config, ["n1"], "somewhere")


SITE_KEYS = st.sampled_from(
    [*KEYS, "cloud", "clouds-yaml", "routers", "deny", "gateway-mtu", "bfd-mult", "gateway-mode"]
)
ROUTERS = st.lists(
    TEXTS
    | st.fixed_dictionaries(
        {}, optional={"name": TEXTS | ANYTHING, "transit-switches": ANYTHING, "x": TEXTS}
    ),
    max_size=4,
)
SITES = st.dictionaries(
    SITE_KEYS | TEXTS, TEXTS | ANYTHING | ROUTERS | st.lists(TEXTS, max_size=3), max_size=12
)


@settings(max_examples=100, deadline=None)
@given(SITES | ANYTHING, st.dictionaries(SITE_KEYS, st.integers(1, 99), max_size=5))
def test_any_site_file(document, lines):
    site = outcome(lambda value, where: parse_site(value, where, lines), document)
    if not isinstance(site, ConfigError) and site.config.enable_ic:
        assert site.cloud
        assert site.routers
        assert parse_config(site.config.to_data(), "again") == site.config


@settings(max_examples=60, deadline=None)
@given(MANIFESTS | ANYTHING)
def test_any_subnet_and_node(manifest):
    outcome(parse_subnet, manifest)
    outcome(parse_node, manifest)


YAML_PIECES = st.sampled_from(
    [
        *("a", "b: ", "- ", "\n", "\n  ", "\t", "# x\n", "---\n", "...\n", "? ", ": ", "[", "]"),
        *("{", "}", ",", "&a ", "*a ", "<<: ", "!!int ", "! ", "| \n", "> \n", '"', "'", "%TAG "),
        *("true", "~", "1:20", "0x1", "9" * 5000, "2001-99-99", ".nan", "\u2028", "\ufeff", "\\x"),
    ]
)


@settings(max_examples=120, deadline=None)
@given(
    st.binary(max_size=60)
    | st.text(max_size=60).map(lambda text: text.encode(errors="surrogatepass"))
    | st.lists(YAML_PIECES, max_size=25).map(lambda pieces: "".join(pieces).encode())
)
def test_any_bytes_as_yaml(data):
    outcome(parse_documents, data)


@settings(max_examples=60, deadline=None)
@given(
    st.builds(
        InterconnectConfig,
        enable_ic=st.booleans(),
        az_name=NAMES,
        ic_db_hosts=st.lists(HOSTS, min_size=1, max_size=4, unique=True).map(tuple),
        ic_nb_port=st.integers(1, 32000),
        ic_sb_port=st.integers(32001, 65535),
        gw_nodes=st.lists(NAMES, min_size=1, max_size=4, unique=True).map(tuple),
        auto_route=st.booleans(),
        advertise_nodes=st.booleans(),
    )
)
def test_round_trip(config):
    assert parse_config(config.to_data(), "somewhere") == config
    remotes = config.ic_nb_remote().methods
    hosts = [remote.removeprefix("tcp:").rpartition(":")[0].strip("[]") for remote in remotes]
    assert tuple(ipaddress.ip_address(host) for host in hosts) == config.ic_db_hosts
