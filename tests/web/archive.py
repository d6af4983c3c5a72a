"""An archive to look at: rows and small real videos, made as the station makes them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import av
import numpy as np

from recorderd.core.model import Mode, Order, RecordingId, StopReason, Symbology
from recorderd.settings import Settings, StationSettings, WebSettings
from recorderd.store.catalogue import CapturedFile, Catalogue, NewRecording
from recorderd.store.footage import files_for, still_path, stored_path, thumbnail_path
from recorderd.store.identity import new_recording_id

START = datetime(2026, 7, 4, 12, 0, 0, 123456, tzinfo=UTC)
RATE = 10
HOSTILE = '"><script>document.title="owned"</script><img src=x onerror=alert(1)>\r\nX-Evil: 1'


@cache
def video(seconds: int = 4, width: int = 320, height: int = 180, codec: str = "libx264") -> bytes:
    """A clip in which a bright bar moves from left to right."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "clip.mp4"
        with av.open(str(path), "w") as container:
            stream = container.add_stream(codec, rate=RATE)
            assert isinstance(stream, av.VideoStream)
            stream.width, stream.height = width, height
            stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
            stream.time_base = Fraction(1, RATE)
            count = seconds * RATE
            for index in range(count):
                picture = np.full((height, width, 3), (52, 84, 70), np.uint8)
                picture[:, : width * index // count] = (116, 150, 134)
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
            container.mux(stream.encode(None))
        return path.read_bytes()


@cache
def picture(shade: int = 150) -> bytes:
    """A JPEG of one colour."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "still.jpg"
        with av.open(str(path), "w", format="image2", options={"update": "1"}) as container:
            stream = container.add_stream("mjpeg", rate=1)
            assert isinstance(stream, av.VideoStream)
            stream.width, stream.height, stream.pix_fmt = 320, 180, "yuvj420p"
            array = np.full((180, 320, 3), (shade, 140, 120), np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(array, "rgb24")))
            container.mux(stream.encode(None))
        return path.read_bytes()


def settings_in(folder: Path, **web: object) -> Settings:
    return Settings(
        station=StationSettings(
            name="bench-1",
            state_folder=str(folder / "state"),
            run_folder=str(folder / "run"),
        ),
        web=replace(WebSettings(), requests_per_second=100_000.0, **web),  # type: ignore[arg-type]
    )


class Archive:
    """Fills a station's catalogue and footage folder."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.catalogue = Catalogue.open(settings.database_url, settings.station.name)

    def begin(
        self,
        order_id: str,
        label_text: str | None = None,
        *,
        after: float = 0,
        continues: RecordingId | None = None,
        part: int = 1,
        clock: str = "synchronised",
    ) -> NewRecording:
        """A recording that runs."""
        recording_id = new_recording_id()
        started_at = START + timedelta(seconds=after)
        files = files_for(self.settings, recording_id, order_id, started_at)
        new = NewRecording(
            id=recording_id,
            order=Order(order_id, order_id if label_text is None else label_text, Symbology.QR),
            part=part,
            continues=continues,
            station=self.settings.station.name,
            path=stored_path(self.settings, files.video),
            started_at=started_at,
            monotonic_ns=5_000_000_000,
            boot_id="boot-1",
            clock=clock,
        )
        self.catalogue.register(new)
        return new

    def save(
        self,
        order_id: str,
        label_text: str | None = None,
        *,
        after: float = 0,
        content: bytes | None = None,
        codec: str = "h264",
        continues: RecordingId | None = None,
        part: int = 1,
        stop_reason: StopReason = StopReason.PEDAL,
        seconds: int = 4,
        dropped: int = 0,
    ) -> NewRecording:
        """A finished recording with its files."""
        new = self.begin(order_id, label_text, after=after, continues=continues, part=part)
        self.finish(
            new,
            video() if content is None else content,
            codec=codec,
            stop_reason=stop_reason,
            seconds=seconds,
            dropped=dropped,
        )
        return new

    def finish(
        self,
        new: NewRecording,
        content: bytes,
        *,
        codec: str = "h264",
        stop_reason: StopReason = StopReason.PEDAL,
        seconds: int = 4,
        dropped: int = 0,
        first_ns: int | None = None,
    ) -> None:
        """Bring a recording that runs to its end, with its files."""
        path = self.path(new)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        still_path(path).write_bytes(picture())
        thumbnail_path(path).write_bytes(picture(100))
        self.catalogue.captured(
            new.id,
            CapturedFile(
                path=new.path,
                bytes=len(content),
                frames=seconds * RATE,
                dropped=dropped,
                duration_ms=seconds * 1000,
                started_at=new.started_at,
                ended_at=new.started_at + timedelta(seconds=seconds),
                codec=codec,
                encoder="libx264" if codec == "h264" else "copy",
                mode=Mode.ENCODE if codec == "h264" else Mode.DEFER,
                width=320,
                height=180,
                stop_reason=stop_reason,
                recovered=False,
                first_ns=first_ns,
            ),
        )
        self.catalogue.saved(new.id)

    def path(self, new: NewRecording) -> Path:
        return self.settings.footage_folder / new.path

    def incoming(self, new: NewRecording) -> Path:
        """Where the video lies while it is written."""
        self.settings.incoming_folder.mkdir(parents=True, exist_ok=True)
        return self.settings.incoming_folder / f"{new.id}.mp4"
