"""Which tables, columns and rows we replicate, per database.

Called by `ovsdb.database`. Only what the planner needs: memory and CPU of an idle controller grow
with what is named here. Never Logical_Router.static_routes or .policies: those columns grow with
the cloud, and are written with mutations only. Must not open connections.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from ovnmesh.model.changes import Db

Clause = Sequence[object]
#: A monitor condition: clauses, any of which may hold (ovsdb-server(7), monitor_cond).
Condition = Sequence[Clause | bool]


@dataclass(frozen=True, slots=True)
class View:
    """A selection of one database.

    Attributes:
        db: the database.
        columns: columns by table; "*" alone means all.
        conditions: rows to replicate, by table; a table not named is replicated whole.
    """

    db: Db
    columns: Mapping[str, tuple[str, ...]]
    conditions: Mapping[str, Condition] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class Selection:
    """Rows to ask for once, instead of replicating them.

    Attributes:
        table: their table.
        columns: what to tell of each.
        condition: which rows.
    """

    table: str
    columns: tuple[str, ...]
    condition: Condition = (True,)


_PORT = (
    *("name", "mac", "networks", "gateway_chassis", "ha_chassis_group"),
    *("external_ids", "options"),
)
_SWITCH_PORT = ("name", "type", "addresses", "options", "external_ids")
_NB_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "NB_Global": ("name", "options", "external_ids"),
    "Logical_Router": ("name", "ports", "enabled", "nat", "load_balancer"),
    "NAT": ("external_ip", "gateway_port"),
    "Logical_Router_Port": _PORT,
    "Gateway_Chassis": ("name", "chassis_name", "priority"),
    "HA_Chassis_Group": ("name", "ha_chassis", "external_ids"),
    "HA_Chassis": ("chassis_name", "external_ids"),
    "Logical_Switch": ("name", "other_config", "external_ids"),
    "Logical_Switch_Port": _SWITCH_PORT,
    "Logical_Router_Policy": ("priority", "match", "action", "external_ids"),
    "Logical_Router_Static_Route": (
        "ip_prefix",
        "nexthop",
        "policy",
        "options",
        "external_ids",
    ),
}
NOTHING: Condition = (False,)
#: The site's own routes. Routes that ovn-ic learned carry options:origin (ovn-ic.c,
#: sync_learned_routes); a condition cannot say "has no such key", but it can say "has no options",
#: or the one option that other routes have (ovn-nb(5)).
OWN_ROUTES: Condition = (
    ("options", "==", ("map", ())),
    ("options", "includes", ("map", (("ecmp_symmetric_reply", "true"),))),
    ("options", "includes", ("map", (("ecmp_symmetric_reply", "false"),))),
)
#: NAT rules whose gateway port OVN has to find out: all of Kube-OVN's, some of Neutron's.
WITHOUT_GATEWAY_PORT: Condition = (("gateway_port", "==", ("set", ())),)
#: Routes that ovn-ic learned: they grow with the mesh, and are read only to leave it, and to look
#: for those that ovn-ic has left behind.
LEARNED_ROUTES: Condition = (
    ("options", "includes", ("map", (("origin", "connected"),))),
    ("options", "includes", ("map", (("origin", "static"),))),
)
#: Learned routes, and which router has them.
LEARNED = (
    Selection(
        "Logical_Router_Static_Route",
        _NB_COLUMNS["Logical_Router_Static_Route"],
        LEARNED_ROUTES,
    ),
    Selection("Logical_Router", ("static_routes",)),
)


def northbound(router: str) -> View:
    """The controller's northbound view: the router's ports and routes, nothing learned."""
    return View(
        Db.NB,
        _NB_COLUMNS,
        {
            "Logical_Router": (("name", "==", router),),
            "NAT": WITHOUT_GATEWAY_PORT,
            "HA_Chassis_Group": NOTHING,
            "HA_Chassis": NOTHING,
            "Logical_Switch": NOTHING,
            "Logical_Switch_Port": NOTHING,
            "Logical_Router_Policy": NOTHING,
            "Logical_Router_Static_Route": OWN_ROUTES,
        },
    )


def transit_conditions(
    routers: Iterable[str], switches: Iterable[str], ports: Iterable[str], owner: tuple[str, str]
) -> Mapping[str, Condition]:
    """Northbound conditions once the transit switches are known.

    Args:
        routers: names of the routers to connect.
        switches: names of the transit switches.
        ports: names our switch ports have or may have.
        owner: key and value of the tag on rows of ours.
    """
    tagged = ("external_ids", "includes", ("map", (owner,)))
    return {
        "Logical_Router": tuple(("name", "==", name) for name in sorted(routers)),
        "HA_Chassis_Group": (tagged,),
        "HA_Chassis": (tagged,),
        "Logical_Switch": (tagged, *(("name", "==", name) for name in sorted(switches))),
        "Logical_Switch_Port": (
            ("type", "==", "remote"),
            tagged,
            *(("name", "==", name) for name in sorted(ports)),
        ),
        "Logical_Router_Policy": (tagged,),
    }


def southbound() -> View:
    """Chassis, what their agents report, and where gateway ports are bound."""
    return View(
        Db.SB,
        {
            "Chassis": ("name", "hostname", "other_config"),
            "Chassis_Private": ("name", "external_ids"),
            "Port_Binding": ("logical_port", "chassis"),
        },
        {"Port_Binding": (("type", "==", "chassisredirect"),)},
    )


def lock_probe() -> View:
    """As little as a connection can ask for: only the lock matters."""
    return View(Db.NB, {"NB_Global": ("name",)})


def agent_southbound() -> View:
    """What an agent needs: the gateway list that northd copies, who is remote, and its own row.

    Which row that is, `own_chassis` says.
    """
    return View(
        Db.SB,
        {
            "SB_Global": ("options",),
            "Chassis": ("name", "hostname", "other_config"),
            "Chassis_Private": ("name", "external_ids"),
        },
        {"Chassis_Private": NOTHING},
    )


def own_chassis(name: str) -> Mapping[str, Condition]:
    """Southbound conditions of an agent once it knows its chassis."""
    return {"Chassis_Private": (("name", "==", name),)}


#: Tunnels that OVN can make (ovn-controller(8), ovn-encap-type); not the ports of pods.
TUNNELS: Condition = tuple(("type", "==", kind) for kind in ("geneve", "vxlan", "stt"))


def vswitch() -> View:
    """A node's own database: the one row of its settings, and its tunnels."""
    return View(
        Db.VSWITCH,
        {
            "Open_vSwitch": ("external_ids",),
            "Port": ("external_ids", "interfaces"),
            "Interface": ("type", "options", "bfd", "bfd_status"),
        },
        {"Interface": TUNNELS},
    )


def interconnect_northbound() -> View:
    """Transit switches and claims."""
    return View(
        Db.IC_NB,
        {"IC_NB_Global": ("external_ids",), "Transit_Switch": ("name", "external_ids")},
    )


def interconnect_southbound() -> View:
    """Everybody's gateways, ports and routes."""
    return View(
        Db.IC_SB,
        {
            "Availability_Zone": ("name",),
            "Gateway": ("name", "availability_zone", "hostname"),
            "Port_Binding": (
                "logical_port",
                "transit_switch",
                "availability_zone",
                "gateway",
                "address",
                "tunnel_key",
                "external_ids",
            ),
            "Route": (
                "transit_switch",
                "availability_zone",
                "ip_prefix",
                "nexthop",
                "origin",
                "external_ids",
            ),
            "Datapath_Binding": ("transit_switch", "tunnel_key"),
        },
    )


def whole(view: View) -> View:
    """The same columns without conditions: for one-shot commands that show everything."""
    return View(view.db, view.columns)
