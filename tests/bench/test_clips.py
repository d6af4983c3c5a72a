from __future__ import annotations

from pathlib import Path

import av
import pytest

from recorderd.bench import clips
from recorderd.engine.luma import luma_of
from recorderd.engine.sources.bench_scene import read_counter


@pytest.mark.parametrize(("codec", "found"), [("mjpeg", "mjpeg"), ("libx264", "h264")])
def test_a_clip_shows_one_numbered_picture_after_another(
    tmp_path: Path, codec: str, found: str
) -> None:
    clip = clips.Clip(0.2, 15, clips.empty_bench, codec)
    clips.write(clip, tmp_path / "clip.mp4")
    with av.open(str(tmp_path / "clip.mp4")) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == found
        assert float(stream.average_rate or 0) == 15.0
        assert (stream.width, stream.height) == clips.SIZE
        numbers = [read_counter(luma_of(frame)) for frame in container.decode(stream)]
    assert numbers == list(range(clip.pictures)) == [0, 1, 2]


def test_hands_move_and_show_no_label() -> None:
    scenes = [clips.hands_at_work(second) for second in range(60)]
    assert len(set(scenes)) > 10
    assert all(scene.label() is None for scene in scenes)


def test_a_label_lies_above_all() -> None:
    label = clips.with_label(clips.hands_at_work(3.0), "SO-1").label()
    assert label is not None
    assert label.variant == "SO-1"
