"""A mesh of fake sites for unit and property tests: rows as OVN would have them.

`OvnIcFake.run` does the few things of ovn-ic that planners rely on; it is not ovn-ic, and no claim
about traffic rests on it.
"""

from dataclasses import dataclass, field

from fake_ovsdb import FakeOvsdb
from ovnmesh import ovn_keys as keys
from ovnmesh.model.changes import Db, Plan
from ovnmesh.model.desired import Desired, Router
from ovnmesh.model.observed import Observed
from ovnmesh.model.pending import Ages
from ovnmesh.model.prefixes import parse_prefix
from ovnmesh.model.reading import observe_interconnect, observe_northbound, observe_southbound
from ovnmesh.plan.leave import plan_leave
from ovnmesh.plan.site import plan_site


class Mesh:
    """The interconnection databases, shared by sites."""

    def __init__(self, switches: int = 1, subnets: tuple[str, ...] = ("169.254.{n}.0/24",)) -> None:
        self.ic = FakeOvsdb()
        self.ic.add(Db.IC_NB, "IC_NB_Global", external_ids={})
        for index in range(switches):
            self.add_switch(index, subnets)

    def add_switch(self, index: int, subnets: tuple[str, ...] = ("169.254.{n}.0/24",)) -> str:
        name = "ts" if index == 0 else f"ts{index}"
        cidr = ",".join(subnet.format(n=100 + index) for subnet in subnets)
        self.ic.add(Db.IC_NB, "Transit_Switch", name=name, external_ids={"subnet": cidr})
        return name

    def foreign_zone(self, az: str) -> str:
        return self.ic.add(Db.IC_SB, "Availability_Zone", name=az)

    def foreign_port(self, zone: str, name: str, address: str, ts: str = "ts") -> str:
        return self.ic.add(
            Db.IC_SB,
            "Port_Binding",
            logical_port=name,
            transit_switch=ts,
            availability_zone=zone,
            tunnel_key=90 + len(self.ic.tables[Db.IC_SB].get("Port_Binding", {})),
            gateway="",
            address=address,
        )

    def route(
        self,
        zone: str,
        prefix: str,
        held: bool = False,
        ts: str = "ts",
        nexthop: str = "169.254.100.9",
    ) -> str:
        return self.ic.add(
            Db.IC_SB,
            "Route",
            transit_switch=ts,
            availability_zone=zone,
            ip_prefix=prefix,
            nexthop=nexthop,
            origin="connected",
            external_ids={keys.HELD: "x"} if held else {},
        )


