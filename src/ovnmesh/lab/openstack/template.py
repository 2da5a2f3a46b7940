"""Makes databases with all their tables once, and gives each new site a copy.

Called by `install` and `site`. Migrating takes some ten seconds, unpacking one.
"""

import tarfile
import tempfile
from collections.abc import Iterable
from pathlib import Path

from ovnmesh.lab.openstack import keystone, mariadb, neutron
from ovnmesh.lab.values.openstack_shape import KEYSTONE, NEUTRON

_MIGRATIONS = {NEUTRON: neutron.migrate, KEYSTONE: keystone.migrate}


def make_template(archive: Path, venv: Path, names: Iterable[str]) -> None:
    """Migrate empty databases and pack them.

    Args:
        archive: the file to make, whole or not at all.
        venv: virtual environment of Neutron and Keystone.
        names: databases to make.

    Raises:
        ProcessError: MariaDB or a migration failed.
    """
    names = tuple(names)
    # Beside the archive: it must be on the same file system to be renamed.
    with tempfile.TemporaryDirectory(dir=archive.parent, prefix="template-") as folder:
        directory = Path(folder)
        mariadb.make_databases(directory, names)
        server = mariadb.start(directory, None)
        try:
            mariadb.wait_ready(directory, server)
            for name in names:
                _MIGRATIONS[name](directory, venv)
        finally:
            mariadb.stop(server)
        packed = directory / archive.name
        with tarfile.open(packed, "w:gz", compresslevel=1) as tar:
            tar.add(mariadb.data_directory(directory), arcname=".")
        packed.replace(archive)


def unpack_template(archive: Path, directory: Path) -> None:
    """Give a new site its databases.

    Args:
        archive: what `make_template` made.
        directory: where MariaDB will run.
    """
    target = mariadb.data_directory(directory)
    target.mkdir()
    with tarfile.open(archive) as tar:
        # We have made it ourselves; the filter is for Pythons that ask for one (from 3.11.4 on).
        tar.extraction_filter = getattr(tarfile, "data_filter", None)
        tar.extractall(target)
