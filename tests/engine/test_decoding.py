from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace

import av
import pytest

from recorderd.engine import decoding
from recorderd.engine.decoding import InterDecoder, IntraDecoder, PictureDecoder, picture_decoder
from recorderd.engine.luma import luma_of
from recorderd.engine.native_packet import native_packet
from recorderd.engine.packets import Packet
from recorderd.errors import DeviceError
from tests.engine.pictures import (
    at_rate,
    inter_stream,
    mjpeg_packets,
    mjpeg_stream,
    number_in_luma,
)

PACKETS = mjpeg_packets(at_rate(40))


@pytest.fixture
def intra() -> Iterator[IntraDecoder]:
    decoder = IntraDecoder(mjpeg_stream(), 3)
    yield decoder
    decoder.close()


def _decoded(decoder: PictureDecoder, packets: Sequence[Packet], *, wait: bool) -> list[list[int]]:
    """The numbers in the pictures that came of each packet, and of the end."""
    answers = []
    for packet in packets:
        compressed = native_packet(packet.data)
        compressed.pts = packet.sequence
        answers.append(decoder.decode(compressed, wait=wait))
    answers.append(decoder.decode(None, wait=wait))
    return [[number_in_luma(luma_of(frame)) for frame in frames] for frames in answers]


@pytest.mark.parametrize("wait", [True, False])
def test_pictures_come_out_in_order(intra: IntraDecoder, wait: bool) -> None:
    answers = _decoded(intra, PACKETS, wait=wait)
    assert [number for numbers in answers for number in numbers] == list(range(40))


def test_who_waits_gets_each_picture_at_once(intra: IntraDecoder) -> None:
    assert _decoded(intra, PACKETS[:5], wait=True) == [[0], [1], [2], [3], [4], []]


def test_damaged_pictures_are_missing_and_no_other(intra: IntraDecoder) -> None:
    packets = [
        replace(packet, data=packet.data[:300]) if packet.sequence % 4 == 0 else packet
        for packet in PACKETS
    ]
    answers = _decoded(intra, packets, wait=False)
    whole = [packet.sequence - 1 for packet in PACKETS if packet.sequence % 4]
    assert [number for numbers in answers for number in numbers] == whole


def test_so_many_are_decoded_at_once_and_no_more(
    intra: IntraDecoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three in their threads while none has ended yet, and one that waits for a thread."""
    let_go, started = threading.Event(), threading.Semaphore(0)

    def slow(_packet: object) -> list[av.VideoFrame]:
        started.release()
        let_go.wait(10)
        return []

    monkeypatch.setattr(intra, "_one", slow)
    calls = []
    for number, packet in enumerate(PACKETS[:4]):
        call = threading.Thread(
            target=intra.decode, args=(native_packet(packet.data),), kwargs={"wait": False}
        )
        call.start()
        calls.append(call)
        if number < 3:
            call.join(10)
            assert not call.is_alive()
            assert started.acquire(timeout=10)
    assert calls[-1].is_alive(), "no more are taken than can be decoded"
    assert not started.acquire(blocking=False)
    let_go.set()
    calls[-1].join(10)
    assert not calls[-1].is_alive()


def test_each_camera_gets_the_decoder_that_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _process: set(range(16)))
    jpegs = picture_decoder(mjpeg_stream())
    assert isinstance(jpegs, IntraDecoder)
    assert jpegs._at_once == decoding.MOST_AT_ONCE
    jpegs.close()
    assert isinstance(picture_decoder(inter_stream(10)[0]), InterDecoder)


def test_pictures_that_cannot_be_decoded_at_all_are_refused() -> None:
    with pytest.raises(DeviceError):
        IntraDecoder(replace(mjpeg_stream(), codec="no-such-codec"), 2)
