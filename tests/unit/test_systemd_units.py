"""The systemd units: what they start exists, and systemd understands every line."""

import configparser
import shutil
import subprocess
from pathlib import Path

import pytest
from test_docs import check_call

from ovnmesh.operate.openstack.join import START
from ovnmesh.providers.openstack.site_spec import SITE_FILE

ROOT = Path(__file__).parents[2]
UNITS = sorted((ROOT / "deploy/systemd").glob("*.service"))


def parse(unit):
    parser = configparser.ConfigParser(interpolation=None, strict=True)
    parser.optionxform = str
    parser.read_string(unit.read_text())
    return parser


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_the_command_exists_and_says_when_it_is_ready(unit):
    service = parse(unit)["Service"]
    program, *words = service["ExecStart"].split()
    assert program == "/opt/ovnmesh/bin/ovnmesh"
    assert check_call(words) == ""
    assert service["Type"] == "notify"
    assert service["RestartPreventExitStatus"] == "2"


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_the_page_names_the_unit(unit):
    assert f"`{unit.name}`" in (ROOT / "docs/openstack.md").read_text()


def test_join_writes_the_file_that_the_controller_reads_and_names_its_unit():
    words = parse(ROOT / "deploy/systemd/ovnmesh-controller.service")["Service"]["ExecStart"]
    assert f"--openstack {SITE_FILE}" in words
    assert START.rpartition(" ")[2] in [unit.stem for unit in UNITS]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze")
@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_systemd_understands_the_unit(unit, tmp_path):
    copy = tmp_path / unit.name
    # The program is not installed here; verify wants it to be.
    copy.write_text(unit.read_text().replace("/opt/ovnmesh/bin/ovnmesh", "/bin/true"))
    found = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(copy)], capture_output=True, text=True
    )
    about_it = [line for line in found.stderr.splitlines() if unit.name in line]
    assert (about_it, found.returncode) == ([], 0), found.stderr
