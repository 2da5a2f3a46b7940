"""The set-up script says what it needs before it does anything."""

import os
import shutil
import subprocess
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "scripts" / "setup.sh"


def test_without_root_it_says_so_and_how_and_does_nothing(tmp_path: Path) -> None:
    checkout = tmp_path / "checkout"
    (checkout / "scripts").mkdir(parents=True)
    shutil.copy(SCRIPT, checkout / "scripts" / "setup.sh")
    for folder in (tmp_path, *tmp_path.parents):
        if folder.owner() == "root" and str(folder).startswith("/tmp/"):
            folder.chmod(0o755)
    unprivileged = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    command = ["bash", str(checkout / "scripts" / "setup.sh"), "demo"]
    done = subprocess.run(
        [*(unprivileged if os.geteuid() == 0 else []), *command],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "root is needed" in done.stderr
    assert "sudo make demo" in done.stderr
    assert not (checkout / ".venv").exists()
