"""The restore record: what stood in NB_Global before the site joined, to be put back at leave.

Written and read by `plan.rows.nb_global`; `plan.deny` keeps what the old deny list kept out. Pure.
"""

from collections.abc import Mapping

import msgspec

from ovnmesh.model.records import Codec


class Restore(msgspec.Struct, frozen=True):
    """The record.

    Attributes:
        name: NB_Global.name.
        options: those options of NB_Global that a join overwrites, as far as they were set.
    """

    name: str = ""
    options: Mapping[str, str] = msgspec.field(default_factory=dict)


_CODEC = Codec(Restore)


def encode_restore(restore: Restore) -> str:
    """The record as compact, stable JSON."""
    return _CODEC.encode(restore)


def decode_restore(raw: str) -> Restore:
    """Read what `encode_restore` wrote; an empty record if it is missing or not ours."""
    return _CODEC.decode(raw) or Restore()
