"""An archive that is no backup of ours puts nothing anywhere."""

import io
import tarfile
from pathlib import Path

import pytest

from ovnmesh.errors import IcDbError
from ovnmesh.icdb.backup.archive import open_backup


def test_members_outside_of_the_folder_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    outside = tmp_path / "outside"
    archive = tmp_path / "inner" / "backup.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        for name in ("../outside", "../../outside", str(outside), "folder/outside"):
            member = tarfile.TarInfo(name)
            member.size = 4
            tar.addfile(member, io.BytesIO(b"evil"))
        link = tarfile.TarInfo("manifest.json")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    with pytest.raises(IcDbError, match="found no backup"), open_backup(archive):
        pass
    assert not list(tmp_path.rglob("outside"))
