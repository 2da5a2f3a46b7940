"""What is told in a cluster: the Interconnection's status and Events, as pure decisions."""

from dataclasses import replace

import pytest

from ovnmesh.model.finding import Finding, Severity
from ovnmesh.model.report import PassReport, SiteState, SiteView
from ovnmesh.providers.kubernetes.events import About, find_news, make_event
from ovnmesh.providers.kubernetes.status import Reading, make_status, same_status

VIEW = SiteView("az1", ("n1", "n2"), ("n1",), ("az2", "az3"), 2, 4)
JOINED = PassReport(SiteState.JOINED, (), view=VIEW, acting=True)
T0, T1 = "2026-01-01T00:00:00Z", "2026-01-01T00:00:09Z"
CONFLICT = Finding("cidr-conflict", "10.16.0.0/16", "10.16.0.0/16 of az2 overlaps ours of az1")


def status(report=JOINED, previous=None, now=T0, generation=1):
    return make_status(report, previous or {}, Reading(generation, "ConfigMap", now))


def conditions(found):
    return {c["type"]: (c["status"], c["reason"]) for c in found["conditions"]}


def reasons(before, after):
    return [news.reason for news in find_news(before, after)]


def test_a_joined_site_is_ready():
    found = status()
    assert conditions(found) == {
        "Ready": ("True", "Joined"),
        "Degraded": ("False", "AsExpected"),
        "Progressing": ("False", "AsExpected"),
    }
    assert found["activeGateway"] == "n1"
    assert (found["peerCount"], found["routes"]["remote"]) == (2, 4)
    assert found["observedGeneration"] == 1


def test_an_unchanged_site_gives_an_equal_status_later():
    first = status()
    assert same_status(status(previous=first, now=T1), first)


def test_a_condition_keeps_the_time_of_its_last_change():
    first = status()
    troubled = status(replace(JOINED, findings=(CONFLICT,)), first, T1)
    times = {c["type"]: c["lastTransitionTime"] for c in troubled["conditions"]}
    assert times == {"Ready": T1, "Degraded": T1, "Progressing": T0}


@pytest.mark.parametrize(
    ("severity", "ready", "degraded"),
    [(Severity.ERROR, "False", "True"), (Severity.WARNING, "True", "True")],
)
def test_findings_degrade_and_errors_are_not_ready(severity, ready, degraded):
    found = conditions(status(replace(JOINED, findings=(replace(CONFLICT, severity=severity),))))
    assert (found["Ready"][0], found["Degraded"][0]) == (ready, degraded)


@pytest.mark.parametrize("state", ["joining", "leaving"])
def test_changes_under_way_are_progressing(state):
    found = conditions(status(replace(JOINED, state=state)))
    assert found["Progressing"][0] == "True"
    assert found["Ready"][0] == "False"


def test_what_could_not_be_seen_is_kept():
    lost = status(PassReport(SiteState.DISCONNECTED, (), acting=True), status())
    assert (lost["activeGateway"], lost["peers"]) == ("n1", ["az2", "az3"])
    assert conditions(lost)["Ready"] == ("False", "Disconnected")


def test_many_findings_are_cut_to_what_the_schema_allows():
    many = tuple(replace(CONFLICT, subject=f"10.{i}.0.0/16") for i in range(80))
    assert len(status(replace(JOINED, findings=many))["findings"]) == 50


def test_joining_leaving_and_coming_back_are_news():
    joined = status()
    idle = status(PassReport(SiteState.IDLE, (), view=SiteView()), joined)
    assert reasons({}, joined) == ["Joined"]
    assert reasons(joined, idle) == ["Left"]
    lost = status(PassReport(SiteState.DISCONNECTED, (), acting=True), joined)
    assert reasons(lost, joined) == ["Recovered"]
    assert reasons(joined, joined) == []


def test_a_gateway_that_lost_its_traffic_is_a_failover_and_a_planned_move_is_not():
    before = status()
    failed = status(replace(JOINED, view=replace(VIEW, active=("n2",))))
    (news,) = find_news(before, failed)
    assert (news.reason, news.warning) == ("Failover", True)
    assert "from n1 to n2" in news.message
    planned = status(replace(JOINED, view=replace(VIEW, gateways=("n2",), active=("n2",))))
    (news,) = find_news(before, planned)
    assert (news.reason, news.warning) == ("GatewayChanged", False)


def test_a_finding_is_told_when_it_comes_and_when_it_goes():
    calm = status()
    troubled = status(replace(JOINED, findings=(CONFLICT,)), calm)
    (news,) = find_news(calm, troubled)
    assert (news.reason, news.message, news.warning) == ("CidrConflict", CONFLICT.message, True)
    assert reasons(troubled, calm) == ["CidrConflictResolved"]
    assert reasons(troubled, status(replace(JOINED, findings=(CONFLICT,)), troubled)) == []


def test_a_new_name_is_news():
    renamed = status(replace(JOINED, view=replace(VIEW, az="prod")))
    assert reasons(status(), renamed) == ["Renamed"]


def test_the_same_news_have_the_same_name_and_fit_the_api():
    about = About("v1", "ConfigMap", "ovn-ic-config", "uid-1", "kube-system")
    long = replace(CONFLICT, message="x" * 5000)
    (news,) = find_news(status(), status(replace(JOINED, findings=(long,))))
    one, other = (make_event(news, about, host, now) for host, now in (("a", T0), ("b", T1)))
    assert one["metadata"] == other["metadata"]
    assert len(one["message"]) == 1024
    assert one["metadata"]["namespace"] == one["involvedObject"]["namespace"] == "kube-system"
    cluster = make_event(news, About("ovnmesh.io/v1", "Interconnection", "default", "u"), "a", T0)
    assert cluster["metadata"]["namespace"] == "default"
    assert "namespace" not in cluster["involvedObject"]
