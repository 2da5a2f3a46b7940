"""`kubectl ovnmesh`: the command line, run in a controller's pod of the cluster kubectl points at.

Called by the console scripts `kubectl-ovnmesh`, which kubectl runs by that name, and
`kubectl_complete-ovnmesh`, by which its shell completion asks. kubectl alone speaks to the cluster:
it knows contexts, credentials and proxies. Must not use a shell or a client of the Kubernetes API.
"""

import json
import os
import subprocess
import sys
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from ovnmesh.access.sites import LOCAL_SITE
from ovnmesh.cli import output
from ovnmesh.cli.handover import hand_over
from ovnmesh.errors import ConfigError, OvnmeshError, Problem, ProcessError

NAMESPACE = "ovnmesh"
#: Pods of the Deployment ovnmesh-controller, and their container (deploy/base/controller).
CONTROLLERS = "app.kubernetes.io/name=ovnmesh,app.kubernetes.io/component=controller"
CONTAINER = "controller"

#: Flags of kubectl that are passed on to it, beside --namespace (kubectl options).
KUBECTL_FLAGS = {
    "kubeconfig": "FILE",
    "context": "NAME",
    "cluster": "NAME",
    "user": "NAME",
    "request-timeout": "DURATION",
}
TOOLS = ("nbctl", "sbctl", "icnbctl", "icsbctl")
#: Commands that take a SITE, which in a pod can only be one; and how many words come before it.
SITE_COMMANDS = {"routes": 1, "leave": 1, "route": 2, "gateway": 2, **dict.fromkeys(TOOLS, 1)}
#: Commands that do not look at a cluster, and what to do instead.
REFUSED = {
    "lab": "run `ovnmesh lab` where the lab is to be",
    "controller": "the Deployment ovnmesh-controller runs it",
    "agent": "the DaemonSet ovnmesh-agent runs it",
    "ic-db": "run `ovnmesh ic-db`, or its workload, where the interconnection databases are to be",
}

_HELP = """\
Run the ovnmesh command line in a controller's pod of the cluster that kubectl points at. COMMAND
is a command of ovnmesh. It takes no SITE, because the cluster is the site.

Flags of kubectl may stand before or after COMMAND. What follows nbctl, sbctl, icnbctl or icsbctl
is handed to that tool as it is.
"""
_EXAMPLES = """\
examples:
  kubectl ovnmesh status
  kubectl ovnmesh status -o json --context az2
  kubectl ovnmesh routes
  kubectl ovnmesh route add 10.17.0.0/24 --via az2
  kubectl ovnmesh nbctl lr-route-list ovn-cluster
  kubectl ovnmesh --context az2 icsbctl --format=json list Route

The exit status is that of the command. If no controller's pod runs it is 1, and `status` shows
the Interconnection as a controller left it.
"""


def main() -> None:
    """Run `kubectl ovnmesh`."""
    try:
        _run(sys.argv[1:])
    except OvnmeshError as error:
        output.error(error)
        sys.exit(2 if isinstance(error, ConfigError) else 1)
    except KeyboardInterrupt:
        sys.exit(130)


def _run(argv: Sequence[str]) -> None:
    given = parse(argv)
    if given.help or not given.command:
        _parser().print_help()
        sys.exit(0 if given.help else 2)
    name = given.command[0]
    if name in REFUSED:
        expected = f"a command that looks at a cluster; {REFUSED[name]}"
        raise ConfigError([Problem("kubectl ovnmesh", f'"{name}"', expected)])
    found = _read_pods(given)
    pod = pick_pod(found)
    if pod is None:
        _without_pod(given, found)
    if not _is_ready(pod):
        output.stderr().print(f"no controller is ready; asking {pod['metadata']['name']}")
    hand_over(
        [
            *_kubectl(given, "exec", pod["metadata"]["name"], f"--container={CONTAINER}"),
            *_terminal(),
            *("--", "ovnmesh", *in_pod(given.command)),
        ],
        _KUBECTL_HINT,
    )


def _parser() -> ArgumentParser:
    # Abbreviations would catch options of ovnmesh.
    parser = ArgumentParser(
        prog="kubectl ovnmesh",
        usage="kubectl ovnmesh [flags of kubectl] COMMAND [ARGS...]",
        description=_HELP,
        epilog=_EXAMPLES,
        formatter_class=RawDescriptionHelpFormatter,
        add_help=False,
        allow_abbrev=False,
    )
    group = parser.add_argument_group("flags of kubectl")
    group.add_argument(
        "-n", "--namespace", default=NAMESPACE, help=f"namespace of the controller [{NAMESPACE}]"
    )
    for flag, value in KUBECTL_FLAGS.items():
        group.add_argument(f"--{flag}", metavar=value, help="as in kubectl")
    return parser


