"""Every database key, option and constant ovnmesh reads or writes, each with its source.

Used by all layers; imports nothing. If a key is not here, we do not touch it.
Man pages are those of OVN 23.03: ovn-nb(5), ovn-sb(5), ovn-ic-nb(5), ovn-ic-sb(5), ovn-ic(8).
"""

from typing import Final

# --- ours -------------------------------------------------------------------------------------
#: external_ids key on every row we create: the site id that owns the row.
OWNER: Final = "ovnmesh-owner"
#: external_ids key on our ports and policies: the transit switch they serve.
TRANSIT_SWITCH: Final = "ovnmesh-ts"
#: NB_Global.external_ids: JSON of the last good configuration, so that no state lives in a process.
SITE_RECORD: Final = "ovnmesh-site"
#: NB_Global.external_ids: JSON of the values that stood where we write, to be put back at leave.
RESTORE: Final = "ovnmesh-restore"
#: NB_Global.external_ids: JSON of the current findings; read by `ovnmesh status`.
STATUS: Final = "ovnmesh-status"
#: NB_Global.external_ids: JSON of denied prefixes by reason, without those of the configuration.
DENIED: Final = "ovnmesh-denied"
#: NB_Global.options: chassis that are, or are about to be, gateways. northd copies these options to
#: SB_Global.options (northd.c), where the agents read them.
GATEWAYS: Final = "ovnmesh-gateways"
#: IC_NB_Global.external_ids prefix: the availability zone name claimed; value is the site id.
AZ_CLAIM: Final = "ovnmesh-az-"
#: Transit_Switch.external_ids prefix: address claim of a site; value "MAC CIDR [CIDR]".
ADDRESS_CLAIM: Final = "ovnmesh-claim-"
#: NB_Global.external_ids: JSON of who is the active gateway of each transit switch, and who is
#: drained (`plan.decide.gateway_order`).
GATEWAY_STATE: Final = "ovnmesh-gateway-state"
#: Chassis_Private.external_ids: JSON of the paths from this chassis to the other gateways; written
#: by its agent. ovn-controller leaves the column alone, and RBAC allows it (ovn-sb(5)).
PATHS: Final = "ovnmesh-paths"
#: Chassis_Private.external_ids: the largest IP packet, in bytes, that fits into a tunnel of this
#: chassis without being fragmented; written by its agent.
TUNNEL_MTU: Final = "ovnmesh-tunnel-mtu"
#: Transit_Switch.external_ids prefix: the least tunnel MTU, in bytes, of a site's gateways.
MTU_CLAIM: Final = "ovnmesh-mtu-"
#: Transit_Switch.external_ids: "true" while the switch is being taken out of service.
DRAINING: Final = "ovnmesh-draining"
#: IC-SB Route.external_ids: an advertisement its site held before any overlap appeared.
HELD: Final = "ovnmesh-held"

# --- OVN northbound, ovn-nb(5) ----------------------------------------------------------------
ROUTE_ADV: Final = "ic-route-adv"
ROUTE_LEARN: Final = "ic-route-learn"
#: OVN < 24.09 reads the black list; newer ones the deny list and fall back to the black list.
ROUTE_BLACKLIST: Final = "ic-route-blacklist"
ROUTE_DENYLIST: Final = "ic-route-denylist"
#: external_ids of an IC-SB Port_Binding: the router whose routes ovn-ic reads and writes by way of
#: that port (ovn-ic.c, route_run).
IC_ROUTER: Final = "router-id"
#: external_ids of static routes that ovn-ic wrote (ovn-ic.c).
LEARNED_ROUTE: Final = "ic-learned-route"
#: other_config of logical switches that ovn-ic made (ovn-nb(5), Logical_Switch).
INTERCONN_TS: Final = "interconn-ts"
REQUESTED_TNL_KEY: Final = "requested-tnl-key"
ROUTER_PORT: Final = "router-port"
#: Logical_Router_Port.options: largest packet in bytes; larger ones are answered with "packet too
#: big" where the port is bound.
GATEWAY_MTU: Final = "gateway_mtu"
#: NB_Global.options: timers of BFD between chassis, in milliseconds, and missed packets.
BFD_MIN_RX: Final = "bfd-min-rx"
BFD_MIN_TX: Final = "bfd-min-tx"
BFD_MULT: Final = "bfd-mult"
NORTHD_VERSION: Final = "northd_internal_version"

# --- OVN southbound, ovn-sb(5); ovn-controller(8) -----------------------------------------------
#: Open_vSwitch.external_ids on a gateway node; ovn-controller copies it to Chassis.other_config.
OVN_IS_INTERCONN: Final = "ovn-is-interconn"
IS_INTERCONN: Final = "is-interconn"
#: Open_vSwitch.external_ids, copied to Chassis.other_config: options of the cloud's management,
#: comma-separated; Neutron schedules router gateways to chassis with the one named
#: (neutron.conf, OVN; networking-ovn's documents).
CMS_OPTIONS: Final = "ovn-cms-options"
ENABLE_AS_GATEWAY: Final = "enable-chassis-as-gw"
#: Port.external_ids of a tunnel: "CHASSIS@REMOTE_IP", later with "%LOCAL_IP" (ovn-controller,
#: encaps.c, encaps_tunnel_id_create).
TUNNEL_CHASSIS: Final = "ovn-chassis-id"
#: Open_vSwitch.external_ids: the node's tunnel ends, comma-separated.
OVN_ENCAP_IP: Final = "ovn-encap-ip"
IS_REMOTE: Final = "is-remote"

# --- Kube-OVN -----------------------------------------------------------------------------------
#: Subnet of a transit switch, Transit_Switch.external_ids (Kube-OVN, start-ic-db.sh).
TS_SUBNET: Final = "subnet"
#: Name of the cluster's logical router where nobody names another (Kube-OVN, --cluster-router).
DEFAULT_ROUTER: Final = "ovn-cluster"
#: Priority of the policy that lets interconnection traffic past the gateway policies: above
#: Kube-OVN's 29000 to 29400, below its 30000 and 31000 (pkg/util/const.go, OvnICPolicyPriority).
POLICY_PRIORITY: Final = 29500
#: Highest gateway chassis priority we give; later ones count down (Kube-OVN: 100 - index).
GATEWAY_PRIORITY: Final = 100
#: Name of the switch, its port and the HA chassis group that keep BFD running (`plan.rows.bfd`).
BFD_NAME: Final = "ovnmesh-bfd"

#: Name of the router port that keeps NAT rules off the transit port (`plan.rows.nat_guard`).
NAT_GUARD: Final = "ovnmesh-nat-guard"

#: OVSDB lock on the northbound database that decides which controller acts.
CONTROLLER_LOCK: Final = "ovnmesh_controller"


def lrp_name(az: str, ts: str) -> str:
    """Name of an AZ's router port on a transit switch, as in the documents: ``az1-ts``."""
    return f"{az}-{ts}"


def lsp_name(az: str, ts: str) -> str:
    """Name of an AZ's switch port on a transit switch, as in the documents: ``ts-az1``."""
    return f"{ts}-{az}"
