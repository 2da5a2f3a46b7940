"""A site without a data path: real databases, ovn-northd and a real controller process.

Called by `idle`, which fills the databases with rows, and by `kubernetes_idle`. Chassis rows are
written here, because no node runs. Everything listens in a temporary folder and on the loopback
address. Must not measure.
"""

import json
import os
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from ovnmesh.host.process import run, wait_until
from ovnmesh.host.programs import program, schema_file

SCHEMAS = {
    "OVN_Northbound": schema_file("ovn-nb"),
    "OVN_Southbound": schema_file("ovn-sb"),
    "OVN_IC_Northbound": schema_file("ovn-ic-nb"),
    "OVN_IC_Southbound": schema_file("ovn-ic-sb"),
    "Open_vSwitch": schema_file("vswitch"),
}
NB, SB, IC_NB, IC_SB, VSWITCH = SCHEMAS
FIRST_PORT = 26645
"""TCP port of IC-NB; IC-SB and the metrics have the next ones."""
ROUTER = "ovn-cluster"
_CHUNK = 2000
_CONFIG = """\
apiVersion: v1
kind: ConfigMap
metadata: {{name: ovn-ic-config, namespace: kube-system}}
data:
  enable-ic: "true"
  az-name: az1
  ic-db-host: 127.0.0.1
  ic-nb-port: "{nb_port}"
  ic-sb-port: "{sb_port}"
  gw-nodes: az1-gw
  auto-route: "{auto_route}"
"""

Operation = dict[str, object]


