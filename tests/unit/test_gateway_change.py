"""What `ovnmesh gateway` records, where gateways are named and where the cloud allows them."""

from dataclasses import replace

import pytest

from fake_mesh import Mesh, Site, bind, wish
from ovnmesh import ovn_keys as keys
from ovnmesh.errors import ConfigError
from ovnmesh.model.changes import Batch, Db
from ovnmesh.model.desired import DEFAULT_POLICY, Desired, GatewayPolicy
from ovnmesh.plan.ask.gateway import plan_drain, plan_prefer, plan_reset, plan_undrain
from ovnmesh.plan.site import plan_site

NAMED = wish("az1", "gw", "n1", "n2")
ALLOWED = wish("az1", keys.ENABLE_AS_GATEWAY)


class Joined:
    """A site of three gateways that has joined and carries traffic on the first."""

    def __init__(self, desired: Desired, switches: int = 1) -> None:
        self.desired = desired
        self.site = Site(Mesh(switches))
        for row in self.site.db.tables[Db.SB]["Chassis"].values():
            row["other_config"] = {keys.CMS_OPTIONS: keys.ENABLE_AS_GATEWAY}
        agents, self.site.agents = self.site.agents, self._agents  # type: ignore[method-assign]
        self._mark = agents
        self.settle()

    def _agents(self) -> None:
        """Marks, without losing what ovn-cms-options says."""
        self._mark()
        for row in self.site.db.tables[Db.SB]["Chassis"].values():
            row["other_config"][keys.CMS_OPTIONS] = keys.ENABLE_AS_GATEWAY

    def settle(self) -> None:
        self.site.settle(self.desired)
        bind(self.site)
        self.site.settle(self.desired)

    @property
    def seen(self):
        return self.site.observed

    def do(self, batch: Batch | None) -> None:
        """Record a wish, and let the controller follow."""
        assert batch is not None
        self.site.db.apply([batch])
        self.settle()

    def lead(self) -> dict[str, str]:
        return dict(self.seen.nb.gateway_state.leaders)


@pytest.fixture(params=[NAMED, ALLOWED], ids=["names", "enable-chassis-as-gw"])
def joined(request) -> Joined:
    return Joined(request.param)


def refusal(error: pytest.ExceptionInfo[ConfigError]) -> str:
    (problem,) = error.value.problems
    return str(problem)


def test_a_drained_gateway_gives_its_traffic_away_and_comes_back_as_a_reserve(joined) -> None:
    assert joined.lead() == {"ts": "gw"}
    joined.do(plan_drain(joined.seen, "gw"))
    assert joined.lead() == {"ts": "n1"}
    assert joined.seen.nb.gateway_state.drained == {"gw"}
    assert plan_drain(joined.seen, "gw") is None
    joined.do(plan_undrain(joined.seen, "gw"))
    assert joined.lead() == {"ts": "n1"}
    assert joined.seen.nb.gateway_state.drained == frozenset()
    assert plan_undrain(joined.seen, "gw") is None


def test_the_last_gateway_is_not_drained(joined) -> None:
    for node in ("gw", "n1"):
        joined.do(plan_drain(joined.seen, node))
    with pytest.raises(ConfigError) as error:
        plan_drain(joined.seen, "n2")
    assert '"n2", the only gateway left' in refusal(error)


def test_a_preferred_gateway_leads_until_all_is_reset(joined) -> None:
    joined.do(plan_prefer(joined.seen, "n2", (), DEFAULT_POLICY))
    assert joined.lead() == {"ts": "n2"}
    assert plan_prefer(joined.seen, "n2", (), DEFAULT_POLICY) is None
    joined.do(plan_reset(joined.seen))
    assert joined.lead() == {"ts": "gw"}


def test_a_preferred_gateway_is_no_longer_drained(joined) -> None:
    joined.do(plan_drain(joined.seen, "gw"))
    joined.do(plan_prefer(joined.seen, "gw", (), DEFAULT_POLICY))
    assert joined.lead() == {"ts": "gw"}
    assert joined.seen.nb.gateway_state.drained == frozenset()


def test_a_gateway_is_preferred_on_one_switch() -> None:
    joined = Joined(ALLOWED, switches=2)
    joined.do(plan_prefer(joined.seen, "n1", ["ts1"], DEFAULT_POLICY))
    assert joined.lead() == {"ts": "gw", "ts1": "n1"}
    with pytest.raises(ConfigError) as error:
        plan_prefer(joined.seen, "n1", ["ts7"], DEFAULT_POLICY)
    assert "a transit switch of the site: ts, ts1" in refusal(error)


@pytest.mark.parametrize("active_active", [False, True])
def test_a_reset_takes_back_what_was_drained_at_once(joined, active_active: bool) -> None:
    joined.desired = replace(joined.desired, gateways=GatewayPolicy(active_active=active_active))
    joined.settle()
    joined.do(plan_drain(joined.seen, "gw"))
    reset = plan_reset(joined.seen)
    assert reset is not None
    joined.site.db.apply([reset])
    # The controller has yet to choose anew; the site's gateways are known all the same.
    assert joined.lead() == {}
    assert plan_drain(joined.seen, "gw") is not None
    assert plan_site(joined.desired, joined.seen).batches
    joined.settle()
    assert joined.lead() == {"ts": "gw"}


def test_somebody_else_s_node_is_refused_with_the_names_of_the_gateways(joined) -> None:
    for plan in (
        lambda: plan_drain(joined.seen, "gone"),
        lambda: plan_undrain(joined.seen, "gone"),
        lambda: plan_prefer(joined.seen, "gone", (), DEFAULT_POLICY),
    ):
        with pytest.raises(ConfigError) as error:
            plan()
        assert '"gone"; expected a gateway of the site: gw, n1, n2' in refusal(error)


def test_a_site_that_has_not_joined_has_no_gateways() -> None:
    with pytest.raises(ConfigError) as error:
        plan_drain(Site(Mesh()).observed, "gw")
    assert "it has none, because it has not joined" in refusal(error)


def test_a_gateway_that_is_not_ready_is_not_preferred() -> None:
    joined = Joined(ALLOWED)
    joined.site.db.add(
        Db.SB,
        "Chassis",
        name="chassis-new",
        hostname="new",
        other_config={keys.CMS_OPTIONS: keys.ENABLE_AS_GATEWAY},
    )
    joined.site.apply(plan_site(ALLOWED, joined.seen))
    with pytest.raises(ConfigError) as error:
        plan_prefer(joined.seen, "new", (), DEFAULT_POLICY)
    assert '"new", which may not carry traffic yet' in refusal(error)


def test_nobody_is_preferred_where_the_first_takes_over_again(joined) -> None:
    with pytest.raises(ConfigError) as error:
        plan_prefer(joined.seen, "n1", (), GatewayPolicy(preempt=True))
    assert 'gateway-preempt: "true"' in refusal(error)


def test_the_word_for_allowed_chassis_is_recorded_not_who_they_are_today() -> None:
    joined = Joined(ALLOWED)
    assert joined.site.observed.nb.record == ALLOWED
    assert len(joined.site.observed.nb.gateway_state.nodes) == 3
