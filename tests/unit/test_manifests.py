"""The folder of manifests: the provider contract, the documents verbatim, and hostile files.

Real: the file system and inotify, in a temporary folder.
"""

import os
import time

import pytest
import yaml
from provider_contract import (
    CONFIG,
    PARSED_CONFIG,
    ClusterContract,
    config_with,
    node,
    subnet,
    subnets,
    watching,
)

from ovnmesh.config import InterconnectConfig
from ovnmesh.errors import ProviderError
from ovnmesh.providers.files import watching as folders
from ovnmesh.providers.files.yaml_documents import MAX_FILE_BYTES, parse_documents
from ovnmesh.providers.manifests import ManifestsProvider


@pytest.fixture(autouse=True)
def _short_intervals(monkeypatch):
    """What takes a second in production takes less here; nothing else changes."""
    monkeypatch.setattr(folders, "_RETRY_S", 0.05)
    monkeypatch.setattr(folders, "_LOOK_UP_S", 0.05)


class FolderHarness:
    """One file per object, replaced by rename, as configuration management does."""

    def __init__(self, folder):
        self.folder = folder
        self.folder.mkdir()
        self.provider = ManifestsProvider(folder)

    def _path(self, manifest):
        return self.folder / f"{manifest['kind']}-{manifest['metadata']['name']}.yaml"

    def put(self, manifest):
        scratch = self.folder / ".scratch"
        scratch.write_text(yaml.safe_dump(manifest))
        scratch.rename(self._path(manifest))

    def delete(self, manifest):
        self._path(manifest).unlink()

    def take_away(self):
        self.folder.rename(self.folder.with_name("away"))

    def bring_back(self):
        self.folder.with_name("away").rename(self.folder)


class TestManifestsContract(ClusterContract):
    @pytest.fixture
    def harness(self, tmp_path):
        return FolderHarness(tmp_path / "site")


@pytest.fixture
def folder(tmp_path):
    return tmp_path


def read(folder):
    return ManifestsProvider(folder).read()


def problem_of(folder):
    (problem,) = read(folder).problems
    return problem


# From Kube-OVN's page "Multi-Cluster Networking", to the letter.
DOCUMENTS_CONFIG = """\
apiVersion: v1
kind: ConfigMap
metadata:
  name: ovn-ic-config
  namespace: kube-system
data:
  enable-ic: "true"
  az-name: "az1"                # AZ name for cluster, every cluster should be different
  ic-db-host: "192.168.65.3"    # The Interconnection Controller host IP address
  ic-nb-port: "6645"            # The ic-nb port, default 6645
  ic-sb-port: "6646"            # The ic-sb port, default 6646
  gw-nodes: "az1-gw"            # The node name which acts as the interconnection gateway
  auto-route: "true"            # Auto announce route to all clusters. If set false, you can select announced routes later manually
"""  # noqa: E501
DOCUMENTS_HA_CONFIG = """\
apiVersion: v1
kind: ConfigMap
metadata:
  name: ovn-ic-config
  namespace: kube-system
data:
  enable-ic: "true"
  az-name: "az1"                \t\t\t\t\t\t\t\t\t\t\t\t# AZ name for cluster, every cluster should be different
  ic-db-host: "192.168.65.3,192.168.65.2,192.168.65.1"  # The Interconnection Controller host IP addresses
  ic-nb-port: "6645"           \t\t\t\t\t\t\t\t\t\t\t\t\t# The ic-nb port, default 6645
  ic-sb-port: "6646"            \t\t\t\t\t\t\t\t\t\t\t\t# The ic-sb port, default 6646
  gw-nodes: "az1-gw"            \t\t\t\t\t\t\t\t\t\t\t\t# The node name which acts as the interconnection gateway
  auto-route: "false"           # Auto announce route to all clusters. If set false, you can select announced routes later manually
"""  # noqa: E501
DOCUMENTS_SUBNET = """\
apiVersion: kubeovn.io/v1
kind: Subnet
metadata:
  name: no-advertise
spec:
  cidrBlock: 10.199.0.0/16
  disableInterConnection: false
"""


