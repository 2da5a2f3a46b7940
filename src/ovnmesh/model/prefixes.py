"""IP prefixes as integer intervals, cheap enough for ten thousand routes a pass.

Called by readers and planners. Must not decide who wins an overlap.
"""

import ipaddress
from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Generic, TypeVar

from ovnmesh.model.addresses import Address, Network


@dataclass(frozen=True, slots=True, order=True)
class Prefix:
    """An IP prefix; sorts so that a prefix comes right before those it contains.

    Attributes:
        version: 4 or 6.
        first: first address as an integer.
        length: prefix length in bits.
    """

    version: int
    first: int
    length: int

    @property
    def last(self) -> int:
        """Last address as an integer."""
        bits = 32 if self.version == 4 else 128
        return int(self.first | ((1 << (bits - self.length)) - 1))

    def contains(self, other: "Prefix") -> bool:
        """Whether `other` lies within this prefix (equal counts)."""
        return (
            self.version == other.version
            and self.length <= other.length
            and self.first <= other.first <= self.last
        )

    def holds(self, address: Address) -> bool:
        """Whether an address lies within this prefix."""
        return self.version == address.version and self.first <= int(address) <= self.last

    def widened(self, length: int) -> "Prefix":
        """The prefix of that length, no longer than this one, that contains this one."""
        host_bits = (32 if self.version == 4 else 128) - length
        return Prefix(self.version, self.first >> host_bits << host_bits, length)

    def overlaps(self, other: "Prefix") -> bool:
        """Whether the two share any address; prefixes nest or are disjoint."""
        return self.contains(other) or other.contains(self)

    def __str__(self) -> str:
        if self.version == 4:
            return f"{ipaddress.IPv4Address(self.first)}/{self.length}"
        return f"{ipaddress.IPv6Address(self.first)}/{self.length}"


@lru_cache(maxsize=65536)
def parse_prefix(text: str) -> Prefix:
    """Parse ``10.16.0.1/16`` or ``10.16.0.1`` (host bits are dropped, as ovn-ic does).

    Raises:
        ValueError: not an address or prefix.
    """
    network = ipaddress.ip_network(text, strict=False)
    return Prefix(network.version, int(network.network_address), network.prefixlen)


def try_parse_prefix(text: str) -> Prefix | None:
    """Like `parse_prefix`, but None for anything that is not a prefix."""
    try:
        return parse_prefix(text)
    except ValueError:
        return None


def from_network(network: Network) -> Prefix:
    """The prefix of an `ipaddress` network."""
    return Prefix(network.version, int(network.network_address), network.prefixlen)


def from_address(address: Address) -> Prefix:
    """The host prefix of an address."""
    return Prefix(address.version, int(address), address.max_prefixlen)


def minimal(prefixes: Iterable[Prefix]) -> tuple[Prefix, ...]:
    """The prefixes without those that another one contains, in a stable order."""
    kept: list[Prefix] = []
    for prefix in sorted(set(prefixes)):
        if not (kept and kept[-1].contains(prefix)):
            kept.append(prefix)
    return tuple(kept)


def is_link_local(prefix: Prefix) -> bool:
    """Whether a prefix lies in 169.254.0.0/16 (RFC 3927) or fe80::/10 (RFC 4291)."""
    return any(block.contains(prefix) for block in LINK_LOCAL)


LINK_LOCAL = (parse_prefix("169.254.0.0/16"), parse_prefix("fe80::/10"))

OwnerT = TypeVar("OwnerT", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Owned(Generic[OwnerT]):
    """A prefix and whose it is."""

    prefix: Prefix
    owner: OwnerT


def overlapping_pairs(
    items: Iterable[Owned[OwnerT]],
) -> Iterator[tuple[Owned[OwnerT], Owned[OwnerT]]]:
    """Every pair of overlapping prefixes with different owners, the wider (or first) one first.

    Sorted order puts containers before their content, so one stack finds all pairs in
    O(n log n + pairs).
    """
    stack: list[Owned[OwnerT]] = []
    for item in sorted(items, key=lambda owned: (owned.prefix, repr(owned.owner))):
        while stack and not stack[-1].prefix.contains(item.prefix):
            stack.pop()
        for outer in stack:
            if outer.owner != item.owner:
                yield outer, item
        stack.append(item)