@dataclass
class Site:
    """One site's databases, Kube-OVN shaped."""

    mesh: Mesh
    subnet: str = "10.16.0.1/16"
    join: str = "100.64.0.1/16"
    nodes: tuple[str, ...] = ("gw", "n1", "n2")
    version: str = "23.03.1-20.27.0-70.6"
    ovn_ic_version: str = ""
    db: FakeOvsdb = field(default_factory=FakeOvsdb)
    number: int = 1
    routers: tuple[Router, ...] = ()

    def __post_init__(self) -> None:
        self.db._ids = (
            f"{self.number:02x}{n:06x}-0000-4000-8000-000000000000" for n in range(1, 1 << 20)
        )
        self.nb_global = self.db.add(
            Db.NB,
            "NB_Global",
            name="",
            options={keys.NORTHD_VERSION: self.version, "mac_prefix": "aa:bb:cc"},
            external_ids={"foreign": "kept"},
        )
        self.router = self.db.add(Db.NB, "Logical_Router", name="ovn-cluster", ports=frozenset())
        for name, cidr in (("ovn-default", self.subnet), ("join", self.join)):
            self.db.add_child(
                Db.NB,
                ("Logical_Router", self.router, "ports"),
                "Logical_Router_Port",
                name=f"ovn-cluster-{name}",
                mac="00:00:00:00:00:01",
                networks=frozenset({cidr}),
                gateway_chassis=frozenset(),
                external_ids={"vendor": "kube-ovn"},
            )
        self.db.add_child(
            Db.NB,
            ("Logical_Router", self.router, "policies"),
            "Logical_Router_Policy",
            priority=29000,
            match="ip4.src == 10.16.0.2",
            action="reroute",
            external_ids={"vendor": "kube-ovn"},
        )
        for node in self.nodes:
            self.db.add(Db.SB, "Chassis", name=f"chassis-{node}", hostname=node, other_config={})

    def add_router(self, wish: Router, *networks: str) -> str:
        """A router beside the cluster's, with a port for each network, as Neutron makes them."""
        router = self.db.add(
            Db.NB, "Logical_Router", name=wish.name, ports=frozenset(), static_routes=frozenset()
        )
        for index, network in enumerate(networks):
            self.db.add_child(
                Db.NB,
                ("Logical_Router", router, "ports"),
                "Logical_Router_Port",
                name=f"lrp-{wish.ports_named_after}-{index}",
                mac="fa:16:3e:00:00:01",
                networks=frozenset({network}),
                gateway_chassis=frozenset(),
                external_ids={"neutron:revision_number": "1"},
            )
        self.routers += (wish,)
        return router

    @property
    def observed(self) -> Observed:
        ic = self.mesh.ic
        return Observed(
            observe_northbound(self.db.snapshot(Db.NB), "ovn-cluster", self.routers),
            observe_southbound(self.db.snapshot(Db.SB)),
            observe_interconnect(ic.snapshot(Db.IC_NB), ic.snapshot(Db.IC_SB)),
            self.ovn_ic_version,
        )

    def apply(self, plan: Plan) -> None:
        for batch in plan.batches:
            (self.mesh.ic if batch.db in (Db.IC_NB, Db.IC_SB) else self.db).apply([batch])

    def agents(self) -> None:
        """Every agent marks its chassis as told."""
        options = self.db.tables[Db.NB]["NB_Global"][self.nb_global]["options"]
        if keys.GATEWAYS not in options:
            return
        marked = options[keys.GATEWAYS].split(",")
        for row in self.db.tables[Db.SB]["Chassis"].values():
            if row["other_config"].get(keys.IS_REMOTE) != "true":
                value = "true" if row["name"] in marked else "false"
                row["other_config"] = {keys.IS_INTERCONN: value}

    def ovn_ic(self) -> None:
        """What ovn-ic would write: switches, zone, gateways, ports, advertisements."""
        nb = self.db.tables[Db.NB]
        ic = self.mesh.ic.tables[Db.IC_SB]
        glob = nb["NB_Global"][self.nb_global]
        if not glob["name"]:
            return
        names = {row["name"] for row in self.mesh.ic.tables[Db.IC_NB]["Transit_Switch"].values()}
        have = {row["name"]: uuid for uuid, row in nb.get("Logical_Switch", {}).items()}
        for ts in sorted(names - set(have)):
            key = 16711681 + sorted(names).index(ts)
            have[ts] = self.db.add(
                Db.NB,
                "Logical_Switch",
                name=ts,
                ports=frozenset(),
                other_config={keys.INTERCONN_TS: ts, keys.REQUESTED_TNL_KEY: str(key)},
            )
        for ts in sorted(names):
            if not any(r["transit_switch"] == ts for r in ic.get("Datapath_Binding", {}).values()):
                key = 16711681 + sorted(names).index(ts)
                self.mesh.ic.add(Db.IC_SB, "Datapath_Binding", transit_switch=ts, tunnel_key=key)
        zones = {r["name"]: u for u, r in ic.get("Availability_Zone", {}).items()}
        zone = zones.get(glob["name"]) or self.mesh.ic.add(
            Db.IC_SB, "Availability_Zone", name=glob["name"]
        )
        self._sync_gateways(zone)
        self._sync_ports(zone)
        self._sync_routes(zone, glob["options"])

    def _sync_gateways(self, zone: str) -> None:
        ic = self.mesh.ic.tables[Db.IC_SB].setdefault("Gateway", {})
        wanted = {
            row["name"]: row["hostname"]
            for row in self.db.tables[Db.SB]["Chassis"].values()
            if row["other_config"].get(keys.IS_INTERCONN) == "true"
        }
        for uuid, row in list(ic.items()):
            if row["availability_zone"] == zone and row["name"] not in wanted:
                del ic[uuid]
        have = {row["name"] for row in ic.values()}
        for name in sorted(set(wanted) - have):
            self.mesh.ic.add(
                Db.IC_SB, "Gateway", name=name, hostname=wanted[name], availability_zone=zone
            )

    def _sync_ports(self, zone: str) -> None:
        nb = self.db.tables[Db.NB]
        ic = self.mesh.ic.tables[Db.IC_SB].setdefault("Port_Binding", {})
        wanted: dict[str, tuple[str, str]] = {}
        local: dict[str, dict] = {}
        routers: dict[str, dict[str, str]] = {}
        for switch in nb.get("Logical_Switch", {}).values():
            for uuid in switch["ports"]:
                lsp = nb["Logical_Switch_Port"][uuid]
                peer = lsp.get("options", {}).get("router-port")
                lrp = next(
                    (r for r in nb["Logical_Router_Port"].values() if r["name"] == peer), None
                )
                address = " ".join([lrp["mac"], *sorted(lrp["networks"])]) if lrp else ""
                if lsp["type"] == "router":
                    wanted[lsp["name"]] = (switch["name"], address)
                    routers[lsp["name"]] = self._router_of(lrp)
                    local[lsp["name"]] = lsp
        for uuid, row in list(ic.items()):
            if row["availability_zone"] == zone and row["logical_port"] not in wanted:
                del ic[uuid]
        have = {row["logical_port"]: row for row in ic.values()}
        for name, (ts, address) in sorted(wanted.items()):
            if name in have:
                have[name]["address"] = address
                known = have[name].get("external_ids", {})
                have[name]["external_ids"] = {**known, **routers[name]}
                key = str(have[name]["tunnel_key"])
                options = local[name].get("options", {})
                local[name]["options"] = {**options, keys.REQUESTED_TNL_KEY: key}
                continue
            key = 1 + max((r["tunnel_key"] for r in ic.values()), default=0)
            self.mesh.ic.add(
                Db.IC_SB,
                "Port_Binding",
                logical_port=name,
                transit_switch=ts,
                availability_zone=zone,
                tunnel_key=key,
                gateway="",
                address=address,
                external_ids=routers[name],
            )

    def _sync_routes(self, zone: str, options: dict[str, str]) -> None:
        nb = self.db.tables[Db.NB]
        ic = self.mesh.ic.tables[Db.IC_SB].setdefault("Route", {})
        deny = [parse_prefix(p) for p in options.get(keys.ROUTE_BLACKLIST, "").split(",") if p]
        wanted: set[tuple[str, str]] = set()
        transit = [
            row
            for row in nb["Logical_Router_Port"].values()
            if keys.TRANSIT_SWITCH in row["external_ids"]
        ]
        if options.get(keys.ROUTE_ADV) == "true":
            for port in transit:
                if all(cidr.startswith("100::") for cidr in port["networks"]):
                    continue  # no next hop to advertise
                for row in self._beside(port):
                    for cidr in row["networks"]:
                        prefix = parse_prefix(cidr)
                        denied = any(d.contains(prefix) for d in deny)
                        if row not in transit and not denied:
                            wanted.add((port["external_ids"][keys.TRANSIT_SWITCH], str(prefix)))
        for uuid, row in list(ic.items()):
            if row["availability_zone"] == zone and (
                (row["transit_switch"], row["ip_prefix"]) not in wanted
            ):
                del ic[uuid]
        have = {
            (row["transit_switch"], row["ip_prefix"])
            for row in ic.values()
            if row["availability_zone"] == zone
        }
        for ts, prefix in sorted(wanted - have):
            self.mesh.route(zone, prefix, ts=ts)

    def _router_of(self, lrp: dict | None) -> dict[str, str]:
        """What ovn-ic notes of the router behind a port; of one that is gone, nothing new."""
        for uuid, router in self.db.tables[Db.NB]["Logical_Router"].items():
            ports = [self.db.tables[Db.NB]["Logical_Router_Port"].get(u) for u in router["ports"]]
            if lrp is not None and lrp in ports:
                return {keys.IC_ROUTER: uuid}
        return {}

    def _beside(self, port: dict) -> list[dict]:
        """All ports of the router that has this one."""
        nb = self.db.tables[Db.NB]
        for router in nb["Logical_Router"].values():
            ports = [nb["Logical_Router_Port"][uuid] for uuid in router["ports"]]
            if port in ports:
                return ports
        return []

    def settle(self, desired: Desired, rounds: int = 12) -> Plan:
        """Pass after pass with ovn-ic and agents in between, until nothing changes."""
        ages: Ages = {}
        for _ in range(rounds):
            plan = plan_site(desired, self.observed, ages)
            # As much time has passed by the next pass as anything needs.
            ages = dict.fromkeys(plan.pending, 60.0)
            self.apply(plan)
            if plan.run_ovn_ic:
                self.agents()
                self.ovn_ic()
            idle = not plan.batches and not plan.waiting and not plan.pending
            if idle and not plan_site(desired, self.observed).batches:
                return plan
        raise AssertionError(f"does not settle: {plan.batches}")

    def leave(self) -> Plan:
        for _ in range(8):
            plan = plan_leave(self.observed, {})
            if not plan.batches and not plan.findings:
                return plan
            self.apply(plan)
            self.agents()
        raise AssertionError(f"does not leave: {plan}")


