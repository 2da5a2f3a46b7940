"""After every event our connections are as idle as before it, and while a fault lasts, too.

Real here: ovsdb-servers, RAFT clusters of them, and a process of the controller. No data path.
"""

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from ic_cluster import DATABASES, HOSTS, IcCluster
from idleness import Idleness, no_thread_spins
from ovnmesh.errors import OvsdbUnavailable
from ovnmesh.model.changes import Batch, Db, Insert
from ovnmesh.model.remote import parse_remote
from ovnmesh.ovsdb.database import Database, fetch_schema
from ovnmesh.ovsdb.links import Links
from ovnmesh.ovsdb.members import Members
from ovnmesh.ovsdb.schema import View, northbound
from ovnmesh.providers.openstack.row_events import NeutronEvents
from servers import Server, wait_for
from site_harness import connected

VIEW = View(Db.IC_SB, {"Availability_Zone": ("name",)})
#: Seconds for two elections.
ELECTION_S = 5.0
#: Nobody answers there, and no connection is refused (RFC 5737).
NOBODY = "tcp:192.0.2.1:6641"
REFUSED = "tcp:127.0.0.1:1"


@pytest.fixture
def cluster(tmp_path) -> Iterator[IcCluster]:
    made = IcCluster(tmp_path / "ic")
    yield made
    made.stop()


@pytest.fixture
def nb(server) -> Server:
    return server(Db.NB)


@pytest.fixture
def database(nb) -> Iterator[Database]:
    made = Database(parse_remote(nb.remote), northbound("ovn-cluster"))
    made.connect()
    yield made
    made.close()


def ask_for(database: Database, *names: str) -> None:
    """Ask for these switches, as the controller does on every pass."""
    database.set_conditions({"Logical_Switch": tuple(("name", "==", name) for name in names)})


def elsewhere(cluster: IcCluster, host: str) -> Callable[[], bool]:
    return lambda: cluster.leader(Db.IC_SB) not in ("", host)


def kill(cluster: IcCluster, host: str) -> None:
    cluster.kill(Db.IC_SB, host)


def hand_over(cluster: IcCluster, host: str) -> None:
    cluster.hand_over(Db.IC_SB, host)
    with suppress(subprocess.CalledProcessError):  # at a write, which may be lost
        cluster.ctl("sb", "set", "IC_SB_Global", ".", "options:a=b")


@pytest.mark.parametrize("event", [kill, hand_over, IcCluster.suspend])
def test_connection_that_follows_an_election(cluster: IcCluster, event) -> None:
    remote = cluster.remote(Db.IC_SB)
    database, members = (
        Database(parse_remote(remote), VIEW),
        Members({Db.IC_SB: parse_remote(remote)}, lambda: None),
    )
    database.connect()
    idle = Idleness.of()
    host = cluster.leader(Db.IC_SB)
    cluster.suspend(Db.IC_SB, host) if event is IcCluster.suspend else event(cluster, host)
    wait_for(elsewhere(cluster, host), ELECTION_S)
    leader = cluster.remote(Db.IC_SB, [cluster.leader(Db.IC_SB)])
    wait_for(lambda: database.follow(leader) and database.connected, ELECTION_S)
    idle.again()
    if event is IcCluster.suspend:
        cluster.resume(Db.IC_SB, host)
    elif event is kill:
        cluster.start(Db.IC_SB, host)
    wait_for(lambda: cluster.connected(Db.IC_SB) == set(HOSTS), ELECTION_S)
    idle.again()
    assert database.connected
    database.close()
    members.close()


def test_server_away_and_back(database: Database, nb: Server) -> None:
    ask_for(database, "ts")
    wait_for(database.settled)
    idle = Idleness.of()
    nb.stop(kill=True)
    wait_for(lambda: not database.connected)
    idle.again()
    ask_for(database, "ts", "ts1")  # cannot be sent now
    database.follow(nb.remote)
    idle.again()
    nb.start()
    wait_for(lambda: database.connected and database.settled())
    idle.again()


def test_server_suspended_with_questions_on_their_way(database: Database, nb: Server) -> None:
    ask_for(database, "ts")
    wait_for(database.settled)
    idle = Idleness.of()
    nb.signal(signal.SIGSTOP)
    ask_for(database, "ts", "ts1")
    time.sleep(0.2)  # sent by now; the next one waits for its answer
    ask_for(database, "ts2")
    idle.again()
    nb.signal(signal.SIGCONT)
    wait_for(database.settled)
    idle.again()


def test_closed_while_the_server_hangs(database: Database, nb: Server, monkeypatch) -> None:
    monkeypatch.setattr("ovnmesh.ovsdb.database.TIMEOUT_S", 0.5)
    idle = Idleness.of()
    other = Database(parse_remote(nb.remote), northbound("ovn-cluster"))
    other.connect()
    other._link.timeout = 0.5
    nb.signal(signal.SIGSTOP)
    switch = Insert("Logical_Switch", {"name": "ts"}, "ls")
    for _ in range(2):  # the first is sent, the second stays in the queue
        with pytest.raises(OvsdbUnavailable):
            other.apply(Batch(Db.NB, (switch,)))
    began = time.monotonic()
    other.close()
    assert time.monotonic() - began < 2
    nb.signal(signal.SIGCONT)
    idle.again()


