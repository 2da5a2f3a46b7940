"""Who writes which table: every operation comes from the module that names the table as its own."""

import pkgutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from importlib import import_module
from itertools import combinations
from types import ModuleType

import pytest

from fake_mesh import Mesh, Site, bind, wish
from ovnmesh import ovn_keys as keys
from ovnmesh.model.changes import Batch, Db, Delete, Expect, Insert, MergeKeys, Operation, Plan
from ovnmesh.model.desired import DEFAULT_POLICY
from ovnmesh.model.finding import Code, Finding
from ovnmesh.model.northbound import BfdGroup
from ovnmesh.model.paths import encode_paths
from ovnmesh.model.prefixes import parse_prefix
from ovnmesh.plan import ask, rows
from ovnmesh.plan.ask.gateway import plan_drain, plan_prefer, plan_reset, plan_undrain
from ovnmesh.plan.ask.manual_route import plan_route_add, plan_route_delete
from ovnmesh.plan.ask.transit_switch import (
    plan_switch_add,
    plan_switch_complete,
    plan_switch_drain,
    plan_switch_remove,
    plan_switch_return,
)
from ovnmesh.plan.leave import plan_forget
from ovnmesh.plan.rows.bfd import plan_bfd_removal
from ovnmesh.plan.rows.status_record import plan_status

MAKERS = ("Insert", "Update", "MergeKeys", "Delete", "merge")


def modules(package: ModuleType) -> list[ModuleType]:
    names = (info.name for info in pkgutil.iter_modules(package.__path__))
    return [import_module(f"{package.__name__}.{name}") for name in names]


OWNERS = {
    module.__name__.removeprefix("ovnmesh.plan."): tuple(module.OWNS)
    for module in (*modules(rows), *modules(ask))
    if hasattr(module, "OWNS")
}


def split(entry: str) -> tuple[str, str, str]:
    """Table, column and key of an entry; "[...]" as column for some rows of the table."""
    table, bracket, which = entry.partition("[")
    if bracket:
        return table, "[" + which, ""
    table, _, column = entry.partition(".")
    column, _, key = column.partition(":")
    return table, column, key


def test_every_module_of_rows_says_what_it_owns() -> None:
    assert [module.__name__ for module in modules(rows) if not hasattr(module, "OWNS")] == []


def test_no_two_modules_own_the_same() -> None:
    entries = [(name, split(entry)) for name, own in OWNERS.items() for entry in own]
    for (one, a), (other, b) in combinations(entries, 2):
        if one == other or a[0] != b[0]:
            continue
        assert all((a[1], b[1])), f"{one} or {other} owns all of {a[0]}"
        same = a[1] == b[1] and any(fnmatchcase(*pair) for pair in ((a[2], b[2]), (b[2], a[2])))
        assert not same, f"both {one} and {other} own {a[0]}.{a[1]}:{a[2]}"


@dataclass
class Ledger:
    """Which module made each operation, and which rows each module has written."""

    made: dict[int, tuple[str, object]] = field(default_factory=dict)
    written: dict[tuple[Db, str, str], set[str]] = field(default_factory=dict)
    used: set[tuple[str, str]] = field(default_factory=set)

    def check(self, *batches: Batch | None) -> None:
        for batch in batches:
            for operation in batch.operations if batch is not None else ():
                if not isinstance(operation, Expect):
                    self.check_operation(batch.db, operation)

    def check_operation(self, db: Db, operation: Operation) -> None:
        assert id(operation) in self.made, f"made by no module that owns tables: {operation}"
        owner, _ = self.made[id(operation)]
        cells = [("", "")]
        if isinstance(operation, MergeKeys):
            cells = [(operation.column, key) for key in (*operation.put, *operation.remove)]
        elif not isinstance(operation, Insert | Delete):
            cells = [(column, "") for column in operation.columns]
        for column, key in cells:
            found = [e for e in OWNERS[owner] if covers(split(e), operation.table, column, key)]
            assert found, f"{owner} does not own {operation.table}.{column}:{key}"
            self.used.update((owner, entry) for entry in found)
            if any("[" in entry for entry in found) and not isinstance(operation, Insert):
                row = self.written.setdefault((db, operation.table, operation.uuid), set())
                row.add(owner)
                assert len(row) == 1, f"{row} write one row of {operation.table}"


def covers(entry: tuple[str, str, str], table: str, column: str, key: str) -> bool:
    own_table, own_column, own_key = entry
    if own_table != table:
        return False
    if not own_column or own_column.startswith("["):
        return True
    return own_column == column and (not own_key or fnmatchcase(key, own_key))


@contextmanager
def signatures() -> Iterator[Ledger]:
    """Has every module of rows and ask sign what it makes."""
    found = Ledger()

    def signed(owner: str, maker: object) -> object:
        def make(*args: object, **kwargs: object) -> object:
            made = maker(*args, **kwargs)
            for operation in made if isinstance(made, tuple) else (made,):
                found.made[id(operation)] = (owner, operation)
            return made

        return make

    with pytest.MonkeyPatch.context() as patch:
        for module in (*modules(rows), *modules(ask)):
            name = module.__name__.removeprefix("ovnmesh.plan.")
            for maker in MAKERS if name in OWNERS else ():
                if hasattr(module, maker):
                    patch.setattr(module, maker, signed(name, getattr(module, maker)))
        yield found


@pytest.fixture
def ledger() -> Iterator[Ledger]:
    with signatures() as found:
        yield found


