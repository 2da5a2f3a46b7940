"""Controllers configured by a (fake) Kubernetes API, with real databases, northd and ovn-ic."""

import copy
import time
from collections.abc import Iterator

import pytest
import yaml
from deploy_manifests import Rule, rules

from fake_kubernetes import FakeKubernetes
from ovnmesh.providers.kubernetes.provider import KubernetesProvider
from ovnmesh.providers.kubernetes.publisher import SETTLE_S
from servers import wait_for, wait_quiet
from site_harness import CONFIG, SiteUnderTest, connected

LABEL = "ovn.kubernetes.io/ic-gw"


class Cluster:
    """A site with an API of its own."""

    def __init__(self, site: SiteUnderTest) -> None:
        self.site = site
        self.api = FakeKubernetes()
        self.providers: list[KubernetesProvider] = []
        for host, node in enumerate(("gw", "n1")):
            self.node(f"az{site.number}-{node}", f"192.168.{site.number}.{10 + host}")

    def node(self, name: str, address: str) -> None:
        status = {"addresses": [{"type": "InternalIP", "address": address}]}
        self.api.put(
            {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}, "status": status}
        )

    def control(self) -> KubernetesProvider:
        path = self.site.folder / f"kubeconfig-{len(self.providers)}"
        provider = KubernetesProvider(self.api.kubeconfig(path))
        self.providers.append(provider)
        self.site.control(provider)
        return provider

    def config_map(self, **changes: object) -> dict:
        number = self.site.number
        values = {
            "enable": "true",
            "az": f"az{number}",
            "gw": f"az{number}-gw",
            "auto": "true",
            **self.site.ic.ports,
            **changes,
        }
        return yaml.safe_load(CONFIG.format(**values))

    def configure(self, **changes: object) -> None:
        self.api.put(self.config_map(**changes))

    def spec(self, **changes: object) -> None:
        number = self.site.number
        spec = {
            "azName": f"az{number}",
            "icDBHosts": ["127.0.0.1"],
            "icNBPort": int(self.site.ic.ports["nb"]),
            "icSBPort": int(self.site.ic.ports["sb"]),
            "gatewayNodes": [f"az{number}-gw"],
            **changes,
        }
        metadata = {"name": "default"}
        self.api.put(
            {
                "apiVersion": "ovnmesh.io/v1",
                "kind": "Interconnection",
                "metadata": metadata,
                "spec": spec,
            }
        )

    def status(self) -> dict:
        found = self.api.get("Interconnection", "default")
        return (found or {}).get("status") or {}

    def condition(self, kind: str) -> str:
        return next(
            (c["status"] for c in self.status().get("conditions", ()) if c["type"] == kind), ""
        )

    def label(self, node: str) -> str | None:
        metadata = self.api.get("Node", node)["metadata"]
        return metadata.get("labels", {}).get(LABEL)

    def reasons(self, namespace: str = "kube-system") -> list[str]:
        return [event["reason"] for event in self.api.events(namespace)]


@pytest.fixture
def clusters(sites) -> Iterator[tuple[Cluster, Cluster]]:
    made = Cluster(sites(1)), Cluster(sites(2))
    try:
        yield made
    finally:
        # Controllers end before their APIs do.
        for cluster in made:
            cluster.site.stop()
            cluster.api.close()


@pytest.fixture
def joined(clusters) -> tuple[Cluster, Cluster]:
    for cluster in clusters:
        cluster.configure()
        cluster.control()
        cluster.site.mark(f"az{cluster.site.number}-gw")
    one, two = clusters
    connected(one.site, two.site)
    wait_for(lambda: one.condition("Ready") == two.condition("Ready") == "True", 10, "ready")
    # What is written one after the other, label, condition and Event, is all there.
    for cluster in clusters:
        wait_for(lambda c=cluster: "Joined" in c.reasons(), 10, "told")
        wait_for(lambda c=cluster: c.label(f"az{c.site.number}-gw") == "true", 10, "labelled")
    return one, two


def test_apply_of_the_config_map_connects_and_tells(joined) -> None:
    one, _ = joined
    wait_for(lambda: one.status()["peers"] == ["az2"], 5, "peers told")
    status = one.status()
    assert (status["availabilityZone"], status["enabled"], status["state"]) == (
        "az1",
        True,
        "joined",
    )
    assert status["source"] == "ConfigMap"
    wait_for(lambda: one.status()["routes"]["remote"] == 2, 5, "routes told")
    assert one.label("az1-gw") == "true"
    assert one.label("az1-n1") is None
    about = one.api.events()[0]["involvedObject"]
    assert (about["kind"], about["name"]) == ("ConfigMap", "ovn-ic-config")


def test_objects_of_users_carry_no_mark_of_ours(joined) -> None:
    one, _ = joined
    found = one.api.get("ConfigMap", "ovn-ic-config", "kube-system")
    assert set(found["metadata"]) == {
        "name",
        "namespace",
        "uid",
        "generation",
        "resourceVersion",
    }
    node = one.api.get("Node", "az1-gw")
    assert node["metadata"]["labels"] == {LABEL: "true"}
    assert not {"annotations", "finalizers"} & set(node["metadata"])