def test_the_documents_manifests(folder):
    (folder / "config.yaml").write_text(DOCUMENTS_CONFIG)
    (folder / "subnet.yml").write_text(DOCUMENTS_SUBNET)
    state = read(folder)
    assert state.problems == ()
    assert state.config.to_data() == {
        "enable-ic": "true",
        "az-name": "az1",
        "ic-db-host": "192.168.65.3",
        "ic-nb-port": "6645",
        "ic-sb-port": "6646",
        "gw-nodes": "az1-gw",
        "auto-route": "true",
        "advertise-nodes": "false",
    }
    assert (subnets(state), state.denied) == (["no-advertise"], {})


def test_the_documents_config_with_tabs(folder):
    assert "\t#" in DOCUMENTS_HA_CONFIG
    (folder / "config.yaml").write_text(DOCUMENTS_HA_CONFIG)
    state = read(folder)
    assert state.problems == ()
    assert str(state.config.ic_nb_remote()) == (
        "tcp:192.168.65.3:6645,tcp:192.168.65.2:6645,tcp:192.168.65.1:6645"
    )


def test_several_documents_and_a_list_in_one_file(folder):
    listed = {"apiVersion": "v1", "kind": "List", "items": [CONFIG, node("n1", "10.0.0.1")]}
    documents = [subnet("s", "10.16.0.0/16"), None, listed, node("n2", "10.0.0.2")]
    (folder / "all.yaml").write_text(yaml.safe_dump_all(documents))
    state = read(folder)
    assert state.problems == ()
    assert state.config == PARSED_CONFIG
    whys = [why for whys in state.denied.values() for why in whys]
    assert whys == ["address of node n1", "address of node n2"]
    assert subnets(state) == ["s"]


def test_what_is_somebody_elses_is_passed_over(folder):
    (folder / "other.yaml").write_text(
        "{apiVersion: apps/v1, kind: Deployment}\n---\n"
        "{apiVersion: ec2.aws.example/v1, kind: Subnet}\n---\n"
        "{apiVersion: v1, kind: ConfigMap, metadata: {name: kube-proxy}}\n---\n# only a comment\n"
    )
    (folder / "notes.txt").write_text("not: [yaml")
    (folder / ".hidden.yaml").write_text("not: [yaml")
    (folder / "subfolder").mkdir()
    assert read(folder).problems == ()


def test_two_configs_name_both_files(folder):
    (folder / "a.yaml").write_text(yaml.safe_dump(CONFIG))
    (folder / "b.yaml").write_text(yaml.safe_dump(CONFIG))
    state = read(folder)
    assert (state.config, state.config_present) == (None, True)
    (problem,) = state.problems
    assert "b.yaml:1" in problem.where
    assert "a.yaml:1" in problem.found


@pytest.mark.parametrize(
    ("metadata", "where", "expected"),
    [
        ({"name": "ovn-ic-config"}, "metadata.namespace", "kube-system"),
        ({"name": "ovn-ic-config", "namespace": "default"}, "metadata.namespace", "kube-system"),
        ({"name": "ic-config", "namespace": "kube-system"}, "metadata.name", '"ovn-ic-config"'),
    ],
)
def test_config_by_another_name(folder, metadata, where, expected):
    (folder / "a.yaml").write_text(yaml.safe_dump({**CONFIG, "metadata": metadata}))
    problem = problem_of(folder)
    assert problem.where == f"ConfigMap (a.yaml:1), {where}"
    assert expected in problem.expected
    assert not read(folder).config_present


@pytest.mark.parametrize(
    "make", [lambda n: subnet(n, "10.1.0.0/16"), lambda n: node(n, "10.0.0.1")]
)
def test_the_same_name_twice(folder, make):
    (folder / "a.yaml").write_text("# a comment\n" + yaml.safe_dump(make("x")))
    (folder / "b.yaml").write_text(yaml.safe_dump(make("x")))
    problem = problem_of(folder)
    assert "x (b.yaml:1)" in problem.where
    assert "x (a.yaml:2)" in problem.found


def test_place_of_a_problem(folder):
    text = yaml.safe_dump_all([node("n1", "10.0.0.1"), config_with(az_name="prod east")])
    (folder / "site.yaml").write_text(text)
    line = text.split("\n").index("---") + 2
    state = read(folder)
    assert f"ConfigMap kube-system/ovn-ic-config (site.yaml:{line}), data.az-name: found " in str(
        state.problems[0]
    )


