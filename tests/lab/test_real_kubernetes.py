"""The whole path through real API servers: API, controller, OVN, ping.

Needs KUBEBUILDER_ASSETS, the folder of etcd, kube-apiserver and kubectl (the envtest convention),
of Kubernetes 1.20 or newer; written for 1.28 to 1.36. The controllers have a ServiceAccount's token
and no more rights than deploy/ gives them.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from meshlab import MeshLab, eventually
from ovnmesh.errors import LabError, ProcessError
from ovnmesh.host.process import command_line, wait_until
from ovnmesh.lab import daemons
from ovnmesh.lab.boot import teardown
from ovnmesh.lab.kubernetes.manifests import parse_manifests
from ovnmesh.lab.network import netns
from ovnmesh.lab.runner import LabRunner
from ovnmesh.lab.values.layout import prefix_of
from ovnmesh.lab.values.spec import uniform_spec

ASSETS = os.environ.get("KUBEBUILDER_ASSETS", "")

pytestmark = [
    pytest.mark.root,
    pytest.mark.datapath,
    pytest.mark.skipif(not ASSETS, reason="no kube-apiserver: KUBEBUILDER_ASSETS is not set"),
]

CONFIG_MAP = ("--namespace=kube-system", "configmap", "ovn-ic-config")
#: CEL rules of CRDs are enforced from this version on (KEP-2876).
CEL_SINCE = 25
SUBNET = """\
apiVersion: kubeovn.io/v1
kind: Subnet
metadata: {name: late}
spec: {cidrBlock: 10.160.0.0/24}
"""


class KubernetesMesh(MeshLab):
    """A lab that is configured through its API servers."""

    def kubectl(self, site: str, *words: str, check: bool = True, stdin: str = "") -> str:
        """What kubectl prints; of a command that may fail, what it says about that too."""
        at = self.runner.lab.site(site)
        command = [f"{ASSETS}/kubectl", f"--kubeconfig={at.kubeconfig}", "--request-timeout=10s"]
        command += [f"--cache-dir={at.api_directory / 'cache'}", *words]
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)
        assert not check or done.returncode == 0, done
        return done.stdout if check else done.stdout + done.stderr

    def get(self, site: str, *words: str) -> dict:
        return json.loads(self.kubectl(site, "get", "--output=json", *words))

    def _read_config(self, site: str) -> dict[str, str]:
        return dict(self.get(site, *CONFIG_MAP)["data"])

    def write_config(self, site: str, data: dict[str, str]) -> None:
        metadata = {"name": "ovn-ic-config", "namespace": "kube-system"}
        document = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}
        self.apply(site, yaml.safe_dump(document))
        self._current[site] = dict(data)

    def interconnection(self, site: str) -> dict:
        return self.get(site, "interconnection", "default").get("status", {})

    def conditions(self, site: str) -> dict[str, str]:
        found = self.interconnection(site).get("conditions", [])
        return {condition["type"]: condition["status"] for condition in found}

    def events(self, site: str) -> list[tuple[str, str, str]]:
        """Type, reason and message of every Event about the ConfigMap."""
        about = "--field-selector=involvedObject.name=ovn-ic-config"
        items = self.get(site, "--namespace=kube-system", "events", about)["items"]
        return [(event["type"], event["reason"], event["message"]) for event in items]

    def gateway_nodes(self, site: str) -> list[str]:
        words = ("--selector=ovn.kubernetes.io/ic-gw=true", "--output=name")
        return self.kubectl(site, "get", "nodes", *words).split()

    def minor_version(self, site: str) -> int:
        version = json.loads(self.kubectl(site, "version", "--output=json"))["serverVersion"]
        return int(version["minor"].rstrip("+"))


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KubernetesMesh]:
    folder = tmp_path_factory.mktemp("kubernetes")
    spec = uniform_spec().model_copy(update={"kubernetes": True})
    try:
        lab = KubernetesMesh(LabRunner.up(spec, folder))
        lab.wait_joined()
        yield lab
    finally:
        teardown.down(folder)
    assert leftovers(folder) == []


@pytest.fixture
def mesh(running: KubernetesMesh) -> Iterator[KubernetesMesh]:
    """Two connected sites of three nodes, in their first configuration before each test."""
    yield running
    running.reset()


def leftovers(folder: Path) -> list[str]:
    """Everything a lab could leave behind."""
    pids = (int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit())
    lines = (" ".join(command_line(pid)) for pid in pids if pid != os.getpid())
    prefix = prefix_of(folder)
    found = [line for line in lines if str(folder) in line or prefix in line]
    return [*netns.names(f"{prefix}-"), *found] + [str(folder)] * folder.exists()


def test_pods_of_both_sites_reach_each_other_by_their_own_addresses(mesh: KubernetesMesh) -> None:
    mesh.assert_all_pairs()


def test_the_api_holds_what_the_folder_would(mesh: KubernetesMesh) -> None:
    subnets = mesh.get("az1", "subnets")["items"]
    assert {s["metadata"]["name"]: s["spec"]["cidrBlock"] for s in subnets} == {
        "ovn-default": "10.16.0.0/16",
        "join": "100.64.0.0/16",
    }
    nodes = mesh.get("az2", "nodes")["items"]
    assert {n["metadata"]["name"]: n["status"]["addresses"][0]["address"] for n in nodes} == {
        "az2-gw": "192.168.43.10",
        "az2-n1": "192.168.43.11",
        "az2-n2": "192.168.43.12",
    }
    assert not mesh.folder("az1").exists()


def test_lab_status_and_env_tell_where_the_api_is(mesh: KubernetesMesh) -> None:
    site = mesh.runner.lab.site("az1")
    assert str(site.kubeconfig) in mesh.ovnmesh("lab", "status").stdout
    status = json.loads(mesh.ovnmesh("lab", "status", "-o", "json").stdout)["sites"][0]
    assert status["kubeconfig"] == str(site.kubeconfig)
    for daemon in ("etcd", "kube-apiserver", "forward", "controller"):
        assert len(status["daemons"][daemon]) == 1, daemon
    script = mesh.ovnmesh("lab", "env", "az1").stdout
    script += f"{ASSETS}/kubectl --cache-dir={site.api_directory / 'cache'} get nodes -o name"
    done = subprocess.run(["sh", "-e", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["node/az1-gw", "node/az1-n1", "node/az1-n2"]


def test_the_kubeconfig_works_inside_the_control_node_too(mesh: KubernetesMesh) -> None:
    at = mesh.runner.lab.site("az2")
    words = [f"--kubeconfig={at.kubeconfig}", f"--cache-dir={at.api_directory / 'cache'}"]
    words += ["get", "nodes", "-o", "name"]
    assert "node/az2-gw" in mesh.runner.run_in("az2/control", [f"{ASSETS}/kubectl", *words])


def test_the_controller_may_do_no_more_than_in_a_cluster(mesh: KubernetesMesh) -> None:
    at = mesh.runner.lab.site("az1")
    for words, allowed in (
        (["patch", "nodes"], "yes"),
        (["list", "subnets.kubeovn.io"], "yes"),
        (["get", "secrets", "--namespace=kube-system"], "no"),
        (["patch", "subnets.kubeovn.io"], "no"),
        (["update", "configmaps", "--namespace=kube-system"], "no"),
        (["delete", "nodes"], "no"),
    ):
        account = f"--kubeconfig={at.controller_kubeconfig}"
        said = mesh.kubectl("az1", account, "auth", "can-i", *words, check=False)
        assert said.split()[0] == allowed, words


def test_a_new_subnet_is_advertised_and_a_deleted_one_withdrawn(mesh: KubernetesMesh) -> None:
    with mesh.lossless():
        mesh.apply("az1", SUBNET)
        eventually(lambda: "10.160.0.0/24" in mesh.routes("az2"))
        mesh.runner.add_pod("az1", "web", "az1-n1", "late")
        eventually(lambda: mesh.ping("az2/pod0", "az1/web", 3).lost == 0)
        patch = '{"spec": {"disableInterConnection": true}}'
        mesh.kubectl("az1", "patch", "subnet", "late", "--type=merge", f"--patch={patch}")
        eventually(lambda: "10.160.0.0/24" not in mesh.routes("az2"))
        mesh.runner.delete_pod("az1", "web")
        mesh.delete("az1", SUBNET)
    assert [s["metadata"]["name"] for s in mesh.get("az1", "subnets")["items"]] == [
        "join",
        "ovn-default",
    ]


def test_nonsense_in_the_config_map_keeps_traffic_and_an_event_says_why(
    mesh: KubernetesMesh,
) -> None:
    def told() -> bool:
        return any(kind == "Warning" and "nonsense" in text for kind, _, text in mesh.events("az1"))

    with mesh.lossless():
        mesh.configure("az1", auto_route="nonsense")
        eventually(lambda: mesh.codes("az1") == ["config-invalid"])
        eventually(told, what=lambda: mesh.events("az1"))
        eventually(lambda: mesh.conditions("az1").get("Degraded") == "True")
    mesh.reset()
    eventually(lambda: mesh.conditions("az1").get("Ready") == "True")


def test_get_interconnections_tells_the_state(mesh: KubernetesMesh) -> None:
    words = ("--for=condition=Ready", "interconnection/default", "--timeout=15s")
    mesh.kubectl("az1", "wait", *words)
    eventually(lambda: mesh.interconnection("az1").get("routes", {}).get("remote") == 2)
    header, line = mesh.kubectl("az1", "get", "interconnections").splitlines()
    assert header.split() == ["NAME", "AZ", "ENABLED", "GATEWAY", "PEERS", "ROUTES", "READY", "AGE"]
    assert line.split()[:-1] == ["default", "az1", "true", "az1-gw", "1", "2", "True"]
    found = mesh.get("az1", "interconnection", "default")
    assert found["status"]["peers"] == ["az2"]
    assert found["status"]["observedGeneration"] == found["metadata"]["generation"]
    assert mesh.conditions("az1") == {"Ready": "True", "Degraded": "False", "Progressing": "False"}


def test_an_unchanged_site_writes_nothing_to_the_api(mesh: KubernetesMesh) -> None:
    def versions() -> list[str]:
        kinds = ("configmaps", "events", "nodes", "interconnections", "subnets")
        items = mesh.get("az1", "--all-namespaces", ",".join(kinds))["items"]
        return [item["metadata"]["resourceVersion"] for item in items]

    eventually(lambda: mesh.conditions("az1").get("Ready") == "True")
    time.sleep(1)
    before = versions()
    time.sleep(3)
    assert versions() == before


def test_gateway_nodes_are_labelled_as_kube_ovn_does(mesh: KubernetesMesh) -> None:
    eventually(lambda: mesh.gateway_nodes("az1") == ["node/az1-gw"])
    mesh.configure("az1", gw_nodes="az1-n1,az1-gw")
    eventually(lambda: mesh.gateway_nodes("az1") == ["node/az1-gw", "node/az1-n1"])
    mesh.configure("az1", gw_nodes="az1-gw")
    eventually(lambda: mesh.gateway_nodes("az1") == ["node/az1-gw"])
    labels = mesh.get("az1", "node", "az1-n1")["metadata"]["labels"]
    assert labels["ovn.kubernetes.io/ic-gw"] == "false"
    assert "labels" not in mesh.get("az1", "node", "az1-n2")["metadata"]


def test_bad_input_is_refused_at_kubectl_apply(mesh: KubernetesMesh) -> None:
    """By the schema, which every server enforces, and by CEL rules, which newer ones do."""

    def refused(name: str, spec: dict) -> str:
        metadata = {"name": name}
        body = {"apiVersion": "ovnmesh.io/v1", "kind": "Interconnection", "metadata": metadata}
        words = ("apply", "--server-side", "--dry-run=server", "--filename=-")
        return mesh.kubectl("az1", *words, check=False, stdin=yaml.safe_dump(body | {"spec": spec}))

    good = {"azName": "az1", "icDBHosts": ["192.168.65.3"], "gatewayNodes": ["az1-gw"]}
    assert "serverside-applied" in refused("default", good)
    assert "spec.azName" in refused("default", good | {"azName": "prod east"})
    assert "spec.gatewayNodes" in refused("default", good | {"gatewayNodes": []})
    if mesh.minor_version("az1") >= CEL_SINCE:
        assert 'name it "default"' in refused("other", good)
        assert "are needed while enableIC is true" in refused("default", {"azName": "az1"})
        assert "must differ" in refused("default", good | {"icNBPort": 7000, "icSBPort": 7000})


def test_api_server_killed_and_restarted(mesh: KubernetesMesh) -> None:
    with mesh.lossless():
        mesh.runner.fault_kill("az1", "kube-apiserver")
        with pytest.raises(LabError, match="does not answer"):
            mesh.apply("az1", SUBNET)
        time.sleep(2)
        mesh.runner.fault_kill("az1", "kube-apiserver", heal=True)
        mesh.apply("az1", SUBNET)
        eventually(lambda: "10.160.0.0/24" in mesh.routes("az2"), 40)
        mesh.delete("az1", SUBNET)
        eventually(lambda: "10.160.0.0/24" not in mesh.routes("az2"))


def test_etcd_killed_and_restarted(mesh: KubernetesMesh) -> None:
    with mesh.lossless():
        mesh.runner.fault_kill("az1", "etcd")
        time.sleep(2)
        mesh.runner.fault_kill("az1", "etcd", heal=True)
        eventually(lambda: "ok" in mesh.kubectl("az1", "get", "--raw=/readyz", check=False), 40)
        mesh.apply("az1", SUBNET)
        eventually(lambda: "10.160.0.0/24" in mesh.routes("az2"), 40)
        mesh.delete("az1", SUBNET)


def test_acting_controller_killed_and_the_other_acts_within_3_s(mesh: KubernetesMesh) -> None:
    with mesh.second_controller("az1") as first:
        eventually(lambda: answers(mesh, "az1/control", f"{daemons.METRICS_PORT + 1}/readyz"))
        with mesh.lossless():
            took_s = mesh.takeover_s("az1", first)
            mesh.apply("az1", SUBNET)
            eventually(lambda: "10.160.0.0/24" in mesh.routes("az2"))
            mesh.delete("az1", SUBNET)
        print(f"the other controller acted {took_s:.2f} s after kill -9")
        assert took_s < 3
        eventually(lambda: mesh.gateway_nodes("az1") == ["node/az1-gw", "node/az1-n1"])


def answers(mesh: KubernetesMesh, place: str, port_and_path: str) -> bool:
    url = f"http://127.0.0.1:{port_and_path}"
    script = "import sys, urllib.request as u; u.urlopen(sys.argv[1], timeout=5)"
    try:
        mesh.runner.run_in(place, [sys.executable, "-c", script, url])
    except ProcessError:
        return False
    return True


def test_leave_and_join_again_through_the_api(mesh: KubernetesMesh) -> None:
    mesh.configure("az1", enable_ic="false")
    eventually(lambda: mesh.status("az1")["state"] == "idle")
    eventually(lambda: "az1" not in mesh.tool("ovn-ic-sbctl", "az2", "show"))
    assert mesh.ping("az1/pod1", "az2/pod2", 3).received == 0
    assert "169.254.100." not in mesh.routes("az1")
    eventually(lambda: mesh.interconnection("az1").get("enabled") is False)
    eventually(lambda: mesh.gateway_nodes("az1") == [])
    mesh.reset()
    eventually(lambda: mesh.conditions("az1").get("Ready") == "True")
    mesh.assert_all_pairs()


def test_lab_apply_says_what_the_api_refuses(mesh: KubernetesMesh) -> None:
    wrong = parse_manifests(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\ndata: {enable-ic: true}", "x"
    )
    with pytest.raises(LabError, match=r"ConfigMap x: the API refuses: .*enable-ic"):
        mesh.runner.apply("az1", wrong)
    with pytest.raises(LabError, match="found kind Pod"):
        mesh.runner.apply("az1", parse_manifests("kind: Pod\nmetadata: {name: x}", "x"))


def test_down_after_kill_9_leaves_no_api_server(tmp_path: Path) -> None:
    folder = tmp_path / "killed"
    script = (
        "from ovnmesh.lab.runner import LabRunner\n"
        "from ovnmesh.lab.values.spec import uniform_spec\n"
        "from pathlib import Path; import sys\n"
        "spec = uniform_spec(1, 1).model_copy(update={'kubernetes': True})\n"
        "LabRunner.up(spec, Path(sys.argv[1]), bare=True,\n"
        "             progress=lambda text: print(text, flush=True))\n"
    )
    argv = [sys.executable, "-c", script, str(folder)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        for line in child.stdout:
            if line.startswith("API servers"):
                break
        child.kill()
    pids = netns.processes(netns.names(f"{prefix_of(folder)}-"))
    for daemon in ("etcd", "kube-apiserver", "forward"):
        assert [pid for pid in pids if daemons.is_daemon(command_line(pid), daemon)], daemon
    teardown.down(folder)
    wait_until(lambda: not any(map(command_line, pids)), "all have ended", timeout_s=5)
    assert leftovers(folder) == []
