"""A network camera for tests: RTSP (RFC 2326) with H.264 over RTP (RFC 6184), interleaved."""

from __future__ import annotations

import base64
import socket
import struct
import threading
from pathlib import Path

import av

PAYLOAD_TYPE = 96
_NAL_IDR, _NAL_SPS, _NAL_PPS = 5, 7, 8


class RtspCamera:
    """Serves one viewer the pictures of an Annex B file, then does as told.

    `timestamps` are the RTP times, one a picture. `then` is "end" (close the connection)
    or "hang" (keep it open and say nothing until closed). `answer` False never answers.
    """

    def __init__(
        self, video: Path | None, timestamps: list[int], *, then: str = "end", answer: bool = True
    ) -> None:
        self._video = video
        self._timestamps = timestamps
        self._then = then
        self._answer = answer
        self._done = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(20)
        self.url = f"rtsp://127.0.0.1:{self._listener.getsockname()[1]}/live"
        self._thread = threading.Thread(target=self._serve, name="rtsp camera")
        self._thread.start()

    def close(self) -> None:
        self._done.set()
        self._thread.join(20)
        self._listener.close()

    def _serve(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except TimeoutError:
            return
        with connection:
            if not self._answer:
                self._done.wait(20)
                return
            self._converse(connection)

    def _converse(self, connection: socket.socket) -> None:
        pictures = self._pictures()
        requests = connection.makefile("rb")
        while True:
            first = requests.readline().decode().split()
            if not first:
                return
            headers = {}
            while (line := requests.readline().decode().strip()) != "":
                key, _, value = line.partition(":")
                headers[key.lower()] = value.strip()
            method = first[0]
            body, extra = b"", ""
            if method == "OPTIONS":
                extra = "Public: OPTIONS, DESCRIBE, SETUP, PLAY\r\n"
            elif method == "DESCRIBE":
                body = self._description(pictures)
                extra = f"Content-Type: application/sdp\r\nContent-Base: {self.url}/\r\n"
            elif method == "SETUP":
                extra = "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\nSession: 1\r\n"
            elif method == "PLAY":
                extra = "Session: 1\r\nRange: npt=0-\r\n"
            connection.sendall(
                f"RTSP/1.0 200 OK\r\nCSeq: {headers['cseq']}\r\n{extra}"
                f"Content-Length: {len(body)}\r\n\r\n".encode()
                + body
            )
            if method == "PLAY":
                self._play(connection, pictures)
                if self._then == "hang":
                    self._done.wait(20)
                return

    def _pictures(self) -> list[list[bytes]]:
        """The NAL units of each picture."""
        assert self._video is not None
        with av.open(str(self._video)) as container:
            return [
                [
                    unit
                    for unit in bytes(packet).replace(b"\0\0\0\1", b"\0\0\1").split(b"\0\0\1")
                    if unit
                ]
                for packet in container.demux(video=0)
                if packet.size
            ]

    def _description(self, pictures: list[list[bytes]]) -> bytes:
        sets = [unit for unit in pictures[0] if unit[0] & 31 in (_NAL_SPS, _NAL_PPS)]
        parameters = ",".join(base64.b64encode(unit).decode() for unit in sets)
        return (
            "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=live\r\nt=0 0\r\n"
            f"m=video 0 RTP/AVP {PAYLOAD_TYPE}\r\na=rtpmap:{PAYLOAD_TYPE} H264/90000\r\n"
            f"a=fmtp:{PAYLOAD_TYPE} packetization-mode=1;sprop-parameter-sets={parameters}\r\n"
            "a=control:track0\r\n"
        ).encode()

    def _play(self, connection: socket.socket, pictures: list[list[bytes]]) -> None:
        sequence = 0
        for units, timestamp in zip(pictures, self._timestamps, strict=True):
            for unit in units:
                marker = 0x80 if unit is units[-1] else 0
                header = struct.pack(
                    ">BBHII", 0x80, marker | PAYLOAD_TYPE, sequence, timestamp & 0xFFFFFFFF, 1
                )
                data = header + unit
                connection.sendall(b"$\0" + struct.pack(">H", len(data)) + data)
                sequence += 1
