"""Footage that the service may not read is given back, or it is said how."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from tempfile import mkdtemp

import pytest

from recorderd.fsck import run_fsck
from recorderd.recovery import permissions
from recorderd.store.consistency import Kind
from tests.recovery.disk import Disk, video

SERVICE = 12345
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")


@pytest.fixture
def disk() -> Iterator[Disk]:
    """In a folder that other users may look into, unlike pytest's."""
    folder = Path(mkdtemp())
    folder.chmod(0o755)
    yield Disk(folder).prepare()
    shutil.rmtree(folder)


def to_service(disk: Disk) -> None:
    for path in (disk.folder, *disk.folder.rglob("*")):
        os.chown(path, SERVICE, SERVICE)


@as_root
def test_root_gives_it_back_and_leaves_nothing_of_its_own(
    disk: Disk, capsys: pytest.CaptureFixture[str]
) -> None:
    disk.save(1)
    cut = disk.save(2)
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])
    disk.register(3)
    emptied = disk.save(4)
    disk.write(disk.incoming(4), emptied.read_bytes())
    emptied.write_bytes(b"")
    to_service(disk)
    taken = disk.video(1)
    os.chown(taken, 0, 0)
    taken.chmod(0o600)
    still = disk.video(2).with_suffix(".jpg")
    unfinished = disk.write(disk.incoming(3), video(3)[0])
    for path in (still, unfinished):
        os.chown(path, SERVICE, SERVICE)
        path.chmod(0)
    hidden = disk.settings.footage_folder / "2025"
    hidden.mkdir(mode=0o700)
    assert disk.found().count(Kind.UNREADABLE.value) == 4
    to_service_again = disk.settings.state_folder.glob("catalogue.db-*")
    for path in to_service_again:
        os.chown(path, SERVICE, SERVICE)
    assert run_fsck(disk.settings, json=False, repair=True) == 0
    assert os.geteuid() == os.getegid() == 0
    assert capsys.readouterr().out.count("the service may read it again") == 4
    assert taken.stat().st_mode & 0o777 == 0o640
    assert hidden.stat().st_mode & 0o777 == 0o750
    owners = {str(path): path.stat().st_uid for path in disk.folder.rglob("*")}
    assert {path for path, owner in owners.items() if owner != SERVICE} == set()
    assert disk.row(3)["state"] == "recovered"


@as_root
def test_the_owner_makes_it_readable_again(disk: Disk) -> None:
    path = disk.save()
    to_service(disk)
    path.chmod(0)
    os.seteuid(SERVICE)
    try:
        # As in a process that was never root.
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(os, "getresuid", lambda: (SERVICE, SERVICE, SERVICE))
            assert permissions.give_back(path, disk.settings.footage_folder)
            assert path.read_bytes()
    finally:
        os.seteuid(0)


@as_root
def test_others_are_told_what_to_type(disk: Disk) -> None:
    path = disk.save()
    to_service(disk)
    os.chown(path, 0, 0)
    footage = disk.settings.footage_folder
    os.seteuid(SERVICE)
    try:
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(os, "getresuid", lambda: (SERVICE, SERVICE, SERVICE))
            assert not permissions.give_back(path, footage)
    finally:
        os.seteuid(0)
    spaced = footage / "a b.mp4"
    spaced.write_bytes(b"")
    assert permissions.commands(spaced, footage) == (
        f"sudo chown {SERVICE}:{SERVICE} '{spaced}' && sudo chmod 640 '{spaced}'"
    )
    assert "chmod 750" in permissions.commands(footage, footage)
