from __future__ import annotations

import subprocess
import sys
import textwrap

from recorderd.engine.native_packet import native_packet


def test_the_data_is_a_copy() -> None:
    assert bytes(native_packet(b"picture")) == b"picture"
    assert native_packet(b"").size == 0


def test_a_threaded_decoder_can_be_dropped_at_any_moment() -> None:
    """In a child, since the process hangs at once where packets borrow Python's memory."""
    program = """
        from fractions import Fraction
        import av
        from recorderd.engine.native_packet import native_packet
        encoder = av.CodecContext.create("libx264", "w")
        encoder.width, encoder.height, encoder.pix_fmt = 320, 240, "yuv420p"
        encoder.time_base, encoder.gop_size, encoder.max_b_frames = Fraction(1, 30), 1, 0
        frame = av.VideoFrame(320, 240, "yuv420p")
        frame.pts = 0
        (picture,) = [bytes(packet) for packet in encoder.encode(frame) + encoder.encode(None)]
        for _ in range(50):
            decoder = av.CodecContext.create("h264", "r")
            decoder.thread_type = "AUTO"
            for _ in range(13):
                decoder.decode(native_packet(picture))
            del decoder
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(program)], check=True, timeout=20)
