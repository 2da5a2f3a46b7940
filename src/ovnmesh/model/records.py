"""One way for all records of ours: a typed value as compact, stable JSON, and back.

Records live in columns of OVN's databases, where anybody may write and where a newer or an older
ovnmesh may have written. So text that is missing, broken or of another shape is read as None and
never as an error; keys that are not known are passed over. Pure. Must not know any record.
"""

import json
from typing import Generic, TypeVar

import msgspec

_T = TypeVar("_T")

# Sorted, so that a value that has not changed is the same text, and nothing is written.
_ENCODER = msgspec.json.Encoder(order="sorted")


class Codec(Generic[_T]):
    """The text of one type of record.

    Made when its module is imported, not when it is used: msgspec 0.22 crashes the process if two
    threads meet a type for the first time at once.

    Args:
        kind: the type: a dataclass or a `msgspec.Struct`, or a container of such.
    """

    def __init__(self, kind: type[_T]) -> None:
        self._decoder = msgspec.json.Decoder(kind)

    def encode(self, value: _T) -> str:
        """The value as JSON."""
        try:
            return _ENCODER.encode(value).decode()
        except UnicodeEncodeError:
            # Half a character, as the name of a file may have; a database would refuse it.
            plain = json.dumps(
                msgspec.to_builtins(value, order="sorted"),
                ensure_ascii=False,
                separators=(",", ":"),
            )
            return plain.encode(errors="replace").decode()

    def decode(self, raw: str) -> _T | None:
        """The value that `encode` wrote; None if the text is missing or not such a value."""
        try:
            return self._decoder.decode(raw)
        except (ValueError, RecursionError):
            return None