def bind(*sites: Site) -> None:
    """Every port with gateway chassis is bound on the first of them, and ovn-ic has said so."""
    for site in sites:
        nb, sb = site.db.tables[Db.NB], site.db.tables[Db.SB]
        chassis = {row["name"]: uuid for uuid, row in sb["Chassis"].items()}
        sb["Port_Binding"] = {}
        gateways = {}
        for row in nb["Logical_Router_Port"].values():
            names = [nb["Gateway_Chassis"][u]["chassis_name"] for u in row["gateway_chassis"]]
            if names:
                site.db.add(
                    Db.SB,
                    "Port_Binding",
                    logical_port=f"cr-{row['name']}",
                    chassis=frozenset({chassis[names[0]]}),
                )
                gateways[row["name"]] = names[0]
        peers = {
            row["name"]: row["options"][keys.ROUTER_PORT]
            for row in nb["Logical_Switch_Port"].values()
            if row["type"] == "router"
        }
        for row in site.mesh.ic.tables[Db.IC_SB]["Port_Binding"].values():
            if row["logical_port"] in peers:
                row["gateway"] = gateways.get(peers[row["logical_port"]], "")


#: Kube-OVN's router of the default VPC.
CLUSTER_ROUTER = Router("ovn-cluster", bypass_policy=True)


def wish(az: str = "az1", *gateways: str, auto_route: bool = True, **more: object) -> Desired:
    more.setdefault("routers", (CLUSTER_ROUTER,))
    return Desired(az, gateways or ("gw",), auto_route, **more)  # type: ignore[arg-type]
