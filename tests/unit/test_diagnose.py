"""Checks of `ovnmesh diagnose`: each is asked, whatever the others say. No I/O."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ovnmesh.errors import ProviderError
from ovnmesh.model.check import Check, Examined
from ovnmesh.model.finding import Code, Finding
from ovnmesh.operate.checks import CHECKS
from ovnmesh.operate.diagnose import ask
from ovnmesh.providers.openstack import checks as cloud
from ovnmesh.providers.openstack.checks.answer import CloudAnswer

SITE = Examined("az1", unreachable="no answer", ic_error="refused")


def check(name: str, *findings: Finding, fails: str = "") -> Check:
    def run(_: Examined) -> Iterator[Finding]:
        yield from findings
        if fails:
            raise ProviderError(fails)

    return Check(name, f"{name}?", run)


def test_goes_on_after_a_check_that_fails() -> None:
    good = Finding(Code.MTU_DIFFERS, "gw", "too small")
    found = ask(SITE, (check("one", good, fails="the API is away"), check("two", good)))
    assert [(each.code, each.subject) for each in found] == [
        ("check-failed", "one"),
        ("mtu-differs", "gw"),
    ]
    assert found[0].message == (
        'site az1: check "one" could not be made: the API is away; the other checks were made. '
        "Mend that and run again: ovnmesh diagnose az1"
    )


def test_what_two_checks_have_noticed_is_told_once_by_the_later() -> None:
    first = Finding(Code.ROUTER_DISABLED, "router0", "by its rows")
    second = Finding(Code.ROUTER_DISABLED, "router0", "by the API")
    assert ask(SITE, (check("rows", first), check("routers", second))) == (second,)


def test_a_site_that_does_not_answer_is_one_finding_not_two() -> None:
    assert [each.code for each in ask(SITE, CHECKS)] == ["ic-unreachable", "site-unreachable"]


def every_check() -> tuple[Check, ...]:
    return (*CHECKS, *(make(CloudAnswer(Path("/nowhere"))) for make in cloud.CHECKS))


@pytest.mark.parametrize("found", every_check(), ids=lambda found: found.name)
def test_every_check_asks_a_question_and_stands_alone_in_a_file(found: Check) -> None:
    assert found.asks.endswith("?")
    assert [each.name for each in every_check()].count(found.name) == 1
    assert list(found.run(Examined("az1", has_controller=True))) == []


@pytest.mark.parametrize("registry", ["operate/checks", "providers/openstack/checks"])
def test_every_file_of_checks_is_in_its_list(registry: str) -> None:
    folder = Path(__file__).parents[2] / "src/ovnmesh" / registry
    files = {path.stem for path in folder.glob("*.py")} - {"__init__", "answer"}
    made = CHECKS if registry.startswith("operate") else cloud.CHECKS
    assert len(files) == len(made)
