"""What `deploy/` holds, for the tests: rendered objects, rules of RBAC, the Dockerfile, the CRD's
verdict on an object. Rendering needs a kubectl of version 1.27 or newer; tests that use it are
skipped where there is none (scripts/kubectl.sh fetches one).
"""

import copy
import json
import os
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import celpy
import jsonschema
import pytest
import yaml

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
OVERLAYS = ("kube-ovn", "plain-ovn", "ic-db", "ic-db-cluster")
WORKLOADS = ("Deployment", "DaemonSet", "StatefulSet")
KUSTOMIZE_5 = 27
"""Minor version of the first kubectl with kustomize 5."""

Object = dict[str, Any]


class Rule(NamedTuple):
    """One permission; "" as namespace is the whole cluster, "" as name any object."""

    namespace: str
    group: str
    resource: str
    name: str
    verb: str


@cache
def find_kubectl() -> str | None:
    """A kubectl that can render the overlays."""
    assets = os.environ.get("KUBEBUILDER_ASSETS", "")
    candidates = (ROOT / ".venv" / "bin" / "kubectl", shutil.which("kubectl"), f"{assets}/kubectl")
    for found in filter(None, candidates):
        command = [str(found), "version", "--client", "-o", "json"]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=True)
        except (OSError, subprocess.CalledProcessError):
            continue
        minor = json.loads(done.stdout)["clientVersion"]["minor"]
        if int(re.sub(r"\D", "", minor)) >= KUSTOMIZE_5:
            return str(found)
    return None


@cache
def _render(kubectl: str, folder: Path) -> tuple[Object, ...]:
    done = subprocess.run(
        [kubectl, "kustomize", str(folder)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "deprecated" not in done.stderr, done.stderr
    return tuple(yaml.safe_load_all(done.stdout))


def rendered(overlay: str) -> list[Object]:
    """The objects of an overlay, not to be changed; skips the test if there is no kubectl."""
    kubectl = find_kubectl()
    if kubectl is None:
        pytest.skip("no kubectl >= 1.27: scripts/kubectl.sh says why")
    return list(_render(kubectl, DEPLOY / "overlays" / overlay))


def of_kind(objects: list[Object], *kinds: str) -> list[Object]:
    """The objects of some kinds."""
    return [each for each in objects if each["kind"] in kinds]


def rules(service_account: str, overlay: str = "kube-ovn") -> set[Rule]:
    """Everything that bindings of an overlay permit to a service account of ours."""
    objects = rendered(overlay)
    roles = {
        (role["kind"], role["metadata"].get("namespace", ""), role["metadata"]["name"]): role
        for role in of_kind(objects, "Role", "ClusterRole")
    }
    found = set()
    for binding in of_kind(objects, "RoleBinding", "ClusterRoleBinding"):
        if service_account not in [subject["name"] for subject in binding["subjects"]]:
            continue
        namespace = binding["metadata"].get("namespace", "")
        kind, name = binding["roleRef"]["kind"], binding["roleRef"]["name"]
        for rule in roles[kind, namespace if kind == "Role" else "", name]["rules"]:
            found |= {
                Rule(namespace, group, resource, each, verb)
                for group in rule["apiGroups"]
                for resource in rule["resources"]
                for each in rule.get("resourceNames", [""])
                for verb in rule["verbs"]
            }
    return found


@cache
def crd() -> Object:
    """The CustomResourceDefinition of Interconnections."""
    return yaml.safe_load((DEPLOY / "base/crd/interconnections.yaml").read_text("utf-8"))


def crd_problems(interconnection: Object) -> list[str]:
    """Why an API server would refuse an Interconnection; [] if it would not.

    As the server does: unknown fields (`kubectl apply` is strict), schema, then CEL rules with
    defaults filled in. CEL is judged by another implementation than the server's.
    """
    (version,) = crd()["spec"]["versions"]
    schema = version["schema"]["openAPIV3Schema"]
    checker = jsonschema.Draft202012Validator(
        _closed(schema), format_checker=jsonschema.FormatChecker(["ipv4", "ipv6"])
    )
    problems = [
        f"{error.json_path}: {error.message}" for error in checker.iter_errors(interconnection)
    ]
    if not problems:
        _judge(schema, _defaulted(schema, copy.deepcopy(interconnection)), "", problems)
    return problems


def _closed(schema: Object) -> Object:
    """The same schema, refusing fields it does not name; metadata is the server's own affair."""
    closed = {
        key: _closed(value) if isinstance(value, dict) else value for key, value in schema.items()
    }
    if isinstance(schema.get("properties"), dict) and schema.get("type") == "object":
        closed["additionalProperties"] = False
    return closed


def _defaulted(schema: Object, value: Any) -> Any:
    if isinstance(value, dict):
        for name, part in schema.get("properties", {}).items():
            if name not in value and "default" in part:
                value[name] = part["default"]
            if name in value:
                _defaulted(part, value[name])
    return value


def _judge(schema: Object, value: Any, path: str, problems: list[str]) -> None:
    for rule in schema.get("x-kubernetes-validations", ()):
        environment = celpy.Environment()
        program = environment.program(environment.compile(rule["rule"]))
        if not program.evaluate({"self": celpy.json_to_cel(value)}):
            problems.append(f"{path or '.'}: {rule['message']}")
    if schema.get("x-kubernetes-list-type") == "set" and len(set(value)) < len(value):
        problems.append(f"{path}: an entry twice")
    for name, part in schema.get("properties", {}).items():
        if isinstance(value, dict) and name in value:
            _judge(part, value[name], f"{path}.{name}", problems)
    if isinstance(value, list):
        for index, entry in enumerate(value):
            _judge(schema["items"], entry, f"{path}[{index}]", problems)


def dockerfile() -> list[tuple[str, str]]:
    """Instructions of the Dockerfile and their arguments, comments left out."""
    text = (DEPLOY / "Dockerfile").read_text("utf-8")
    text = re.sub(r"^\s*#.*\n", "", text, flags=re.MULTILINE).replace("\\\n", " ")
    return [
        (line.split()[0], " ".join(line.split()[1:])) for line in text.splitlines() if line.strip()
    ]


def indented_yaml(page: Path) -> list[Object]:
    """Kubernetes objects in the code blocks of a page."""
    blocks = re.findall(r"(?m)(?:^ {4,}\S?.*\n(?:[ \t]*\n(?= {4,}))?)+", page.read_text("utf-8"))
    return [
        each
        for block in blocks
        if block.lstrip().startswith(("apiVersion:", "# "))
        for each in yaml.safe_load_all(_dedented(block))
        if isinstance(each, dict)
    ]


def _dedented(block: str) -> str:
    width = len(block) - len(block.lstrip(" "))
    return "\n".join(line[width:] for line in block.splitlines())