@dataclass
class WatchedSite(Site):
    """A site each of whose plans is checked before it is applied."""

    ledger: Ledger = field(default_factory=Ledger)

    def apply(self, plan: Plan) -> None:
        self.ledger.check(*plan.batches)
        super().apply(plan)

    def ask(self, batch: Batch | None) -> None:
        assert batch is not None
        self.apply(Plan((batch,)))


def test_every_operation_comes_from_the_owner_of_its_table(ledger: Ledger) -> None:
    mesh = Mesh(2)
    site, far = WatchedSite(mesh, ledger=ledger), Site(mesh, subnet="10.17.0.1/16", number=2)
    far.settle(wish("az2"))
    site.settle(wish("az1", "gw", "n1"))
    bind(site, far)
    report_mtu(site)
    site.settle(wish("az1", "gw", "n1"))
    renamed = wish("prod", "n1")
    site.settle(renamed)
    nat_comes_and_goes(site)
    routes_are_left_behind(site)
    gateways_are_asked(site)
    routes_are_asked(site)
    a_switch_comes_and_goes(site, renamed)
    site.ask(plan_status(site.observed.nb, "joined", (Finding(Code.IC_EMPTY, "x", "y"),)))
    fresh = Mesh(2)
    site.mesh = fresh
    site.settle(renamed)
    assert fresh.ic.tables[Db.IC_SB]["Datapath_Binding"]
    site.db.add(Db.SB, "Chassis", name="far", hostname="far", other_config={keys.IS_REMOTE: "true"})
    fresh.route(next(iter(fresh.ic.tables[Db.IC_SB]["Availability_Zone"])), "nonsense")
    site.leave()
    last = WatchedSite(fresh, ledger=ledger)
    last.settle(wish())
    for batch in plan_forget("az1", last.observed.ic):
        last.ask(batch)
    dead = {(owner, e) for owner, own in OWNERS.items() for e in own} - ledger.used
    assert dead - NOT_IN_THE_STORY == set()


#: Options that only newer versions of OVN read, and that this site never had.
NOT_IN_THE_STORY = {("rows.nb_global", f"NB_Global.options:{keys.ROUTE_DENYLIST}")}


def report_mtu(site: Site) -> None:
    for name in ("chassis-gw", "chassis-n1"):
        ids = {keys.TUNNEL_MTU: "1400", keys.PATHS: encode_paths({})}
        site.db.add(Db.SB, "Chassis_Private", name=name, external_ids=ids)


def nat_comes_and_goes(site: WatchedSite) -> None:
    # On one transit switch: with two the router has two gateway ports anyway.
    second = WatchedSite(Mesh(), number=3, ledger=site.ledger)
    second.settle(wish())
    nat = second.db.add_child(
        Db.NB,
        ("Logical_Router", second.router, "nat"),
        "NAT",
        external_ip="198.51.100.7",
        gateway_port=frozenset(),
    )
    second.settle(wish())
    router = second.db.tables[Db.NB]["Logical_Router"][second.router]
    router["nat"] = router["nat"] - {nat}
    second.settle(wish())


def routes_are_left_behind(site: WatchedSite) -> None:
    zone = next(
        uuid
        for uuid, row in site.mesh.ic.tables[Db.IC_SB]["Availability_Zone"].items()
        if row["name"] == "prod"
    )
    site.mesh.route(zone, "10.50.0.0/16", ts="gone")
    for _ in range(2):
        site.db.add_child(
            Db.NB,
            ("Logical_Router", site.router, "static_routes"),
            "Logical_Router_Static_Route",
            ip_prefix="10.60.0.0/16",
            nexthop="169.254.100.9",
            external_ids={keys.LEARNED_ROUTE: "x"},
        )
    site.settle(wish("prod", "n1"))


def gateways_are_asked(site: WatchedSite) -> None:
    two = wish("prod", "n1", "gw")
    site.settle(two)
    bind(site)
    for batch in (
        lambda seen: plan_drain(seen, "n1"),
        lambda seen: plan_undrain(seen, "n1"),
        lambda seen: plan_prefer(seen, "n1", (), DEFAULT_POLICY),
        plan_reset,
    ):
        site.ask(batch(site.observed))
        site.settle(two)


def routes_are_asked(site: WatchedSite) -> None:
    prefix = parse_prefix("10.77.0.0/16")
    site.ask(plan_route_add(site.observed, prefix, "az2"))
    site.settle(wish("prod", "n1"))
    site.ask(plan_route_delete(site.observed, prefix, "az2"))


def a_switch_comes_and_goes(site: WatchedSite, desired: object) -> None:
    def switch() -> object:
        return site.observed.ic.transit_switches["ts9"]

    site.ask(plan_switch_add("ts9", "169.254.109.0/24"))
    site.ask(plan_switch_complete(switch().uuid, "169.254.109.0/24"))
    site.settle(desired)
    site.ask(plan_switch_drain(switch()))
    site.settle(desired)
    site.ask(plan_switch_return(switch()))
    site.settle(desired)
    site.ask(plan_switch_drain(switch()))
    site.settle(desired)
    site.ask(plan_switch_remove(switch(), force=True))
    site.settle(desired)


def test_a_stranger_s_operation_is_caught(ledger: Ledger) -> None:
    site = WatchedSite(Mesh(), ledger=ledger)
    with pytest.raises(AssertionError, match="made by no module"):
        site.ask(Batch(Db.NB, (Delete("Logical_Router", site.router),)))
    plan = plan_bfd_removal(replace(site.observed.nb, bfd=BfdGroup("g")))
    (operation,) = plan
    ledger.made[id(operation)] = ("rows.claims", operation)
    with pytest.raises(AssertionError, match=r"rows\.claims does not own HA_Chassis_Group"):
        site.ask(Batch(Db.NB, plan))
