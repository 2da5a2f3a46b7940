"""A Kube-OVN shaped site on real databases with real northd and ovn-ic; no data path, no root."""

import json
import subprocess
import tempfile
import threading
from pathlib import Path

from ovnmesh import ovn_keys as keys
from ovnmesh.controller.reconciler import Reconciler
from ovnmesh.controller.settings import ControllerSettings
from ovnmesh.host.programs import program
from ovnmesh.model.changes import Db
from ovnmesh.model.remote import parse_remote
from ovnmesh.model.report import PassReport
from ovnmesh.providers.base import Provider
from ovnmesh.providers.kubernetes.provider import KubernetesProvider
from ovnmesh.providers.manifests import ManifestsProvider
from servers import wait_for, wait_quiet

CONFIG = """\
apiVersion: v1
kind: ConfigMap
metadata:
  name: ovn-ic-config
  namespace: kube-system
data:
  enable-ic: "{enable}"
  az-name: "{az}"
  ic-db-host: "{hosts}"
  ic-nb-port: "{nb}"
  ic-sb-port: "{sb}"
  gw-nodes: "{gw}"
  auto-route: "{auto}"
"""


class Ic:
    """Interconnection databases with one transit switch."""

    def __init__(self, server) -> None:
        self.nb, self.sb = server(Db.IC_NB), server(Db.IC_SB)
        self.nb.transact(
            {"op": "insert", "table": "IC_NB_Global", "row": {}},
            {
                "op": "insert",
                "table": "Transit_Switch",
                "row": {
                    "name": "ts",
                    "external_ids": ["map", [["subnet", "169.254.100.0/24"]]],
                },
            },
        )
        self.sb.transact({"op": "insert", "table": "IC_SB_Global", "row": {}})
        self.ports = {"nb": self.nb.listen(), "sb": self.sb.listen(), "hosts": "127.0.0.1"}


def subnets(number: int) -> dict[str, str]:
    """The subnets of a site by name, each with the address of its router."""
    return {"ovn-default": f"10.{15 + number}.0.1/16", "join": f"100.{63 + number}.0.1/16"}


