"""What holds for tests of every kind: who may run them, what is repeated, where the time goes."""

import os

import pytest

import repeats
from ovnmesh.host.programs import program_folders
from stage_report import StageReport

# Some tests name programs of OVN as they are called on the PATH.
os.environ["PATH"] = os.pathsep.join([*map(str, program_folders()), os.environ["PATH"]])


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--stage`, for `make test`."""
    parser.addoption("--stage", default="", help="write build/tests/STAGE.json")


def pytest_configure(config: pytest.Config) -> None:
    """Every process repeats; only the one that sees all reports counts."""
    config.pluginmanager.register(repeats)
    if not hasattr(config, "workerinput"):
        repeated = repeats.Repeats()
        config.pluginmanager.register(repeated)
        config.pluginmanager.register(StageReport(config.getoption("--stage"), repeated))


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Tests marked `root` are skipped for anybody else, before a fixture makes anything."""
    if item.get_closest_marker("root") and os.geteuid() != 0:
        pytest.skip("needs root: network namespaces")
