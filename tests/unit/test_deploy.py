"""`deploy/`: manifests are valid, fit together, and call what exists.

Schemas are those of Kubernetes' own OpenAPI, as the package kubernetes-validate carries them.
"""

import re
import tomllib

import kubernetes_validate
import pytest
import typer.main
from deploy_manifests import (
    DEPLOY,
    OVERLAYS,
    ROOT,
    WORKLOADS,
    Object,
    crd,
    dockerfile,
    of_kind,
    rendered,
)
from kubernetes_validate.utils import all_versions, major_minor
from test_docs import check_call

from ovnmesh.cli.main import app

OLDEST_MINOR = 28
VERSIONS = [
    version
    for version in dict.fromkeys(map(major_minor, all_versions()))
    if int(version.partition(".")[2]) >= OLDEST_MINOR
]
PAGE = ROOT / "docs" / "kubernetes.md"
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]


def workloads(overlay: str) -> list[Object]:
    return of_kind(rendered(overlay), *WORKLOADS)


def pod_of(workload: Object) -> Object:
    return workload["spec"]["template"]["spec"]


def containers(overlay: str) -> list[tuple[Object, Object]]:
    """Every container that stays, with its pod."""
    return [
        (pod_of(workload), container)
        for workload in workloads(overlay)
        for container in pod_of(workload)["containers"]
    ]


def identity(each: Object) -> tuple[str, str, str]:
    return each["kind"], each["metadata"].get("namespace", ""), each["metadata"]["name"]


def matches(selector: Object, labels: Object) -> bool:
    return selector.get("matchLabels", {}).items() <= labels.items()


@pytest.mark.parametrize("version", VERSIONS)
def test_objects_are_valid_in_every_supported_version(version: str) -> None:
    every = [each for overlay in OVERLAYS for each in rendered(overlay)]
    for each in {identity(each): each for each in every}.values():
        kubernetes_validate.validate(each, version, strict=True)


def test_supported_versions_are_known() -> None:
    assert VERSIONS[0] == f"1.{OLDEST_MINOR}"
    assert len(VERSIONS) >= 9
    assert f"Kubernetes 1.{OLDEST_MINOR} or newer" in PAGE.read_text("utf-8")


def test_a_misspelt_field_would_be_found() -> None:
    (deployment,) = of_kind(rendered("kube-ovn"), "Deployment")
    wrong = {**deployment, "spec": {**deployment["spec"], "replica": 3}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, VERSIONS[0], strict=True)


def test_overlays_hold_what_they_say() -> None:
    kinds = {overlay: [identity(w)[::2] for w in workloads(overlay)] for overlay in OVERLAYS}
    both = [("DaemonSet", "ovnmesh-agent"), ("Deployment", "ovnmesh-controller")]
    assert sorted(kinds["kube-ovn"]) == sorted(kinds["plain-ovn"]) == both
    assert kinds["ic-db"] == kinds["ic-db-cluster"] == [("StatefulSet", "ovnmesh-ic-db")]
    for overlay in ("kube-ovn", "plain-ovn"):
        assert of_kind(rendered(overlay), "CustomResourceDefinition") == [crd_with_labels(overlay)]
        assert len(of_kind(rendered(overlay), "PodDisruptionBudget")) == 1


def crd_with_labels(overlay: str) -> Object:
    (found,) = of_kind(rendered(overlay), "CustomResourceDefinition")
    metadata = {**crd()["metadata"], "labels": found["metadata"]["labels"]}
    return {**crd(), "metadata": metadata}


