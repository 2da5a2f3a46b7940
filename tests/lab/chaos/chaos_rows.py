"""What a mesh is known by: its rows without what is drawn or counted, and its nodes' tunnels."""

import json
import re
import subprocess
from collections.abc import Iterable, Sequence

from meshlab import NB_TABLES, SB_TABLES, MeshLab

#: Columns and keys that servers count, stamp or draw: equal meshes differ in them.
DRAWN = {
    *("nb_cfg", "sb_cfg", "hv_cfg", "nb_cfg_timestamp", "sb_cfg_timestamp", "hv_cfg_timestamp"),
    *("connections", "ssl", "ipsec", "nb_ic_cfg", "sb_ic_cfg", "_version"),
    # Numbers that northd and ovn-ic draw (ovn-nb(5), ovn-sb(5)); who joins again gets others.
    *("tunnel_key", "tnl_key", "max_tunid", "requested-tnl-key"),
    # Given out by northd to logical ports by their keys.
    "logical_ip",
}
TABLES = {
    ("nb", "OVN_Northbound"): (*NB_TABLES, "HA_Chassis_Group", "HA_Chassis"),
    ("sb", "OVN_Southbound"): (*SB_TABLES, "HA_Chassis_Group", "HA_Chassis", "Gateway_Chassis"),
    ("ic_nb", "OVN_IC_Northbound"): ("IC_NB_Global", "Transit_Switch"),
    ("ic_sb", "OVN_IC_Southbound"): (
        *("Availability_Zone", "Gateway", "Encap", "Datapath_Binding", "Port_Binding", "Route"),
    ),
}
#: A node that was a gateway once says so; one that never was says nothing.
UNMARKED = ["ovn-is-interconn", "false"]
_NAMES = ("name", "logical_port", "transit_switch", "ip_prefix", "ip", "hostname", "chassis_name")
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def mesh_rows(lab: MeshLab) -> list[str]:
    """Rows of all databases of all sites, a line each; references by what they refer to."""
    rows: list[tuple[str, str, dict]] = []
    for index, site in enumerate(lab.names):
        connections = lab.runner.connections(site)
        for (key, schema), tables in TABLES.items():
            shared = key.startswith("ic")
            if not (shared and index):
                where = schema if shared else f"{site} {schema}"
                for table, cells in _select(connections[key], schema, tables):
                    uuid = cells.pop("_uuid")[1]
                    rows.append((f"{where} {table}", uuid, _without_drawn(cells)))
    labels = {uuid: f"{where} {_name(cells)}" for where, uuid, cells in rows}
    lines = [f"{where}: {_text(cells, labels)}" for where, _, cells in rows]
    lines += [line for site in lab.names for line in _interfaces(lab, site)]
    return sorted(lines)


def _select(remote: str, schema: str, tables: Sequence[str]) -> Iterable[tuple[str, dict]]:
    """Whole tables, in one transaction and so of one moment (RFC 7047, 5.2.2)."""
    selects = [{"op": "select", "table": table, "where": []} for table in tables]
    command = ["ovsdb-client", "--timeout=10", "transact", remote, json.dumps([schema, *selects])]
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    for table, answer in zip(tables, json.loads(out), strict=True):
        yield from ((table, row) for row in answer["rows"])


def _without_drawn(cells: dict) -> dict:
    kept: dict = {}
    for column, value in cells.items():
        if isinstance(value, list) and value[0] == "map":
            value = ["map", [pair for pair in value[1] if pair[0] not in DRAWN]]
        if column not in DRAWN:
            kept[column] = value
    return kept


def _name(cells: dict) -> str:
    return next((str(cells[column]) for column in _NAMES if cells.get(column)), "")


def _text(cells: dict, labels: dict[str, str]) -> str:
    def name(match: re.Match[str]) -> str:
        return f"<{labels[match[0]]}>" if match[0] in labels else match[0]

    parts = []
    for column, value in sorted(cells.items()):
        several = isinstance(value, list) and value[0] in ("set", "map")
        members = value[1] if several else [value]
        texts = sorted(_UUID.sub(name, json.dumps(member)) for member in members)
        parts.append(f"{column}={' '.join(texts)}")
    return "; ".join(parts)


def _interfaces(lab: MeshLab, site: str) -> Iterable[str]:
    """Mark, and links with their tunnel and BFD settings, of each node of a site."""
    for node in lab.runner.lab.site(site).nodes:
        tables = ("Open_vSwitch", "Interface")
        for table, row in _select(f"unix:{node.db_socket}", "Open_vSwitch", tables):
            columns = ("external_ids",) if table == "Open_vSwitch" else ("name", "options", "bfd")
            kept = {column: row[column] for column in columns}
            if table == "Open_vSwitch":
                kept["external_ids"][1][:] = [x for x in row["external_ids"][1] if x != UNMARKED]
            yield f"{site}/{node.name} {table}: {_text(kept, {})}"


def difference(wanted: list[str], found: list[str]) -> list[str]:
    """Lines that are missing (-) and that are too many (+)."""
    lost, rest = list(wanted), []
    for line in found:
        if line in lost:
            lost.remove(line)
        else:
            rest.append(line)
    return [*(f"- {line}" for line in lost), *(f"+ {line}" for line in rest)]
