"""Where the programs and schemas of OVN and Open vSwitch are.

Whoever starts one of them or reads a schema asks here: ic-db, the controller for ovn-ic, the lab,
OVN's own tools behind `ovnmesh nbctl`, tests. Must not start anything.

Order of preference:

1. `OVN_PREFIX`, if it is set: a folder with `bin`, `sbin` and `share`, as `/usr` is for Debian's
   packages, or what `./configure --prefix` was given. Everything is taken from there; what is not
   there is missing, and is not looked for anywhere else.
2. Programs: `PATH`. Schemas: `OVN_PKGDATADIR` and `OVS_PKGDATADIR`, as in OVN's own scripts
   (ovn-lib, ovs-lib).
3. Schemas: where Debian's packages put them, `/usr/share/ovn` and `/usr/share/openvswitch`.
"""

import os
from pathlib import Path

PREFIX_VARIABLE = "OVN_PREFIX"

#: Below the prefix. Debian has ovs-vswitchd in the last one; /usr/sbin links to it by way of
#: update-alternatives, which a package that is only unpacked does not have.
_FOLDERS = ("bin", "sbin", "lib/openvswitch-switch")
_PKGDATADIR = {"ovn": "OVN_PKGDATADIR", "openvswitch": "OVS_PKGDATADIR"}


def program(name: str) -> str:
    """One of OVN's or Open vSwitch's programs, as the first word of a command.

    Args:
        name: e.g. ``ovn-ic`` or ``ovsdb-server``.

    Returns:
        Its path below the prefix, whether it is there or not; the name, without a prefix.
    """
    folders = program_folders()
    if not folders:
        return name
    paths = [folder / name for folder in folders]
    return str(next((path for path in paths if path.exists()), paths[0]))


def program_folders() -> tuple[Path, ...]:
    """Where programs are below the prefix; empty if there is none, and PATH counts."""
    prefix = _prefix()
    return () if prefix is None else tuple(prefix / folder for folder in _FOLDERS)


def schema_file(database: str) -> Path:
    """The schema of a database.

    Args:
        database: ``ovn-nb``, ``ovn-sb``, ``ovn-ic-nb``, ``ovn-ic-sb`` or ``vswitch``.
    """
    package = "openvswitch" if database == "vswitch" else "ovn"
    prefix = _prefix()
    if prefix is not None:
        folder = prefix / "share" / package
    else:
        folder = Path(os.environ.get(_PKGDATADIR[package]) or f"/usr/share/{package}")
    return folder / f"{database}.ovsschema"


def _prefix() -> Path | None:
    named = os.environ.get(PREFIX_VARIABLE)
    return Path(named).absolute() if named else None