def test_gateways_are_not_doubted_while_a_node_is_unreadable(folder):
    (folder / "a.yaml").write_text(
        yaml.safe_dump_all([CONFIG, node("n1", "10.0.0.1"), node("n2", "10.0.0.256")])
    )
    assert "Node n2" in problem_of(folder).where


GROWTH = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{b}: &{b} [{','.join([f'*{a}'] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)

HOSTILE = {
    "no YAML": (b"a: [1\n", "x.yaml:2", "did not find"),
    "tab as indentation": (b"a:\n\tb: 1\n", "x.yaml:2", "cannot start any token"),
    "billion laughs": (GROWTH.encode(), "x.yaml:2", "the alias *a"),
    "alias to itself": (b"a: &a\n  b: *a\n", "x.yaml:2", "the alias *a"),
    "alias of nothing": (b"a: *b\n", "x.yaml:1", "the alias *b"),
    "merge key": (b"a: &a 1\n<<: *a\n", "x.yaml:2", "a merge key"),
    "key twice": (b"kind: Node\nkind: Subnet\n", "x.yaml:2", 'the key "kind" twice'),
    "key twice below": (b"a:\n  b: 1\n  b: 1\n", "x.yaml:3", 'the key "b" twice'),
    "mapping as key": (b"? {a: 1}\n: 2\n", "x.yaml:1", "a mapping as a key"),
    "python object": (b"a: !!python/object/apply:os.abort []\n", "x.yaml:1", "the tag"),
    "broken integer": (b'a: !!int ""\n', "x.yaml:1", "the tag"),
    "broken timestamp": (b"a: !!timestamp x\n", "x.yaml:1", "the tag"),
    "not UTF-8": (b"a: 1\nb: \xff\n", "x.yaml:2", "the byte 0xff"),
    "UTF-16": ("a: 1".encode("utf-16"), "x.yaml:1", "the byte 0xff"),
    "control character": (b"a: 1\nb: \x00\n", "x.yaml:2", "a control character"),
    "deep lists": (b"[" * 500_000, "x.yaml:1", "more than 32 levels"),
    "deep mappings": (b"{a: " * 250_000, "x.yaml:1", "more than 32 levels"),
    "deep blocks": (b"- " * 300_000, "x.yaml:1", "more than 32 levels"),
    "many values": (b"[" + b"a," * 500_000 + b"]", "x.yaml:1", "more than 100000 values"),
    "many documents": (b"---\n" * 260_000, "x.yaml:", "more than 100000 values"),
    "many directives": (b"%TAG !a! b\n" * 90_000, "x.yaml:1", "begins with %"),
    "too large": (b"#" * (MAX_FILE_BYTES + 1), "x.yaml", "a larger file"),
    "empty": (b"", "x.yaml", "an empty file"),
    "plain text": (b"hello\n", "x.yaml", '"hello"'),
    "a list": (b"- a\n", "x.yaml", "a list"),
    "no kind": (b"apiVersion: v1\n", "x.yaml:1", "kind: nothing"),
    "no version": (b"kind: Node\n", "x.yaml:1", "apiVersion: nothing"),
    "kind no text": (b"\n{apiVersion: v1, kind: [a]}\n", "x.yaml:2", "kind: a list"),
    "other version": (
        b"{apiVersion: kubeovn.io/v2, kind: Subnet}\n",
        "x.yaml:1, apiVersion",
        '"kubeovn.io/v2"',
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_file_is_one_problem(folder, name):
    content, where, found = HOSTILE[name]
    (folder / "x.yaml").write_bytes(content)
    (folder / "y.yaml").write_text(yaml.safe_dump(CONFIG))
    begin_s = time.thread_time()  # not the clock's time: others use the processor too
    state = read(folder)
    assert time.thread_time() - begin_s < 4
    (problem,) = state.problems
    assert problem.where.startswith(where)
    assert found in problem.found
    assert len(str(problem)) < 400
    assert state.config == PARSED_CONFIG


def test_aliases_of_plain_values_are_fine(folder):
    text = yaml.safe_dump(CONFIG).replace("gw-nodes: n2,n1", "gw-nodes: *a")
    (folder / "x.yaml").write_text(text.replace("az-name: az1", "az-name: &a az1"))
    state = read(folder)
    assert state.problems == ()
    assert state.config.gw_nodes == ("az1",)


def test_an_anchor_may_be_given_again():
    assert parse_documents(b"[&a x, *a, &a y, *a]", "x.yaml") == [["x", "x", "y", "y"]]


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ("true", "the boolean true (no quotes)"),
        ("Yes", "the boolean true (no quotes)"),
        ("off", "the boolean false (no quotes)"),
        ("1", "the number 1 (no quotes)"),
        ("1.5", "the number 1.5 (no quotes)"),
        ("9" * 5000, "a huge number"),
        ("~", "nothing"),
        ("", "nothing"),
        ("1:20", '"1:20"'),
        ("2001-99-99", '"2001-99-99"'),
    ],
)
def test_unquoted_values(folder, written, found):
    text = yaml.safe_dump(config_with(enable_ic="@")).replace("'@'", written)
    (folder / "x.yaml").write_text(text)
    problem = problem_of(folder)
    assert problem.where.endswith("data.enable-ic")
    assert problem.found == found


def test_odd_entries_of_the_folder(folder):
    os.mkfifo(folder / "a.yaml")
    (folder / "b.yaml").mkdir()
    (folder / "c.yaml").symlink_to("nowhere")
    (folder / "d\n.yaml").write_text("[")
    wheres = [problem.where for problem in read(folder).problems]
    assert wheres == ["a.yaml", "b.yaml", "c.yaml", '"d\\n.yaml":2']


def test_missing_folder(folder):
    with pytest.raises(ProviderError, match="No such file"):
        read(folder / "missing")
    (folder / "file").write_text("")
    with pytest.raises(ProviderError, match="Not a directory"):
        read(folder / "file")


def test_watch_notices_kubelets_way_of_updating(folder):
    site = folder / "site"
    for version, az_name in (("..1", "az1"), ("..2", "az2")):
        (site / version).mkdir(parents=True)
        (site / version / "c.yaml").write_text(yaml.safe_dump(config_with(az_name=az_name)))
    (site / "..data").symlink_to("..1")
    (site / "c.yaml").symlink_to("..data/c.yaml")
    provider = ManifestsProvider(site)
    with watching(provider) as watcher:
        assert provider.read().config.az_name == "az1"
        (site / "..tmp").symlink_to("..2")
        (site / "..tmp").rename(site / "..data")
        assert watcher.wait_for(1)
        assert provider.read().config.az_name == "az2"


def test_watch_notices_a_save_in_place_soon_and_once(folder):
    path = folder / "c.yaml"
    path.write_text("a")
    with watching(ManifestsProvider(folder)) as watcher:
        took_s = []
        for count in (1, 2, 3):
            begin = time.monotonic()
            path.write_text(f"b{count}")
            assert watcher.wait_for(count)
            took_s.append(time.monotonic() - begin)
            assert not watcher.wait_for(count + 1, timeout_s=0.1)
        # The least counts: what the machine adds to one attempt says nothing of the watch.
        assert min(took_s) < 0.5, took_s


def test_watch_waits_for_a_folder_that_is_not_there_yet(folder):
    site = folder / "site"
    with watching(ManifestsProvider(site)) as watcher:
        site.mkdir()
        assert watcher.wait_for(1)


def test_watch_notices_that_another_folder_took_the_place(folder):
    site, other = folder / "site", folder / "other"
    site.mkdir()
    other.mkdir()
    with watching(ManifestsProvider(site)) as watcher:
        site.rename(folder / "old")
        other.rename(site)
        assert watcher.wait_for(1)
        watcher.settle(0.2)
        (site / "c.yaml").write_text("x")
        assert watcher.wait_for(1)


def test_disabled_config(folder):
    (folder / "c.yaml").write_text(yaml.safe_dump({**CONFIG, "data": {"enable-ic": "false"}}))
    assert read(folder).config == InterconnectConfig(False)
