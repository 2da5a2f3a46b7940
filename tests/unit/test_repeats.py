"""The rule of repeats (tests/repeats.py): who is repeated, how often, on what evidence."""

import json
from pathlib import Path

import pytest

import evidence
import repeats
from evidence import Window
from repeats import allowed

pytest_plugins = ["pytester"]

CONFTEST = Path(__file__).parents[1] / "conftest.py"
#: A test that fails at its first attempt, having seen what a control train saw.
FLAKY = """
import pytest
import evidence

attempts = []

@pytest.fixture(scope="module")
def lab():
    return object()

{marker}
def test_flaky(lab):
    attempts.append(lab)
    if {seen}:
        evidence.note("control train lost")
    assert len(attempts) > {failures}
"""
DATAPATH = "@pytest.mark.datapath"


@pytest.fixture(autouse=True)
def quiet_machine(monkeypatch):
    """No processor time is withheld, whatever the machine does."""
    monkeypatch.setattr(evidence, "steal_s", lambda: 0.0)
    monkeypatch.setattr(repeats, "steal_s", lambda: 0.0)


@pytest.fixture
def run(pytester, monkeypatch):
    """Run a test file under our conftest, without other plugins."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makeini("[pytest]\nmarkers =\n    datapath: x\n")
    pytester.makeconftest(CONFTEST.read_text())

    def run(text, *words):
        pytester.makepyfile(text)
        return pytester.runpytest_inprocess("--stage", "s", *words)

    return run


def flaky(*, marker=DATAPATH, seen=True, failures=1):
    return FLAKY.format(marker=marker, seen=seen, failures=failures)


def told(pytester):
    return json.loads((pytester.path / "build" / "tests" / "s.json").read_text())


def test_a_test_of_the_data_path_is_repeated_on_evidence_and_told(run, pytester):
    done = run(flaky())
    done.assert_outcomes(passed=1)
    assert done.ret == 0
    # What failed stays visible, with the reason.
    done.stdout.fnmatch_lines(
        ["evidence: control train lost", "*assert 1 > 1*", "1 repeated; allowed 2 *"]
    )
    (repeated,) = told(pytester)["repeated"]
    assert repeated["test"].endswith("::test_flaky")
    assert repeated["evidence"] == ["control train lost"]
    assert "assert 1 > 1" in repeated["failure"]


def test_nothing_is_repeated_without_evidence(run, pytester):
    done = run(flaky(seen=False))
    done.assert_outcomes(failed=1)
    assert told(pytester)["repeated"] == []


def test_what_is_not_of_the_data_path_is_never_repeated(run, pytester):
    done = run(flaky(marker=""))
    done.assert_outcomes(failed=1)
    assert told(pytester)["repeated"] == []


def test_once_and_no_more(run):
    done = run(flaky(failures=2))
    done.assert_outcomes(failed=1)
    done.stdout.fnmatch_lines(["*assert 2 > 2*", "*assert 1 > 2*"])


def test_the_second_attempt_has_a_lab_of_its_own(run):
    text = flaky().replace("assert len(attempts)", "assert len(set(map(id, attempts)))")
    run(text).assert_outcomes(passed=1)


def test_a_lab_that_does_not_start_is_repeated_too(run):
    start = "attempts.append(0)\n    evidence.note('x')\n    assert len(attempts) > 1"
    run(flaky().replace("return object()", start)).assert_outcomes(passed=1)


def test_a_failure_takes_its_lab_with_it(run):
    text = (
        flaky(seen=False) + f"\n{DATAPATH}\ndef test_next(lab):\n    assert lab not in attempts\n"
    )
    run(text).assert_outcomes(failed=1, passed=1)


def test_side_by_side_too(run, pytester):
    done = run(flaky(), "-p", "xdist", "-n", "1")
    assert done.ret == 0
    (repeated,) = told(pytester)["repeated"]
    assert "control train lost" in repeated["evidence"]


def test_too_many_fail_the_run(run, pytester):
    one = "\n{marker}\ndef test_{n}():\n    attempts.append({n})\n    evidence.note('x')\n"
    one += "    assert attempts.count({n}) > 1\n"
    many = "import pytest\nimport evidence\nattempts = []\n"
    many += "".join(one.format(marker=DATAPATH, n=n) for n in range(3))
    done = run(many)
    done.assert_outcomes(passed=3)
    assert done.ret == pytest.ExitCode.TESTS_FAILED
    assert told(pytester)["exit_status"] == pytest.ExitCode.TESTS_FAILED
    done.stdout.fnmatch_lines(["3 repeated; allowed 2 *"])


@pytest.mark.parametrize(("percent", "repeats"), [(0, 2), (1.9, 2), (2, 3), (22, 13), (39, 21)])
def test_a_machine_that_withholds_more_is_allowed_more(percent, repeats):
    assert allowed(percent) == repeats


def window(monkeypatch, folder, stolen_s, took_s):
    """What a window finds in which so much processor time was withheld."""
    clock = iter((0.0, took_s))
    stolen = iter((5.0, 5.0 + stolen_s))
    with monkeypatch.context() as patch:
        patch.setattr(evidence, "steal_s", lambda: next(stolen))
        patch.setattr(evidence.time, "monotonic", lambda: next(clock))
        opened = Window(folder, 2)
        return opened.evidence()


@pytest.mark.parametrize(
    ("stolen_s", "took_s", "counts"),
    [(0.0, 1.0, False), (0.08, 0.1, False), (0.11, 5.0, True), (0.5, 40.0, False), (1.0, 40, True)],
)
def test_a_tenth_of_a_second_and_a_hundredth_of_the_time(
    monkeypatch, tmp_path, stolen_s, took_s, counts
):
    assert bool(window(monkeypatch, tmp_path, stolen_s, took_s)) is counts


def test_ovs_vswitchd_says_that_it_was_late(tmp_path):
    node = tmp_path / "two0" / "az1" / "nodes" / "az1-gw"
    node.mkdir(parents=True)
    log = node / "ovs-vswitchd.log"
    line = "x|bfd|INFO|ovn-far-0: long delay of 1200ms (expected 100ms) sending BFD control message"
    log.write_text(f"{line}\n")
    opened = Window(tmp_path, 2)
    assert opened.evidence() == []
    with log.open("a") as more:
        more.write(f"{line}\n{line}\n")
    assert opened.evidence() == ["ovs-vswitchd of two0/az1/nodes/az1-gw sent BFD late, 2 times"]


def test_a_note_holds_for_one_attempt(tmp_path):
    evidence.note("before")
    opened = Window(tmp_path, 2)
    evidence.note("in it")
    assert opened.evidence() == ["in it"]