def test_a_healthy_site_writes_nothing_to_the_api(joined) -> None:
    one, _ = joined
    wait_for(lambda: one.status()["routes"] == {"advertised": 2, "remote": 2}, 5, "settled")
    one.site.settle()
    wait_quiet(lambda: len(one.api.store.calls))
    calls = len(one.api.store.calls)
    one.site.passed()
    time.sleep(1.0)
    assert one.api.store.calls[calls:] == []


def test_bad_input_is_told_and_harms_nothing(joined) -> None:
    one, two = joined
    one.configure(auto="yes")
    wait_for(lambda: one.condition("Degraded") == "True", 5, "degraded")
    wait_for(lambda: "ConfigInvalid" in one.reasons(), 5, "event")
    event = next(e for e in one.api.events() if e["reason"] == "ConfigInvalid")
    assert 'found "yes"' in event["message"]
    assert event["type"] == "Warning"
    assert one.condition("Ready") == "False"
    connected(one.site, two.site)
    one.configure()
    wait_for(lambda: one.condition("Ready") == "True", 5, "ready again")
    wait_for(lambda: "ConfigInvalidResolved" in one.reasons(), 5, "resolved")


def test_an_unknown_gateway_is_told_once(joined) -> None:
    one, _ = joined
    one.configure(gw="az1-gw,nowhere")
    wait_for(lambda: "ConfigInvalid" in one.reasons(), 5, "event")
    one.site.passed()
    one.configure(gw="az1-gw,nowhere", auto="true")
    one.site.passed()
    wait_quiet(lambda: len(one.api.store.calls))
    event = next(e for e in one.api.events() if e["reason"] == "ConfigInvalid")
    assert "nowhere" in event["message"]
    assert event["count"] == 1


def test_a_taken_az_name_is_refused_with_the_owner_named(joined) -> None:
    one, two = joined
    two.configure(az="az1")
    wait_for(lambda: two.status().get("state") == "refused", 5, "refused")
    wait_for(lambda: "AzNameTaken" in two.reasons(), 5, "event")
    assert two.condition("Ready") == "False"
    connected_routes = one.site.routes()
    assert "10.17.0.0/16" in connected_routes


def test_a_changed_gateway_moves_label_and_column(joined) -> None:
    one, _ = joined
    one.configure(gw="az1-n1")
    one.site.mark("az1-n1")
    wait_for(lambda: one.label("az1-n1") == "true", 5, "new gateway labelled")
    wait_for(lambda: one.label("az1-gw") == "false", 5, "old gateway unlabelled")
    wait_for(lambda: one.status()["gateways"] == ["az1-n1"], 5, "told")


def test_leaving_unlabels_and_says_so(joined) -> None:
    one, _ = joined
    one.configure(enable="false")
    one.site.mark("az1-gw", "false")
    wait_for(lambda: one.status().get("state") == "idle", 10, "left")
    wait_for(lambda: one.label("az1-gw") == "false", 5, "unlabelled")
    wait_for(lambda: "Left" in one.reasons(), 5, "event")
    assert one.status()["enabled"] is False


def test_a_deleted_config_map_is_not_leaving(joined) -> None:
    one, two = joined
    one.api.delete(one.config_map())
    wait_for(lambda: one.condition("Degraded") == "True", 5, "degraded")
    # No ConfigMap to attach it to: it is told about the Interconnection.
    wait_for(lambda: "ConfigMissing" in one.reasons("default"), 5, "event")
    connected_routes = one.site.routes(), two.site.routes()
    assert "10.17.0.0/16" in connected_routes[0]
    assert "10.16.0.0/16" in connected_routes[1]
    assert one.label("az1-gw") == "true"


def test_configured_by_the_typed_resource(clusters) -> None:
    one, two = clusters
    for cluster in clusters:
        cluster.spec()
        cluster.control()
        cluster.site.mark(f"az{cluster.site.number}-gw")
    connected(one.site, two.site)
    wait_for(lambda: one.condition("Ready") == "True", 10, "ready")
    assert one.status()["source"] == "Interconnection"
    one.spec(autoRoute=False)
    wait_for(lambda: one.status()["observedGeneration"] == 2, 5, "generation seen")
    wait_for(lambda: "learned" not in one.site.routes(), 5, "routes gone")


def test_both_forms_equal_are_fine_and_different_ones_are_an_error(joined) -> None:
    one, two = joined
    one.spec()
    wait_for(lambda: one.status().get("observedGeneration", 0) >= 1, 5, "read")
    one.spec(autoRoute=False)
    wait_for(lambda: one.condition("Degraded") == "True", 5, "degraded")
    wait_for(lambda: "ConfigInvalid" in one.reasons(), 5, "event")
    event = next(e for e in one.api.events() if e["reason"] == "ConfigInvalid")
    assert "auto-route 'true' here and 'false' there" in event["message"]
    assert "10.17.0.0/16" in one.site.routes()
    connected(one.site, two.site)