def test_deleting_a_controller_leaves_the_databases() -> None:
    of_databases = {each["metadata"].get("namespace") for each in workloads("ic-db")}
    for overlay in ("kube-ovn", "plain-ovn"):
        mine = {each["metadata"]["name"] for each in of_kind(rendered(overlay), "Namespace")}
        assert not mine & of_databases


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_namespaces_accounts_and_roles_exist(overlay: str) -> None:
    objects = rendered(overlay)
    known = set(map(identity, objects))
    namespaces = {"kube-system", "default"} | {n for k, _, n in known if k == "Namespace"}
    assert {namespace for _, namespace, _ in known if namespace} <= namespaces
    for workload in of_kind(objects, *WORKLOADS):
        namespace, account = workload["metadata"]["namespace"], pod_of(workload)
        assert ("ServiceAccount", namespace, account["serviceAccountName"]) in known
    for binding in of_kind(objects, "RoleBinding", "ClusterRoleBinding"):
        role = binding["roleRef"]
        inside = binding["metadata"].get("namespace", "") if role["kind"] == "Role" else ""
        assert (role["kind"], inside, role["name"]) in known
        for subject in binding["subjects"]:
            assert (subject["kind"], subject["namespace"], subject["name"]) in known


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_selectors_match_labels(overlay: str) -> None:
    objects = rendered(overlay)
    pods = []
    for workload in of_kind(objects, *WORKLOADS):
        labels = workload["spec"]["template"]["metadata"]["labels"]
        assert matches(workload["spec"]["selector"], labels)
        spread = pod_of(workload).get("topologySpreadConstraints", ())
        assert all(matches(each["labelSelector"], labels) for each in spread)
        pods.append((workload["metadata"]["namespace"], labels))
    for each in of_kind(objects, "PodDisruptionBudget"):
        chosen = [labels for _, labels in pods if matches(each["spec"]["selector"], labels)]
        component = each["metadata"]["labels"]["app.kubernetes.io/component"]
        assert [labels["app.kubernetes.io/component"] for labels in chosen] == [component]
    for each in of_kind(objects, "NetworkPolicy"):
        namespace, selector = each["metadata"]["namespace"], each["spec"]["podSelector"]
        assert any(namespace == n and matches(selector, labels) for n, labels in pods)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_pods_are_confined(overlay: str) -> None:
    for workload in workloads(overlay):
        pod = pod_of(workload)
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in [*pod["containers"], *pod.get("initContainers", ())]:
            context = container["securityContext"]
            assert context["readOnlyRootFilesystem"] is True
            assert context["allowPrivilegeEscalation"] is False
            assert context["capabilities"]["drop"] == ["ALL"]
            assert container["resources"]["requests"].keys() == {"cpu", "memory"}
            assert "memory" in container["resources"]["limits"]
        if pod["serviceAccountName"] != "ovnmesh-controller":
            assert pod["automountServiceAccountToken"] is False
    for pod, container in containers(overlay):
        added = container["securityContext"]["capabilities"].get("add", [])
        assert added == (["NET_RAW"] if container["name"] == "agent" else [])
        if container["name"] != "agent":
            context = {**pod["securityContext"], **container["securityContext"]}
            assert context["runAsNonRoot"] is True
            assert f"{context['runAsUser']}:{context['runAsGroup']}" == dict(dockerfile())["USER"]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_containers_are_probed_where_they_listen(overlay: str) -> None:
    for _, container in containers(overlay):
        for probe in (container["readinessProbe"], container["livenessProbe"]):
            if "httpGet" not in probe:
                assert container["name"] == "ic-db"
                continue
            (port,) = [p["containerPort"] for p in container["ports"] if p["name"] == "metrics"]
            assert probe["httpGet"]["port"] == "metrics"
            assert f"--metrics-port={port}" in container["args"]
        if container["name"] != "ic-db":
            assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
            assert container["livenessProbe"]["httpGet"]["path"] == "/healthz"


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_commands_exist(overlay: str) -> None:
    for _, container in containers(overlay):
        assert "command" not in container
        assert check_call(container["args"]) == ""
        known = {variable for param in parameters(container["args"][0]) for variable in param}
        known |= {"POD_IP", "LOCAL_IP", "NODE_IPS", "LEADER_IP"}
        assert {each["name"] for each in container.get("env", ())} <= known
        for source in container.get("envFrom", ()):
            assert set(config_map(overlay, source["configMapRef"]["name"])) <= known


def parameters(command: str) -> list[list[str]]:
    """Environment variables of each parameter of a command."""
    params = typer.main.get_command(app).get_command(None, command).params
    return [[p.envvar] if isinstance(p.envvar, str) else list(p.envvar or ()) for p in params]


def config_map(overlay: str, name: str) -> dict[str, str]:
    (found,) = [c for c in of_kind(rendered(overlay), "ConfigMap") if c["metadata"]["name"] == name]
    return found["data"]