def test_connecting_to_a_server_that_hangs_costs_nothing_and_ends(nb: Server) -> None:
    idle = Idleness.of()
    nb.signal(signal.SIGSTOP)
    links = Links([Database(parse_remote(nb.remote), northbound("ovn-cluster"))], lambda: None)
    time.sleep(0.2)
    no_thread_spins()
    links.close()
    idle.again()
    nb.signal(signal.SIGCONT)


def test_server_lost_between_schema_and_rows(nb: Server, monkeypatch) -> None:
    schema = fetch_schema(parse_remote(nb.remote), Db.NB)
    monkeypatch.setattr("ovnmesh.ovsdb.database.fetch_schema", lambda *_: schema)
    idle = Idleness.of()
    used = time.thread_time()
    with pytest.raises(OvsdbUnavailable, match="no content within 5 s"):
        Database(parse_remote(REFUSED), northbound("ovn-cluster")).connect()
    assert time.thread_time() - used < 0.25  # of 5 s
    idle.again()


@pytest.mark.parametrize("remote", [NOBODY, REFUSED, f"{REFUSED},{NOBODY}"])
def test_address_of_nobody_and_closed_while_connecting(remote: str) -> None:
    idle = Idleness.of()
    links = Links([Database(parse_remote(remote), VIEW)], lambda: None)
    members = Members({Db.IC_SB: parse_remote(remote)}, lambda: None)
    no_thread_spins()
    links.close()
    members.close()
    idle.again()


def test_closed_while_away_and_opened_again(database: Database, nb: Server) -> None:
    idle = Idleness.of()
    other = Database(parse_remote(nb.remote), northbound("ovn-cluster"))
    for _ in range(2):
        other.connect()
        ask_for(other, "ts")
        other.close()
    other.connect()
    nb.stop(kill=True)
    wait_for(lambda: not other.connected)
    ask_for(other, "ts")
    other.close()
    idle.again()


@pytest.fixture
def events(nb: Server) -> Iterator[NeutronEvents]:
    """Watches the rows of Neutron's routers in a thread of its own."""
    stop, made = threading.Event(), NeutronEvents(parse_remote(nb.remote))
    thread = threading.Thread(target=made.watch, args=(lambda: None, stop))
    thread.start()
    yield made
    stop.set()
    thread.join()


def test_watched_routers_of_neutron(events: NeutronEvents, nb: Server) -> None:
    wait_for(lambda: events._database is not None and events._database.connected)
    idle = Idleness.of()
    events.follow(["neutron-r1"])
    idle.again()
    nb.signal(signal.SIGSTOP)
    events.follow(["neutron-r2"])
    time.sleep(0.2)  # sent by now; the next one waits for its answer
    events.follow(["neutron-r3"])
    idle.again()
    nb.signal(signal.SIGCONT)
    nb.stop(kill=True)
    events.follow(["neutron-r4"])
    idle.again()
    nb.start()
    wait_for(lambda: events._database.connected)
    idle.again()


@pytest.fixture
def ic(cluster: IcCluster) -> IcCluster:
    """What the sites of this file connect to."""
    return cluster


@pytest.fixture
def controller(pair, ic) -> Iterator[int]:
    """Pid of a controller in a process of its own, for the first of two sites that are joined."""
    one, two = pair
    one.stop_controllers()
    words = [sys.executable, "-m", "ovnmesh", "controller", f"--config={one.manifests}"]
    words += [f"--nb={one.nb.remote}", f"--sb={one.sb.remote}", f"--run-dir={one.run_dir}"]
    with (one.folder / "controller.log").open("wb") as log:
        process = subprocess.Popen(words, stdout=log, stderr=log)
    wait_for(lambda: (one.run_dir / "ovn-ic.pid").exists(), 20)
    connected(one, two)
    yield process.pid
    process.terminate()
    assert process.wait(10) == 0


@pytest.mark.parametrize("event", ["election", "restart"])
def test_controller_after_the_interconnection_databases(pair, ic, controller, event) -> None:
    one, two = pair
    idle = Idleness.of(controller)
    for db in DATABASES:
        lost = [ic.leader(db)] if event == "election" else HOSTS
        for host in lost:
            ic.kill(db, host)
        if event == "restart":
            idle.again()
        for host in lost:
            ic.start(db, host)
        wait_for(lambda db=db: ic.leader(db) and ic.connected(db) == set(HOSTS), ELECTION_S)
    one.subnet("late", "10.150.0.1/16")
    wait_for(lambda: "10.150.0.0/16" in two.routes(), 20)
    idle.again()
    log = (one.folder / "controller.log").read_text()
    assert "following the leader" in log
