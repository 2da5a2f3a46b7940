"""When ovn-ic is started anew for the sake of a cluster's leaders: as seldom as possible."""

import os
import socket
from ipaddress import ip_address

import pytest

from ovnmesh.host.connections import listeners, tcp_peers
from ovnmesh.model.remote import endpoint_of
from ovnmesh.ovsdb.leadership import (
    FIRST_PATIENCE_S,
    GRACE_S,
    Decision,
    decide,
    leader_of,
    methods_to_use,
)
from ovnmesh.ovsdb.members import Member

ONE, TWO, THREE = "tcp:192.0.2.1:6646", "tcp:192.0.2.2:6646", "tcp:192.0.2.3:6646"
NB = Member("tcp:192.0.2.1:6645", True, 5.0)
SB = Member(TWO, True, 100.0)
BOTH = (NB, SB)


def after(seconds: float, connected: set[str], started: float = 0.0) -> Decision:
    return decide(100.0 + seconds, BOTH, connected, started, FIRST_PATIENCE_S)


def test_connected_to_both_leaders_is_well() -> None:
    assert after(60, {NB.method, TWO, THREE}) == Decision()


def test_it_has_a_moment_to_find_a_new_leader_by_itself() -> None:
    assert after(0.0, {NB.method}) == Decision(look_again_s=pytest.approx(GRACE_S))
    assert after(GRACE_S, {NB.method}) == Decision(restart=True)


def test_a_connection_to_a_follower_is_none_to_the_leader() -> None:
    assert after(1, {NB.method, ONE}).restart


@pytest.mark.parametrize("leaders", [(None, SB), (NB, None), (None, None)])
def test_nothing_is_done_while_a_leader_is_being_elected(leaders) -> None:
    assert decide(200.0, leaders, set(), 0.0, FIRST_PATIENCE_S) == Decision()


def test_a_process_just_started_is_given_time_to_connect() -> None:
    assert after(1, set(), started=100.5) == Decision(look_again_s=pytest.approx(0.5))
    assert after(1.6, set(), started=100.5).restart


def test_the_last_to_say_that_it_leads_leads() -> None:
    """A leader whose cable is cut never says that it has stopped."""
    silent = Member(ONE, True, 10.0)
    assert leader_of([silent, Member(TWO, True, 20.0), Member(THREE, True)]).method == TWO
    assert leader_of([silent, Member(TWO, True), Member(THREE)]) == silent
    assert leader_of([Member(ONE, True)]) is None


def test_members_that_do_not_answer_are_left_out_unless_none_does() -> None:
    members = [Member(ONE), Member(TWO, True, 1.0), Member(THREE, True)]
    assert methods_to_use(members) == (TWO, THREE)
    assert methods_to_use([Member(ONE), Member(TWO)]) == (ONE, TWO)
    assert methods_to_use([]) == ()


def test_a_leader_replaced_without_a_word_is_left_out() -> None:
    """It may accept connections and say nothing (seen: 20 s without propagation)."""
    members = [Member(ONE, True, 10.0), Member(TWO, True, 20.0), Member(THREE, True)]
    assert methods_to_use(members) == (TWO, THREE)
    assert methods_to_use(members, leader_only=True) == (TWO,)
    assert methods_to_use([Member(ONE, True)], leader_only=True) == (ONE,)


@pytest.mark.parametrize(
    ("family", "host"),
    [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1"), (socket.AF_INET6, "mapped")],
)
def test_the_kernel_says_where_a_process_is_connected(family, host) -> None:
    listener = socket.socket(family)
    listener.bind(("::" if host == "mapped" else host, 0))
    listener.listen()
    port = listener.getsockname()[1]
    address = "127.0.0.1" if host == "mapped" else host
    expected = (ip_address(address), port)
    assert expected not in tcp_peers(os.getpid())
    target = "::ffff:127.0.0.1" if host == "mapped" else host
    with socket.socket(family) as client:
        client.connect((target, port))
        assert expected in tcp_peers(os.getpid())
        shown = f"[{address}]" if ":" in address else address
        assert endpoint_of(f"tcp:{shown}:{port}") == expected
    listener.close()


def test_the_kernel_says_who_listens() -> None:
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as listener:
        port = listener.getsockname()[1]
        assert listeners(port) == (os.getpid(),)
        with socket.create_connection(("::1", port)) as client:
            assert listeners(client.getsockname()[1]) == ()
    assert listeners(port) == ()


def test_a_process_that_is_gone_is_connected_to_nothing() -> None:
    assert tcp_peers(2**22 + 1) == frozenset()


@pytest.mark.parametrize("method", ["unix:/run/ovn/ic.sock", "tcp:somewhere:1", "nonsense"])
def test_methods_without_an_address_have_no_endpoint(method) -> None:
    assert endpoint_of(method) is None
