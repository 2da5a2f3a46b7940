"""One name, one thing: no two classes, and no two modules, are called alike without a reason."""

import ast
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

SRC = Path(__file__).parents[2] / "src" / "ovnmesh"
FILES = sorted(SRC.rglob("*.py"))

#: Classes of one name. Private ones are their module's own business.
CLASSES = {
    "Api": "the API of a cloud, in the room of that cloud, and the lab's servers of such",
    "Links": "network links of a lab; connections to databases",
    "Node": "a node of a cluster; the lab makes what the providers read",
    "Publisher": "the protocol, and its one implementation",
    "Subnet": "a subnet of a cluster; the lab makes what the providers read",
}

FLOORS = "one thing on several floors: the command, what it does, what is planned, what is shown"
ROOMS = "the same part of each cloud, in the room of that cloud"
LAB = "what the lab makes or runs is what the others read"
MODULES = {
    "api": ROOMS,
    "arguments": "of each group of commands, and of all",
    "changes": "operations on rows, and what joining an OpenStack site changes",
    "commands": "of each group of commands",
    "daemons": "those of ovnmesh as commands, and those of a lab",
    "diagnose": FLOORS,
    "faults": FLOORS,
    "forget": FLOORS,
    "gateway": FLOORS,
    "interconnect": "the interconnection databases; in config the ConfigMap named after them",
    "leave": FLOORS,
    "manifests": LAB,
    "manual_route": FLOORS,
    "members": "members of a RAFT cluster, asked by their servers and by their clients",
    "mtu": "measured by the agent, decided by the planner",
    "nat": FLOORS,
    "neutron": LAB,
    "objects": ROOMS,
    "openstack": "commands about OpenStack: of sites, and of the lab",
    "paths": "measured by the agent, kept in the model",
    "provider": ROOMS,
    "routers": "the routers of a site, and a check of them",
    "rows": "plain rows, and the check of what they say",
    "security": "security groups, and a check of them",
    "server": "of a program that serves: ic-db, the web",
    "settings": "of a program that runs: the controller, ic-db",
    "site": "a pass over a site; an OpenStack site of a lab",
    "status": "what users call so: of a site, of a lab, of a Kubernetes object",
    "status_record": "one record, as text and as rows",
    "transit_switch": FLOORS,
    "validate": FLOORS,
}


def twice(named: Iterable[tuple[str, Path]]) -> dict[str, list[str]]:
    places: dict[str, list[str]] = defaultdict(list)
    for name, path in named:
        places[name].append(str(path.relative_to(SRC)))
    return {name: found for name, found in places.items() if len(found) > 1}


def test_no_two_classes_have_one_name() -> None:
    found = twice(
        (node.name, path)
        for path in FILES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    )
    assert {name: places for name, places in found.items() if name not in CLASSES} == {}
    assert set(CLASSES) <= set(found), "these may go from the list"


def test_no_two_modules_have_one_name() -> None:
    found = twice((path.stem, path) for path in FILES if path.stem != "__init__")
    assert {name: places for name, places in found.items() if name not in MODULES} == {}
    assert set(MODULES) <= set(found), "these may go from the list"
