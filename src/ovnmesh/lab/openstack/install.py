"""Installs what an OpenStack site runs, once for all labs: MariaDB, Neutron, Keystone.

Called by `runner` before a lab with such a site starts. Neutron has a virtual environment of its
own, because its pins are not ours. Everything is kept in a cache folder, and is made anew only when
the pins change: a marker file, written last, says that something is whole.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from ovnmesh.errors import LabError, ProcessError
from ovnmesh.host.process import run
from ovnmesh.lab.values.openstack_shape import KEYSTONE, NEUTRON
from ovnmesh.lab.values.spec import LabSpec

CACHE = Path("/var/cache/ovnmesh")
CACHE_VARIABLE = "OVNMESH_CACHE_DIR"

_MARIADB = "mariadbd"
_MARIADB_PACKAGE = "mariadb-server-core"
"""The server alone: no service, no client, no /etc (Debian)."""
_POLICY = Path("/usr/sbin/policy-rc.d")
"""Asked by Debian's maintainer scripts before they start a service (invoke-rc.d(8))."""
_INSTALL_TIMEOUT_S = 1800.0
Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Installation:
    """What is installed.

    Attributes:
        venv: the virtual environment.
        template: archive of the migrated databases.
    """

    venv: Path
    template: Path

    def program(self, name: str) -> str:
        """Path of a program of the virtual environment."""
        return str(self.venv / "bin" / name)


def cache_directory() -> Path:
    """The cache folder: ``OVNMESH_CACHE_DIR``, else /var/cache/ovnmesh."""
    return Path(os.environ.get(CACHE_VARIABLE) or CACHE)


def ensure_for(spec: LabSpec, cache: Path | None, progress: Progress) -> Installation | None:
    """Install what is missing for a topology; None if it has no OpenStack site.

    Args:
        spec: the topology.
        cache: the cache folder; None for the usual one.
        progress: as in `ensure_installed`.

    Raises:
        LabError: something cannot be installed.
    """
    if not spec.openstack:
        return None
    keystone = any(site.keystone for site in spec.openstack)
    return ensure_installed(cache or cache_directory(), keystone=keystone, progress=progress)


def ensure_installed(cache: Path, *, keystone: bool, progress: Progress) -> Installation:
    """Install what is missing; nothing happens if all is there.

    Args:
        cache: the cache folder.
        keystone: Keystone too.
        progress: told what is installed, and how long that takes.

    Raises:
        LabError: something cannot be installed.
    """
    sets = (NEUTRON, KEYSTONE) if keystone else (NEUTRON,)
    _ensure_mariadb(progress)
    folder = cache / "openstack"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LabError(
            f"{folder}: cannot be used as cache: {error}; choose another with {CACHE_VARIABLE}"
        ) from error
    venv = folder / f"neutron-{_digest(_requirements(NEUTRON))}"
    with _locked(folder / "lock", progress):
        for name in sets:
            _ensure_packages(venv, name, progress)
        pins = "".join(_requirements(name) for name in sets)
        template = folder / f"databases-{'-'.join(sets)}-{_digest(pins)}.tar.gz"
        installation = Installation(venv, template)
        if not template.exists():
            progress("migrating the databases of OpenStack, once (some 15 s)")
            # Starts MariaDB, which nobody needs who has the template.
            from ovnmesh.lab.openstack import template as template_module

            template_module.make_template(template, venv, sets)
    return installation


def _requirements(name: str) -> str:
    """Pins of everything a set needs."""
    return (files("ovnmesh.lab") / "data" / f"{name}-requirements.txt").read_text()


def _digest(text: str) -> str:
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    return hashlib.sha256(f"{version}\n{text}".encode()).hexdigest()[:12]


@contextmanager
def _locked(path: Path, progress: Progress) -> Iterator[None]:
    """Hold the cache: two labs that start at once install once. The lock ends with its process."""
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress(f"waiting for another lab that installs into {path.parent}")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _ensure_packages(venv: Path, name: str, progress: Progress) -> None:
    """Install a set of Python packages, unless its marker says that it is there whole."""
    requirements = _requirements(name)
    marker = venv.with_name(f"{venv.name}.{name}-{_digest(requirements)}")
    if marker.exists() and venv.exists():
        return
    # A virtual environment cannot be renamed (its programs name their interpreter), so it is made
    # in place, and whole only with its marker.
    if name == NEUTRON:
        for left in venv.parent.glob(f"{venv.name}.*"):
            left.unlink()
        progress("making a virtual environment for Neutron 29 (some 2 minutes, 220 MB, once)")
        shutil.rmtree(venv, ignore_errors=True)
        _run([sys.executable, "-m", "venv", str(venv)], "make a virtual environment")
    else:
        progress(f"adding {name.capitalize()} to it (some 30 s, once)")
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as pins:
        pins.write(requirements)
        pins.flush()
        pip = [str(venv / "bin" / "python"), "-m", "pip", "install", "--disable-pip-version-check"]
        # All is pinned: nothing to resolve. What is imported is compiled then, the rest never.
        pip += ["--quiet", "--no-compile", "--no-deps", "--requirement", pins.name]
        _run(pip, f"install the packages of {name}")
    marker.touch()


def _ensure_mariadb(progress: Progress) -> None:
    if shutil.which(_MARIADB):
        return
    if shutil.which("apt-get") is None:
        raise LabError(
            f"not installed: {_MARIADB}, and there is no apt-get; install MariaDB's server (tested "
            "with 10.11), so that it is in PATH"
        )
    progress(f"installing the Debian package {_MARIADB_PACKAGE} (7 MB, once)")
    environment = {"DEBIAN_FRONTEND": "noninteractive"}
    with _no_services():
        _run(["apt-get", "update"], "update apt's lists", environment)
        words = ["apt-get", "install", "-y", "--no-install-recommends", _MARIADB_PACKAGE]
        _run(words, f"install {_MARIADB_PACKAGE}", environment)


@contextmanager
def _no_services() -> Iterator[None]:
    """Keep fresh packages from starting daemons: the lab runs its own, in namespaces."""
    made = False
    if not _POLICY.exists():
        _POLICY.write_text("#!/bin/sh\nexit 101\n")
        _POLICY.chmod(0o755)
        made = True
    try:
        yield
    finally:
        if made:
            _POLICY.unlink(missing_ok=True)


def _run(argv: list[str], what: str, env: dict[str, str] | None = None) -> None:
    try:
        run(argv, env=env, timeout_s=_INSTALL_TIMEOUT_S)
    except (ProcessError, subprocess.SubprocessError) as error:
        raise LabError(f"lab up --openstack: cannot {what}: {error}") from error
