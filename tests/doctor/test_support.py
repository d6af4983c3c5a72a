"""Nothing secret leaves the station in a bundle."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from recorderd.doctor.check import Result, good
from recorderd.doctor.support import secrets_in, without, write_support_bundle
from recorderd.errors import StorageError
from recorderd.web.password import hash_password
from tests.doctor.stations import PaperMachine, loaded_in, publish

HASH = hash_password("open sesame")
SECRETS = ("p%40ss-camera", "p@ss-camera", "db-s3cret", HASH)
TEXT = f"""
[camera]
source = "rtsp://viewer:p%40ss-camera@10.0.0.9/live"
[storage]
database_url = "postgresql://recorderd:db-s3cret@db/videos"
[web]
password_hash = "{HASH}"
"""


def test_secrets_are_blanked_wherever_they_stand(tmp_path: Path) -> None:
    loaded = loaded_in(tmp_path, TEXT)
    publish(loaded, camera={"source": "rtsp://viewer:p@ss-camera@10.0.0.9/live"})
    settings = loaded.settings
    settings.state_folder.mkdir()
    settings.key_file.write_text("PRIVATE KEY")
    journal = f"cannot open rtsp://viewer:p%40ss-camera@10.0.0.9/live, db-s3cret, {HASH}"
    machine = PaperMachine(tmp_path, {"journalctl": journal})
    result = Result("camera", good("rtsp://viewer:p@ss-camera@10.0.0.9"), 0.1)
    write_support_bundle(tmp_path / "bundle.zip", loaded, [result], machine)
    with zipfile.ZipFile(tmp_path / "bundle.zip") as bundle:
        everything = {name: bundle.read(name).decode() for name in bundle.namelist()}
    for name, text in everything.items():
        assert not any(secret in text for secret in SECRETS), name
        assert "PRIVATE KEY" not in text
    assert (
        "cannot open rtsp://***@10.0.0.9/live"
        in everything["recorderd-support/journal-recorderd.txt"]
    )
    assert "camera.source" in everything["recorderd-support/settings.txt"]
    assert not any(name.endswith((".mp4", ".jpg", ".db", ".pem")) for name in everything)


def test_nothing_secret_leaves_everything_as_it_is(tmp_path: Path) -> None:
    assert secrets_in(loaded_in(tmp_path)) == []
    assert without([], "text") == "text"


def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="cannot be written"):
        write_support_bundle(
            tmp_path / "no" / "b.zip", loaded_in(tmp_path), [], PaperMachine(tmp_path)
        )