def test_an_api_that_is_away_changes_nothing_and_is_caught_up_with(joined) -> None:
    one, two = joined
    one.api.stop()
    wait_for(lambda: "config-unreadable" in one.site.codes(), 10, "noticed")
    assert "10.17.0.0/16" in one.site.routes()
    two.site.subnet("extra", "10.55.0.1/16")
    wait_for(lambda: "10.55.0.0/16" in one.site.routes(), 10, "routes go on")
    missed = one.config_map(auto="false")
    one.api.put(missed)
    one.api.forget()
    one.api.start()
    wait_for(lambda: "learned" not in one.site.routes(), 15, "the missed change is taken")
    wait_for(lambda: one.condition("Ready") == "True", 10, "told again")


def test_the_standby_is_silent_and_takes_over(joined) -> None:
    one, _ = joined
    one.control()
    wait_for(lambda: any(r.state == "standby" for r in one.site.reports), 10, "standby")
    wait_quiet(lambda: len(one.api.store.calls))
    events = copy.deepcopy(one.api.events())
    acting, thread = one.site.controllers.pop(0)
    acting.stop()
    thread.join(10)
    one.configure(auto="false")
    wait_for(lambda: "learned" not in one.site.routes(), 10, "the other acts")
    wait_for(lambda: one.condition("Ready") == "True", 10, "and tells")
    assert one.api.events() == events, "what was told is not told again"


def test_a_controller_that_begins_tells_nothing_before_it_has_read(joined) -> None:
    one, _ = joined
    wait_for(lambda: one.status()["routes"] == {"advertised": 2, "remote": 2}, 5, "settled")
    one.site.stop_controllers()
    status, events = one.status(), copy.deepcopy(one.api.events())
    one.api.store.hung = True
    one.site.reports.clear()
    one.control()
    wait_for(lambda: one.site.reports and one.site.reports[-1].acting, 10, "acts by its record")
    time.sleep(2 * SETTLE_S)
    one.api.store.hung = False
    wait_for(lambda: one.site.reports[-1].input_ok, 10, "has read")
    time.sleep(2 * SETTLE_S)
    assert (one.status(), one.api.events()) == (status, events)


def test_an_interconnection_deleted_by_hand_comes_back(joined) -> None:
    one, _ = joined
    one.api.delete({"kind": "Interconnection", "metadata": {"name": "default"}})
    wait_for(lambda: one.condition("Ready") == "True", 5, "made again")


def test_without_the_crd_everything_else_works(clusters) -> None:
    one, two = clusters
    one.api.undeclare("ovnmesh.io/v1/interconnections")
    for cluster in clusters:
        cluster.configure()
        cluster.control()
        cluster.site.mark(f"az{cluster.site.number}-gw")
    connected(one.site, two.site)
    wait_for(lambda: "Joined" in one.reasons(), 10, "event")
    wait_for(lambda: one.label("az1-gw") == "true", 10, "labelled")


def test_the_cluster_role_permits_what_was_asked_and_nothing_else(joined) -> None:
    """RBAC against the requests of a whole life: join, trouble, an Event twice, kinds that go."""
    one, _ = joined
    one.configure(auto="yes")
    wait_for(lambda: "ConfigInvalid" in one.reasons(), 5, "event")
    one.configure()
    wait_for(lambda: "ConfigInvalidResolved" in one.reasons(), 5, "mended")
    one.configure(auto="yes")
    wait_for(lambda: any(e["count"] == 2 for e in one.api.events()), 5, "the same again")
    one.api.delete(one.config_map())
    wait_for(lambda: "ConfigMissing" in one.reasons("default"), 5, "event without ConfigMap")
    one.api.delete({"kind": "Interconnection", "metadata": {"name": "default"}})
    wait_for(lambda: one.condition("Degraded") == "True", 5, "made again")
    for path in ("kubeovn.io/v1/subnets", "ovnmesh.io/v1/interconnections"):
        one.api.undeclare(path)
    crds = "customresourcedefinitions"
    wait_for(lambda: sum(c.resource == crds for c in one.api.store.calls) == 2, 5, "CRDs watched")
    asked = {Rule(c.namespace, c.group, c.resource, c.name, c.verb) for c in one.api.store.calls}
    # RBAC names objects only where we name one: Nodes and Events have names we do not know.
    asked = {
        rule._replace(name="" if rule.resource in ("nodes", "events") else rule.name)
        for rule in asked
    }
    # Events of the cluster-scoped object: taken together, whichever happened.
    granted = rules("ovnmesh-controller")
    extra = {Rule("default", "", "events", "", verb) for verb in ("get", "patch")}
    assert asked - granted == set()
    assert granted - asked <= extra
