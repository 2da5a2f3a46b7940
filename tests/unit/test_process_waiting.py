"""One way of waiting until a server answers: what is said when it does not."""

import subprocess
import sys
from itertools import count

import pytest

from ovnmesh.errors import ProcessError
from ovnmesh.host.process import wait_until_serving


def test_it_is_asked_until_it_answers(tmp_path):
    asked = count(1)
    wait_until_serving("x", lambda: next(asked) == 3, tmp_path / "log", None, 5)
    assert next(asked) == 4


def test_one_that_ends_is_told_at_once_with_the_end_of_its_log(tmp_path):
    log = tmp_path / "log"
    log.write_text("first\nport taken\n")
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    with pytest.raises(ProcessError, match=r"(?s)^api: ended while starting.*port taken$"):
        wait_until_serving("api", lambda: False, log, child, 60)


def test_one_that_never_answers_is_told_with_its_log(tmp_path):
    with pytest.raises(ProcessError, match=r"api: answers; see .*/log: not so after 0.1 s"):
        wait_until_serving("api", lambda: False, tmp_path / "log", None, 0.1)