def parse(argv: Sequence[str]) -> Namespace:
    """Tell kubectl's flags from what is ovnmesh's.

    Returns:
        kubectl's flags by name; `command`, the words for ovnmesh; `help`, whether help of the
        plugin itself is asked for.
    """
    parser = _parser()
    leading = _parser()
    leading.add_argument("-h", "--help", action="store_true")
    # Everything from the first word on that is no flag.
    leading.add_argument("rest", nargs="...")
    given, unknown = leading.parse_known_args(argv)
    words = [*unknown, *given.rest]
    if words and words[0] not in TOOLS:
        _, words = parser.parse_known_args(words, given)
    given.command = words
    return given


def in_pod(command: Sequence[str]) -> list[str]:
    """The command as ovnmesh takes it in a pod: with the SITE where one is expected."""
    before = SITE_COMMANDS.get(command[0], 0)
    if not before or len(command) < before:
        return list(command)
    return [*command[:before], LOCAL_SITE, *command[before:]]


def pick_pod(pods: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """A pod to ask: one that is ready if there is any, else one that runs.

    Args:
        pods: items of a PodList.
    """
    running = [pod for pod in pods if _is_running(pod)]
    return max(running, key=_is_ready, default=None)


def _is_running(pod: Mapping[str, Any]) -> bool:
    containers = pod.get("status", {}).get("containerStatuses", ())
    return "deletionTimestamp" not in pod["metadata"] and any(
        container["name"] == CONTAINER and "running" in container.get("state", {})
        for container in containers
    )


def _is_ready(pod: Mapping[str, Any]) -> bool:
    conditions = pod.get("status", {}).get("conditions", ())
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


_KUBECTL_HINT = "the kubectl of your Kubernetes version"


def _kubectl(given: Namespace, *words: str) -> list[str]:
    values = vars(given)
    names = ("namespace", *KUBECTL_FLAGS)
    flags = {name: values[name.replace("-", "_")] for name in names}
    return ["kubectl", *(f"--{name}={value}" for name, value in flags.items() if value), *words]


def _read_pods(given: Namespace) -> list[dict[str, Any]]:
    argv = _kubectl(given, "get", "pods", f"--selector={CONTROLLERS}", "--output=json")
    try:
        done = subprocess.run(argv, stdout=subprocess.PIPE, check=False)
    except OSError as error:
        raise ProcessError(
            f"kubectl: cannot be started: {error}; expected {_KUBECTL_HINT}"
        ) from error
    if done.returncode != 0:
        sys.exit(done.returncode)  # kubectl has said why
    try:
        items: list[dict[str, Any]] = json.loads(done.stdout)["items"]
    except (ValueError, KeyError, TypeError) as error:
        raise ProcessError(f"kubectl get pods: answered no list of pods: {error}") from error
    return items


def _without_pod(given: Namespace, found: Sequence[Mapping[str, Any]]) -> NoReturn:
    said = ", ".join(
        f"{pod['metadata']['name']} ({pod.get('status', {}).get('phase', 'Unknown')})"
        for pod in found
    )
    output.error(
        OvnmeshError(
            f"namespace {given.namespace}: found {said or 'no pod of a controller'}; expected a "
            "running pod of the Deployment ovnmesh-controller. If it is in another namespace, use "
            f"--namespace. See: kubectl -n {given.namespace} describe deployments,pods"
        )
    )
    if given.command[0] == "status":
        output.stderr().print("the Interconnection, as a controller left it:")
        shown = ArgumentParser(add_help=False, allow_abbrev=False)
        shown.add_argument("-o", "--output")
        form = "json" if shown.parse_known_args(given.command)[0].output == "json" else "wide"
        words = ("get", "interconnections.ovnmesh.io", "default", f"--output={form}")
        subprocess.run(_kubectl(given, *words), check=False)
    sys.exit(1)


def _terminal() -> list[str]:
    """Flags of `kubectl exec` that give the command this terminal."""
    if not os.isatty(0):
        return []  # what is piped in belongs to the caller: a loop that reads lines, say
    # A terminal in the pod writes errors to where results go, and ends lines in its own way.
    return ["--stdin", "--tty"] if os.isatty(1) and os.isatty(2) else ["--stdin"]
