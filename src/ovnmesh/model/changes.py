"""What a plan is made of: operations on rows, grouped into one transaction per database.

Made by `plan.rows` and `plan.ask`, applied by `ovsdb.applier` (and by the fakes of the tests).
Operations name rows by UUID and change as little as possible: map keys and set members are
mutated, so that a rival's keys survive (RFC 7047, section 5.2.4). Must not touch a database.
"""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

from ovnmesh.model.finding import Finding
from ovnmesh.model.pending import Waits
from ovnmesh.model.report import SiteState
from ovnmesh.model.rows import Atom


class Db(enum.Enum):
    """The databases of interconnection, by schema name."""

    NB = "OVN_Northbound"
    SB = "OVN_Southbound"
    IC_NB = "OVN_IC_Northbound"
    IC_SB = "OVN_IC_Southbound"
    VSWITCH = "Open_vSwitch"


@dataclass(frozen=True, slots=True)
class Uuid:
    """A reference to an existing row."""

    value: str


@dataclass(frozen=True, slots=True)
class Named:
    """A reference to a row inserted in the same transaction (RFC 7047, named-uuid)."""

    name: str


Reference = Uuid | Named
Item = Atom | Reference
Content = Item | frozenset[Item] | Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Parent:
    """The row whose set column holds a reference to a non-root row.

    Attributes:
        row: None for whichever row holds it; only to delete.
    """

    table: str
    row: Reference | None
    column: str


@dataclass(frozen=True, slots=True)
class Insert:
    """Insert a row, and put a reference to it into its parent if it has one."""

    table: str
    columns: Mapping[str, Content]
    name: str
    parent: Parent | None = None


@dataclass(frozen=True, slots=True)
class Update:
    """Overwrite whole columns of one row: only for columns that are ours alone."""

    table: str
    uuid: str
    columns: Mapping[str, Content]


@dataclass(frozen=True, slots=True)
class MergeKeys:
    """Set and remove keys of a map column, leaving all other keys alone."""

    table: str
    uuid: str
    column: str
    put: Mapping[str, str] = field(default_factory=dict)
    remove: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Delete:
    """Delete a row; for a non-root row, remove the reference its parent holds."""

    table: str
    uuid: str
    parent: Parent | None = None


@dataclass(frozen=True, slots=True)
class Expect:
    """The transaction is refused unless the column still holds this value (compare-and-swap)."""

    table: str
    uuid: str
    column: str
    value: Content


Operation = Insert | Update | MergeKeys | Delete | Expect


@dataclass(frozen=True, slots=True)
class Batch:
    """One transaction on one database."""

    db: Db
    operations: tuple[Operation, ...]
    why: str = ""


def symbol(text: str) -> str:
    """A uuid-name from any text: a C-like identifier (RFC 7047, section 3.1, <id>)."""
    return "".join(c if c.isascii() and c.isalnum() else "_" for c in text)


def merge(
    table: str,
    uuid: str,
    column: str,
    seen: Mapping[str, str],
    wanted: Mapping[str, str],
    gone: frozenset[str] = frozenset(),
) -> tuple[Operation, ...]:
    """The smallest change of a map column that gives the wanted keys."""
    put = {key: value for key, value in wanted.items() if seen.get(key) != value}
    remove = frozenset(key for key in gone if key in seen)
    return (MergeKeys(table, uuid, column, put, remove),) if put or remove else ()


@dataclass(frozen=True, slots=True)
class Plan:
    """What one pass wants done.

    Attributes:
        batches: transactions, in order; empty if the site is as it should be.
        findings: what is worth telling.
        run_ovn_ic: whether ovn-ic should run.
        pause_ovn_ic: stop ovn-ic while the batches are applied (it cannot follow a rename, and may
            be adding routes without end).
        refused: nothing may be done until somebody acts; the last good state stays.
        leaving: the site is on its way out.
        waiting: transit switches that ovn-ic has yet to make here, or to give our port its tunnel
            key on, before we can connect.
        pending: conditions that count once they have held for some seconds, by name: plan again
            then.
    """

    batches: tuple[Batch, ...] = ()
    findings: tuple[Finding, ...] = ()
    run_ovn_ic: bool = True
    pause_ovn_ic: bool = False
    refused: bool = False
    leaving: bool = False
    waiting: tuple[str, ...] = ()
    pending: Waits = field(default_factory=dict)

    @property
    def settled(self) -> bool:
        """Whether nothing is left to be done here, nor by ovn-ic."""
        return not self.batches and not self.waiting

    @property
    def state(self) -> SiteState:
        """Where the site stands."""
        if self.refused:
            return SiteState.REFUSED
        if self.leaving:
            return SiteState.LEAVING
        return SiteState.JOINED if self.settled else SiteState.JOINING