class SiteUnderTest:
    """A Kube-OVN shaped site: databases, northd, chassis, a folder of manifests, a controller."""

    def __init__(self, server, folder: Path, ic: Ic, number: int) -> None:
        self.folder, self.ic, self.number = folder, ic, number
        folder.mkdir()
        self.manifests = folder / "manifests"
        self.manifests.mkdir()
        self.run_dir = folder / "run"
        self.run_dir.mkdir()
        self.nb, self.sb = server(Db.NB, folder), server(Db.SB, folder)
        self.northd: subprocess.Popen[bytes] | None = None
        self.controllers: list[tuple[Reconciler, threading.Thread]] = []
        self.reports: list[PassReport] = []

    def start(self) -> None:
        self.nbctl("init")
        subprocess.run([program("ovn-sbctl"), f"--db={self.sb.remote}", "init"], check=True)
        self.northd = subprocess.Popen(
            [
                program("ovn-northd"),
                f"--ovnnb-db={self.nb.remote}",
                f"--ovnsb-db={self.sb.remote}",
                f"--unixctl={self.folder}/northd.ctl",
                "-vconsole:off",
            ]
        )
        n = self.number
        self.nbctl("lr-add", "ovn-cluster")
        for name, cidr in subnets(n).items():
            self.subnet(name, cidr)
        for host, node in enumerate(("gw", "n1")):
            self.chassis(f"az{n}-{node}", 10 + host)

    def subnet(self, name: str, cidr: str) -> None:
        mac = f"00:00:00:0{self.number}:00:{sum(name.encode()) % 100:02d}"
        self.nbctl("ls-add", name, "--", "lrp-add", "ovn-cluster", f"ovn-cluster-{name}", mac, cidr)

    def chassis(self, name: str, host: int) -> None:
        self.sb.transact(
            {
                "op": "insert",
                "table": "Encap",
                "uuid-name": "e",
                "row": {
                    "type": "geneve",
                    "ip": f"192.168.{self.number}.{host}",
                    "chassis_name": name,
                },
            },
            {
                "op": "insert",
                "table": "Chassis",
                "row": {"name": name, "hostname": name, "encaps": ["named-uuid", "e"]},
            },
        )

    def mark(self, name: str, value: str = "true") -> None:
        self.sb.transact(
            {
                "op": "update",
                "table": "Chassis",
                "where": [["name", "==", name]],
                "row": {"other_config": ["map", [["is-interconn", value]]]},
            }
        )

    def configure(self, **changes: object) -> None:
        values = {
            "enable": "true",
            "az": f"az{self.number}",
            "gw": f"az{self.number}-gw",
            "auto": "true",
            **self.ic.ports,
            **changes,
        }
        self.write("ovn-ic-config.yaml", CONFIG.format(**values))

    def write(self, name: str, text: str) -> None:
        new = self.folder / "new"
        new.write_text(text)
        new.rename(self.manifests / name)

    def control(self, provider: Provider | None = None) -> Reconciler:
        """Start a controller, configured by the folder or by another provider."""

        def observe(report: PassReport) -> None:
            self.reports.append(report)
            if isinstance(provider, KubernetesProvider):
                provider.publish(report)

        run_dir = Path(tempfile.mkdtemp(dir=self.run_dir))
        made = Reconciler(
            ControllerSettings(
                parse_remote(self.nb.remote),
                parse_remote(self.sb.remote),
                run_dir,
                leave_patience_s=0.5,
                check_s=0.5,
            ),
            provider or ManifestsProvider(self.manifests),
            observe,
        )
        thread = threading.Thread(target=made.run)
        thread.start()
        self.controllers.append((made, thread))
        return made

    def stop_controllers(self) -> None:
        for controller, thread in self.controllers:
            controller.stop()
            thread.join(10)
            assert not thread.is_alive()
        self.controllers.clear()

    def stop(self) -> None:
        self.stop_controllers()
        if self.northd is not None:
            self.northd.terminate()
            self.northd.wait()

    def nbctl(self, *words: str) -> str:
        command = [program("ovn-nbctl"), f"--db={self.nb.remote}", "--timeout=5", *words]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    def routes(self, router: str = "ovn-cluster") -> str:
        return self.nbctl("lr-route-list", router)

    def option(self, key: str) -> str:
        return (
            self.nbctl("--if-exists", "get", "NB_Global", ".", f"options:{key}").strip().strip('"')
        )

    def state(self) -> str:
        raw = self.nbctl("--if-exists", "get", "NB_Global", ".", f"external_ids:{keys.STATUS}")
        return json.loads(json.loads(raw))["state"] if raw.strip() else ""

    def codes(self) -> list[str]:
        return [finding.code for finding in self.reports[-1].findings] if self.reports else []

    def transactions(self) -> int:
        return sum(report.transactions for report in self.reports)

    def settle(self) -> None:
        """Until the controllers have nothing left to do."""
        wait_quiet(lambda: (len(self.reports), self.transactions()))

    def passed(self) -> None:
        """Until every controller has made a pass that began after now."""
        for controller, _ in self.controllers:
            for _ in range(2):  # the first may end a pass that had begun before
                passes = len(self.reports)
                controller.wake()
                wait_for(lambda passes=passes: len(self.reports) > passes, 10, "a pass")


def connected(one: SiteUnderTest, two: SiteUnderTest) -> None:
    """Until both have learned all that the other advertises, and say that they are joined."""

    for site, other in ((one, two), (two, one)):
        prefixes = [cidr.replace(".0.1/", ".0.0/") for cidr in subnets(other.number).values()]
        wait_for(
            lambda site=site, prefixes=prefixes: all(each in site.routes() for each in prefixes),
            what=lambda site=site: f"learned: {site.routes()}",
        )
    wait_for(lambda: one.state() == two.state() == "joined", 10, "joined")
