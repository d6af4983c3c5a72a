"""A finished recording that is cut off anywhere: what plays is saved, and the row says the rest."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from recorderd.engine import salvage, verify
from recorderd.engine.remux import remux
from recorderd.mp4.boxes import Patch, is_closed
from recorderd.recovery.mending import mend
from tests.engine.pictures import numbers_in
from tests.recovery.disk import COUNT, LENGTH_MS, Disk, video

LOOSE = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.mark.parametrize("codec", ["mjpeg", "h264"])
@pytest.mark.parametrize("how", ["finished", "recording", "without a row"])
@given(share=st.floats(0, 1, exclude_max=True))
@example(share=0.0)
@example(share=0.5)
@example(share=0.999)
@LOOSE
def test_what_plays_is_saved(tmp_path: Path, codec: str, how: str, share: float) -> None:
    shutil.rmtree(tmp_path)
    tmp_path.mkdir()
    disk = Disk(tmp_path).prepare()
    whole = video(codec=codec)[1]
    cut = whole[: int(len(whole) * share)]
    if how == "finished":
        disk.capture(content=whole)
        disk.set(state="saved")
        disk.video().write_bytes(cut)
    else:
        if how == "recording":
            disk.register()
        disk.write(disk.incoming(), cut)
    readable = len(cut) > len(whole) // 2
    treated = disk.repair()
    if how == "without a row" and not disk.rows():
        assert not readable
        assert disk.incoming().read_bytes() == cut
        assert [each.done for each in treated] == [None]
        return
    row = disk.row()
    if row["state"] in ("damaged", "lost"):
        assert not readable
        kept = disk.video() if how == "finished" else disk.set_aside()
        assert not cut or kept.read_bytes() == cut
        assert str(len(cut)) in row["problem"]
        assert disk.found() == []
        return
    assert row["state"] == "recovered"
    assert is_closed(disk.video())
    assert verify.problem_of(disk.video(), row["frames"], round(row["duration_ms"] * 1e6)) is None
    assert numbers_in(disk.video()) == list(range(row["frames"]))
    # Compressed pictures differ in size.
    assert row["frames"] >= COUNT * share - (8 if codec == "mjpeg" else 16)
    if how == "finished":
        assert row["missing_ms"] == LENGTH_MS - row["duration_ms"]
    assert disk.found() == []


@pytest.fixture
def half_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The muxer may refuse pictures that can be read."""
    real = remux

    def shorter(
        source: Path, target: Path, _end: int | None, patch: Patch | None, tags: dict[str, str]
    ) -> None:
        real(source, target, source.stat().st_size // 2, patch, tags)

    monkeypatch.setattr(salvage, "remux", shorter)


@pytest.mark.usefixtures("half_is_refused")
def test_where_the_mended_file_holds_less_the_original_is_kept(tmp_path: Path) -> None:
    disk = Disk(tmp_path).prepare()
    path = disk.save()
    cut = path.read_bytes()[: path.stat().st_size * 3 // 4]
    path.write_bytes(cut)
    disk.repair()
    (kept,) = (tmp_path / "state" / "set-aside").iterdir()
    assert kept.read_bytes() == cut
    row = disk.row()
    assert row["state"] == "recovered"
    assert 0 < row["frames"] < COUNT // 2
    assert numbers_in(path) == list(range(row["frames"]))
    assert disk.found() == []
    with disk.catalogue() as catalogue, catalogue.reading() as tables:
        events = [event.detail for event in tables.events.select()]
    assert any(str(kept) in detail for detail in events)


@pytest.mark.usefixtures("half_is_refused")
def test_at_no_instant_there_is_no_video(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The plug is pulled when the original was set aside and nothing has taken its place yet."""
    disk = Disk(tmp_path).prepare()
    path = disk.save()
    cut = path.read_bytes()[: path.stat().st_size * 3 // 4]
    path.write_bytes(cut)
    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", lambda *_: _pulled())
        with pytest.raises(KeyboardInterrupt):
            mend(path, disk.settings)
    (kept,) = disk.settings.set_aside_folder.iterdir()
    assert path.read_bytes() == kept.read_bytes() == cut
    disk.repair()
    assert [each.read_bytes() for each in disk.settings.set_aside_folder.iterdir()] == [cut]
    assert disk.row()["state"] == "recovered"
    assert disk.found() == []


def _pulled() -> None:
    raise KeyboardInterrupt