class Databases:
    """One ovsdb-server with a site's and the interconnection databases, a northd, a controller.

    Args:
        folder: an empty folder; its path must be short (unix(7)).
        first_port: see `FIRST_PORT`; sites that run at the same time need different ones.
    """

    def __init__(self, folder: Path, first_port: int = FIRST_PORT) -> None:
        self.folder = folder
        self._nb_port, self._sb_port, self._metrics_port = range(first_port, first_port + 3)
        self.remote = f"unix:{folder / 'db.sock'}"
        self.manifests = folder / "manifests"
        self.manifests.mkdir()
        self._children: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        """Start server and northd, and write the first rows."""
        files = []
        for name, schema in SCHEMAS.items():
            files.append(str(self.file(name)))
            run([program("ovsdb-tool"), "create", files[-1], str(schema)])
        self._spawn(
            [
                *(program("ovsdb-server"), f"--remote=p{self.remote}"),
                *(f"--remote=ptcp:{port}:127.0.0.1" for port in (self._nb_port, self._sb_port)),
                *(f"--unixctl={self.folder / 'db.ctl'}", "-vconsole:off", *files),
            ]
        )
        wait_until((self.folder / "db.sock").exists, "ovsdb-server listens", timeout_s=10)
        run([program("ovn-nbctl"), f"--db={self.remote}", "init"])
        run([program("ovn-sbctl"), f"--db={self.remote}", "init"])
        subnet = {"subnet": "169.254.100.0/24"}
        self.transact(IC_NB, [_insert("IC_NB_Global")])
        self.transact(IC_NB, [_insert("Transit_Switch", name="ts", external_ids=_map(subnet))])
        self.transact(IC_SB, [_insert("IC_SB_Global")])
        words = ["--", "lr-add", ROUTER, "--", "ls-add", "ovn-default", "--", "lrp-add", ROUTER]
        words += ["ovn-cluster-ovn-default", "00:00:00:00:01:01", "10.16.0.1/16"]
        run([program("ovn-nbctl"), f"--db={self.remote}", *words[1:]])
        for number, name in enumerate(("az1-gw", "az1-n1", "az1-n2")):
            self.transact(SB, _chassis(name, number))
        self._spawn(
            [
                *(program("ovn-northd"), f"--ovnnb-db={self.remote}", f"--ovnsb-db={self.remote}"),
                *(f"--unixctl={self.folder / 'northd.ctl'}", "-vconsole:off"),
            ]
        )

    def file(self, name: str) -> Path:
        """File of a database."""
        return self.folder / f"{name}.db"

    def transact(self, name: str, operations: Sequence[Operation]) -> list[dict[str, object]]:
        """Write rows, in transactions of bounded size.

        Raises:
            RuntimeError: the server refused.
        """
        results: list[dict[str, object]] = []
        for start in range(0, len(operations), _CHUNK):
            request = [name, *operations[start : start + _CHUNK]]
            reply = _call(self.folder / "db.sock", request)
            wrong = [result for result in reply if result is None or "error" in result]
            if wrong:
                raise RuntimeError(f"{name}: {wrong[0]}")
            results += reply
        return results

    def configure(self, auto_route: bool) -> None:
        """Write the ConfigMap."""
        new = self.folder / "new"
        new.write_text(self.config_map(auto_route))
        new.rename(self.manifests / "ovn-ic-config.yaml")

    def config_map(self, auto_route: bool) -> str:
        """The ConfigMap, as YAML."""
        ports = {"nb_port": self._nb_port, "sb_port": self._sb_port}
        return _CONFIG.format(auto_route=str(auto_route).lower(), **ports)

    def start_controller(self, *source: str) -> int:
        """Start a controller as in production; returns its process id once it has joined.

        Args:
            source: options that say where the configuration is; by default the folder.
        """
        (self.folder / "run").mkdir(exist_ok=True)
        words = ["controller", "--nb", self.remote, "--sb", self.remote]
        words += source or ("--config", str(self.manifests))
        words += ["--run-dir", str(self.folder / "run")]
        words += ["--metrics-port", str(self._metrics_port)]
        child = self._spawn([sys.executable, "-m", "ovnmesh", *words])
        wait_until(
            lambda: child.poll() is not None or self._state() == "joined",
            "joined",
            timeout_s=180,
            interval_s=0.2,
        )
        if child.poll() is not None:
            raise RuntimeError(f"the controller ended: {(self.folder / 'log').read_text()}")
        return child.pid

    def mark_gateway(self) -> None:
        """Play the agent and ovn-controller of the gateway."""
        row = {"other_config": _map({"is-interconn": "true"})}
        where = [["name", "==", "az1-gw"]]
        self.transact(SB, [{"op": "update", "table": "Chassis", "where": where, "row": row}])

    def start_agent(self) -> int:
        """Start an agent on an Open_vSwitch database of its own; returns its process id."""
        ids = {"system-id": "az1-n1", "ovn-remote": self.remote}
        self.transact(VSWITCH, [_insert("Open_vSwitch", external_ids=_map(ids))])
        words = ["agent", "--ovs", self.remote]
        return self._spawn([sys.executable, "-m", "ovnmesh", *words]).pid

    def metrics(self) -> dict[str, float]:
        """The controller's metrics, by name with labels."""
        url = f"http://127.0.0.1:{self._metrics_port}/metrics"
        with urllib.request.urlopen(url, timeout=30) as reply:
            lines = reply.read().decode().splitlines()
        pairs = (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
        return {name: float(value) for name, value in pairs}

    def stop(self) -> None:
        """End everything that was started."""
        for child in reversed(self._children):
            child.terminate()
            try:
                child.wait(20)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()

    def _state(self) -> str:
        try:
            found = self.metrics()
        except OSError:
            return ""
        return "joined" if found.get('ovnmesh_state{state="joined"}') else ""

    def _spawn(self, argv: list[str]) -> "subprocess.Popen[bytes]":
        with (self.folder / "log").open("ab") as log:
            environment = {**os.environ, "OVN_RUNDIR": str(self.folder)}
            child = subprocess.Popen(argv, stdout=log, stderr=log, env=environment)
        self._children.append(child)
        return child


def own_rows(count: int) -> list[Operation]:
    """Rows of the site itself, `count` each: switch ports, static routes, policies."""
    operations: list[Operation] = []
    for number in range(count):
        address = f"10.16.{number // 250}.{number % 250 + 2}"
        mac = f"00:00:00:{number >> 16 & 255:02x}:{number >> 8 & 255:02x}:{number & 255:02x}"
        port = _insert("Logical_Switch_Port", name=f"pod-{number}", addresses=f"{mac} {address}")
        prefix = f"172.{16 + (number >> 14)}.{number >> 6 & 255}.{(number & 63) * 4}/30"
        route = _insert("Logical_Router_Static_Route", ip_prefix=prefix, nexthop="10.16.0.9")
        policy = _insert(
            "Logical_Router_Policy", priority=1000, match=f"ip4.dst == {prefix}", action="allow"
        )
        for row, table, column, name in (
            (port, "Logical_Switch", "ports", "ovn-default"),
            (route, "Logical_Router", "static_routes", ROUTER),
            (policy, "Logical_Router", "policies", ROUTER),
        ):
            row["uuid-name"] = f"new_{column}_{number}"
            link = [column, "insert", ["set", [["named-uuid", row["uuid-name"]]]]]
            mutate: Operation = {"op": "mutate", "table": table, "where": [["name", "==", name]]}
            operations += [row, {**mutate, "mutations": [link]}]
    return operations


def foreign_routes(databases: Databases, count: int, zones: int = 10) -> None:
    """Routes of other sites in IC-SB, as their ovn-ic would advertise them, on switch ts."""
    made = databases.transact(
        IC_SB, [_insert("Availability_Zone", name=f"other{zone}") for zone in range(zones)]
    )
    uuids = [row["uuid"] for row in made]
    ports: list[Operation] = []
    routes: list[Operation] = []
    for zone, uuid in enumerate(uuids):
        address = f"169.254.100.{200 + zone}"
        mac = f"0a:00:00:00:00:{zone:02x}"
        ports.append(
            _insert(
                "Port_Binding",
                transit_switch="ts",
                logical_port=f"ts-other{zone}",
                availability_zone=uuid,
                tunnel_key=100 + zone,
                address=f"{mac} {address}/24",
            )
        )
        for number in range(zone, count, zones):
            prefix = f"11.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}/32"
            row = {"ip_prefix": prefix, "nexthop": address, "origin": "static"}
            routes.append(_insert("Route", transit_switch="ts", availability_zone=uuid, **row))
    databases.transact(IC_SB, ports)
    databases.transact(IC_SB, routes)


def _chassis(name: str, number: int) -> list[Operation]:
    encap = _insert("Encap", type="geneve", ip=f"192.0.2.{number + 1}", chassis_name=name)
    encap["uuid-name"] = "encap"
    return [encap, _insert("Chassis", name=name, hostname=name, encaps=["named-uuid", "encap"])]


def _insert(table: str, **row: object) -> Operation:
    return {"op": "insert", "table": table, "row": row}


def _map(values: dict[str, str]) -> list[object]:
    return ["map", [[key, value] for key, value in values.items()]]


def _call(path: Path, params: list[object]) -> list[dict[str, object]]:
    """One "transact" request (RFC 7047, section 4.1.3)."""
    with socket.socket(socket.AF_UNIX) as link:
        link.connect(str(path))
        link.sendall(json.dumps({"id": 0, "method": "transact", "params": params}).encode())
        answer = b""
        while True:
            answer += link.recv(1 << 20)
            try:
                result: list[dict[str, object]] = json.loads(answer)["result"]
            except ValueError:
                continue
            return result