def test_clustered_databases_start_together_on_different_nodes() -> None:
    (workload,) = workloads("ic-db-cluster")
    assert workload["spec"]["podManagementPolicy"] == "Parallel"
    values = config_map("ic-db-cluster", pod_env_from(workload))
    nodes = values["NODE_IPS"].split(",")
    assert len(nodes) == workload["spec"]["replicas"] == 3
    assert values["LEADER_IP"] in nodes
    (container,) = pod_of(workload)["containers"]
    ports = {each["containerPort"] for each in container["ports"]}
    (policy,) = of_kind(rendered("ic-db-cluster"), "NetworkPolicy")
    for direction in ("ingress", "egress"):
        (rule,) = policy["spec"][direction]
        assert {each["port"] for each in rule["ports"]} == ports == {6645, 6646, 6647, 6648}


def pod_env_from(workload: Object) -> str:
    ((source,),) = [each["envFrom"] for each in pod_of(workload)["containers"]]
    name: str = source["configMapRef"]["name"]
    return name


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_image_is_ours_with_the_tag_of_this_version(overlay: str) -> None:
    images = {
        container["image"]
        for workload in workloads(overlay)
        for container in [
            *pod_of(workload)["containers"],
            *pod_of(workload).get("initContainers", ()),
        ]
    }
    assert images == {f"ovnmesh:{VERSION}"}
    assert f"/ovnmesh:{VERSION}" in PAGE.read_text("utf-8")


def test_only_pods_that_need_the_host_may_have_it() -> None:
    def level(overlay: str) -> str:
        (namespace,) = of_kind(rendered(overlay), "Namespace")
        return namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"]

    assert {overlay: level(overlay) for overlay in OVERLAYS} == {
        "kube-ovn": "privileged",
        "plain-ovn": "privileged",
        "ic-db": "privileged",
        "ic-db-cluster": "privileged",
    }
    ((pod, container),) = (
        found for found in containers("kube-ovn") if found[1]["name"] == "controller"
    )
    assert not pod.get("hostNetwork")
    assert not [volume for volume in pod["volumes"] if "hostPath" in volume]
    (run_dir,) = [arg[10:] for arg in container["args"] if arg.startswith("--run-dir=")]
    assert any(run_dir.startswith(mount["mountPath"]) for mount in container["volumeMounts"])


def test_the_dockerfile_takes_only_debian_and_pinned_packages() -> None:
    instructions = dockerfile()
    assert [args.split()[0] for name, args in instructions if name == "FROM"] == [
        "debian:bookworm-slim",
        "debian:bookworm-slim",
    ]
    assert ("ENTRYPOINT", '["ovnmesh"]') in instructions
    text = " ".join(args for _, args in instructions)
    assert "PIP_CONSTRAINT=/build/constraints.txt" in text
    assert not re.search(r"https?://|[\w-]+\.(?:io|com|org)/", text)
    installed = set(re.findall(r"--no-install-recommends ([^&]+)", text)[-1].split())
    assert {"ovn-ic", "ovn-ic-db", "ovn-common", "openvswitch-common", "util-linux"} <= installed


def test_the_build_context_has_what_the_dockerfile_copies() -> None:
    lines = (DEPLOY / "Dockerfile.dockerignore").read_text("utf-8").splitlines()
    let_in = {line[1:] for line in lines if line.startswith("!")}
    copied: set[str] = set()
    for name, args in dockerfile():
        if name == "COPY" and not args.startswith("--from="):
            copied |= set(args.split()[:-1])
    assert copied == let_in
    assert all((ROOT / each).exists() for each in copied)


def test_the_schema_is_structural_where_values_are_of_two_types() -> None:
    """A server refuses types inside anyOf (Kubernetes, "Specifying a structural schema")."""

    def walk(part: object) -> list[Object]:
        if isinstance(part, list):
            return [found for each in part for found in walk(each)]
        if not isinstance(part, dict):
            return []
        return [part, *(found for each in part.values() for found in walk(each))]

    parts = walk(crd()["spec"]["versions"][0]["schema"])
    assert any(part.get("x-kubernetes-int-or-string") for part in parts)
    inner = [each for part in parts for each in walk(part.get("anyOf", []))]
    assert inner
    assert not [each for each in inner if {"type", "description", "default"} & each.keys()]
