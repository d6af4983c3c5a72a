"""A USB camera (UVC 1.1, bulk, MJPEG) in user space, plugged in through usbip's vhci_hcd.

The kernel's own uvcvideo binds to it, so a station sees what it sees of a real camera:
/dev/video0, a name under /dev/v4l/by-id, ENODEV when it is pulled out. It speaks the wire format
of Linux' Documentation/usb/usbip_protocol.rst over a socket pair, and the descriptors of the USB
Device Class Definition for Video Devices 1.1. Needs nothing but Python and root.

    usb_camera.py SCENES

SCENES is a folder of NAME.mjpeg, pictures one after the other. Picture number i of one scene
follows picture i - 1 of another, so a number shown in them goes on when the scene changes.
Commands, one a line, through the FIFO /run/usb-camera:

    show NAME       the scene that is in view; the first is "bench"
    unplug, plug    the cable
    stall SECONDS   the cable is in, but no picture comes
    corrupt COUNT   so many pictures arrive broken
    floods          pictures arrive as fast as the bus carries them; "rate" ends it
    rate            pictures arrive at the rate that the station asked for
"""

from __future__ import annotations

import os
import select
import socket
import struct
import sys
import time
from collections import deque
from pathlib import Path

HUB = Path("/sys/devices/platform/vhci_hcd.0")
COMMANDS = Path("/run/usb-camera")
SIZES = ((3840, 2160), (1920, 1080), (1280, 720), (640, 480))
INTERVALS = (333_333, 666_666, 1_000_000, 2_000_000)
"""Between pictures, in units of 100 ns: 30, 15, 10 and 5 a second."""
LARGEST_PICTURE = 4 << 20
CLOCK_HERTZ = 48_000_000
NAMES = ("", "Bench", "Bench 4K Camera", "BENCH0001")
PORT_IS_FREE = 4
DEVICE_ID, HIGH_SPEED = 0x10002, 3
IN_BULK = 0x81
SUBMIT, UNLINK, RETURN_SUBMIT, RETURN_UNLINK = 1, 2, 3, 4
STALLED_PIPE, CONNECTION_RESET = -32, -104


def descriptor(*parts: int | bytes) -> bytes:
    """Bytes with their own length in front, as every USB descriptor has it."""
    body = b"".join(part if isinstance(part, bytes) else bytes([part]) for part in parts)
    return bytes([len(body) + 1]) + body


def words(*numbers: int) -> bytes:
    """16-bit little-endian numbers."""
    return struct.pack(f"<{len(numbers)}H", *numbers)


def configuration() -> bytes:
    """Control interface with terminal, processing unit and output; streaming with its sizes."""
    terminal = descriptor(0x24, 2, 1, words(0x201), 0, 0, bytes(6), 3, bytes(3))
    unit = descriptor(0x24, 5, 2, 1, words(0), 2, b"\x03\x00", 0, 0)
    output = descriptor(0x24, 3, 3, words(0x101), 0, 2, 0)
    units = terminal + unit + output
    control = descriptor(0x24, 1, struct.pack("<HHI", 0x110, 13 + len(units), CLOCK_HERTZ), 1, 1)
    frames = b"".join(
        descriptor(
            *(0x24, 7, number, 0, words(width, height)),
            struct.pack("<II", width * height, width * height * 8),
            struct.pack("<II", LARGEST_PICTURE, INTERVALS[1]),
            len(INTERVALS),
            struct.pack(f"<{len(INTERVALS)}I", *INTERVALS),
        )
        for number, (width, height) in enumerate(SIZES, 1)
    )
    motion_jpeg = descriptor(0x24, 6, 1, len(SIZES), 1, 1, 0, 0, 0, 0)
    colour = descriptor(0x24, 0x0D, 1, 1, 4)
    streams = motion_jpeg + frames + colour
    header = descriptor(0x24, 1, 1, words(14 + len(streams)), IN_BULK, 0, 3, 0, 0, 0, 1, 0)
    body = (
        descriptor(11, 0, 2, 0x0E, 3, 0, 0)
        + descriptor(4, 0, 0, 0, 0x0E, 1, 0, 0)
        + (control + units)
        + descriptor(4, 1, 0, 1, 0x0E, 2, 0, 0)
        + (header + streams)
        + descriptor(5, IN_BULK, 2, words(512), 0)
    )
    return descriptor(2, words(9 + len(body)), 2, 1, 0, 0x80, 250) + body


DEVICE = descriptor(1, words(0x200), 0xEF, 2, 1, 64, words(0x1D6B, 0x0102, 0x0100), 1, 2, 3, 1)
CONFIGURATION = configuration()


def pictures_of(file: Path) -> list[bytes]:
    """The JPEG pictures in a file that holds one after the other."""
    data, found, begin = file.read_bytes(), [], 0
    while (end := data.find(b"\xff\xd9\xff\xd8", begin)) >= 0:
        found.append(data[begin : end + 2])
        begin = end + 2
    return [*found, data[begin:]]


class Camera:
    """Answers the kernel's requests; one thread, for as long as the process lives."""

    def __init__(self, scenes: Path) -> None:
        self.scenes = {file.stem: pictures_of(file) for file in scenes.glob("*.mjpeg")}
        self.scene = "bench"
        self.number = 0
        self.interval = INTERVALS[1] / 1e7
        self.floods = False
        self.broken = 0
        self.stalled_until = 0.0
        self.cable: socket.socket | None = None
        self.port = 0
        self.requests: deque[tuple[int, int]] = deque()
        """Bulk requests that wait for picture data: their number, their length."""
        self.sending = memoryview(b"")
        self.toggle = 0
        self.due = 0.0
        self.agreed = self.agreement(1, INTERVALS[1])

    def run(self) -> None:
        if not COMMANDS.exists():
            os.mkfifo(COMMANDS, 0o600)
        commands = os.open(COMMANDS, os.O_RDWR | os.O_NONBLOCK)
        self.plug()
        while True:
            sources: list[int | socket.socket] = [commands]
            if self.cable:
                sources.append(self.cable)
            readable, _, _ = select.select(sources, [], [], self.patience())
            try:
                if self.cable in readable:
                    self.answer()
                self.send_pictures()
            except OSError as error:
                print("the cable:", error, flush=True)
                self.cut()
            if commands in readable:
                for line in os.read(commands, 4096).decode().splitlines():
                    self.obey(line.split())

    def obey(self, command: list[str]) -> None:
        print(*command, flush=True)
        match command:
            case ["show", name] if name in self.scenes:
                self.scene = name
            case ["plug"]:
                self.plug()
            case ["unplug"]:
                self.unplug()
            case ["stall", seconds]:
                self.stalled_until = time.monotonic() + float(seconds)
            case ["corrupt", count]:
                self.broken = int(count)
            case ["floods" | "rate"]:
                self.floods = command == ["floods"]
            case _:
                print("not understood:", *command, flush=True)

    # The cable -------------------------------------------------------------------------

    def plug(self) -> None:
        if self.cable:
            return
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        for end in (ours, theirs):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        rows = [line.split() for line in (HUB / "status").read_text().splitlines()[1:]]
        self.port = next(
            int(row[1]) for row in rows if row[0] == "hs" and int(row[2]) == PORT_IS_FREE
        )
        self.requests.clear()
        self.sending, self.due = memoryview(b""), time.monotonic()
        self.agreed = self.agreement(1, INTERVALS[1])
        self.cable = ours
        attach = f"{self.port} {theirs.fileno()} {DEVICE_ID} {HIGH_SPEED}"
        (HUB / "attach").write_text(attach)
        theirs.close()

    def unplug(self) -> None:
        if self.cable:
            (HUB / "detach").write_text(str(self.port))
            self.cut()

    def cut(self) -> None:
        if self.cable:
            self.cable.close()
            self.cable = None

    # Requests --------------------------------------------------------------------------

    def answer(self) -> None:
        header = self.receive(48)
        command, number, _, inwards, endpoint = struct.unpack_from(">5I", header)
        if command == UNLINK:
            (victim,) = struct.unpack_from(">I", header, 20)
            waiting = [request for request in self.requests if request[0] == victim]
            for request in waiting:
                self.requests.remove(request)
            status = CONNECTION_RESET if waiting else 0
            self.transmit(struct.pack(">5Ii24x", RETURN_UNLINK, number, 0, 0, 0, status))
            return
        _, length, *_ = struct.unpack_from(">5i", header, 20)
        given = self.receive(length) if not inwards and length else b""
        if endpoint:
            self.requests.append((number, length))
            return
        reply = self.control(header[40:48], given)
        if reply is None:
            self.reply(number, STALLED_PIPE, b"")
        else:
            self.reply(number, 0, reply, taken=None if inwards else len(given))

    def reply(self, number: int, status: int, data: bytes, taken: int | None = None) -> None:
        length = len(data) if taken is None else taken
        header = struct.pack(">5I5i8x", RETURN_SUBMIT, number, 0, 0, 0, status, length, 0, 0, 0)
        self.transmit(header + data)

    def control(self, setup: bytes, given: bytes) -> bytes | None:
        """What the control endpoint answers; None is a refusal."""
        kind, request, value, index, length = struct.unpack("<BBHHH", setup)
        if (kind, request) == (0x80, 6):
            found = self.described(value >> 8, value & 255)
            return None if found is None else found[:length]
        if kind in (0x80, 0x81, 0x82) and request == 0:
            return bytes(2)[:length]
        if kind in (0x00, 0x01, 0x02):
            return b""
        if kind not in (0x21, 0xA1):
            return None
        interface, unit, selector = index & 255, index >> 8, value >> 8
        if interface == 1 and selector in (1, 2):
            return self.negotiate(selector, request, given, length)
        if interface == 0 and unit == 2 and selector in (2, 3):
            # Brightness and contrast: a range, and whatever is set.
            answers = {0x81: 128, 0x82: 0, 0x83: 255, 0x84: 1, 0x85: 2, 0x86: 3, 0x87: 128}
            return b"" if kind == 0x21 else words(answers.get(request, 0))[:length]
        if interface == 0 and unit == 0 and selector == 2:
            return b"\x06"[:length]
        return None

    def described(self, kind: int, number: int) -> bytes | None:
        if kind == 1:
            return DEVICE
        if kind == 2:
            return CONFIGURATION
        if kind == 3 and number < len(NAMES):
            text = NAMES[number].encode("utf-16le") if number else words(0x409)
            return bytes([2 + len(text), 3]) + text
        return None

    def negotiate(self, selector: int, request: int, given: bytes, length: int) -> bytes:
        """Probe (1) and commit (2): the station asks for a size and a rate, and is told what
        it gets."""
        if request == 0x01:
            frame = min(max(given[3], 1), len(SIZES))
            (asked,) = struct.unpack_from("<I", given, 4)
            interval = min(INTERVALS, key=lambda offered: abs(offered - asked))
            self.agreed = self.agreement(frame, interval)
            if selector == 2:
                self.interval = interval / 1e7
            return b""
        if request == 0x85:
            return words(len(self.agreed))[:length]
        if request == 0x86:
            return b"\x03"
        return self.agreed[:length]

    def agreement(self, frame: int, interval: int) -> bytes:
        return struct.pack(
            "<HBBIHHHHHIIIBBBB",
            *(1, 1, frame, interval, 0, 0, 0, 0, 0),
            *(LARGEST_PICTURE, LARGEST_PICTURE + 12, CLOCK_HERTZ, 3, 1, 1, 1),
        )

    # Pictures --------------------------------------------------------------------------

    def patience(self) -> float:
        """How long nothing needs to be done unless somebody asks."""
        if self.cable and self.requests and not self.sending:
            return min(max(0.0, max(self.due, self.stalled_until) - time.monotonic()), 0.5)
        return 0.5

    def send_pictures(self) -> None:
        while self.cable and self.requests:
            if not self.sending and not self.next_picture():
                return
            number, length = self.requests.popleft()
            part, self.sending = self.sending[:length], self.sending[length:]
            self.reply(number, 0, bytes(part))

    def next_picture(self) -> bool:
        now = time.monotonic()
        if now < self.stalled_until or (now < self.due and not self.floods):
            return False
        # Late pictures are not made up for: a real sensor has lost them.
        self.due = max(self.due + self.interval, now - self.interval)
        scene = self.scenes[self.scene]
        picture = scene[self.number % len(scene)]
        self.number += 1
        if self.broken:
            self.broken -= 1
            third = len(picture) // 3
            picture = picture[:third] + os.urandom(1000) + picture[third + 1000 : 2 * third]
        self.toggle ^= 1
        payload = bytes([2, 0x82 | self.toggle]) + picture
        # A transfer shorter than the request ends the picture; one of full packets would not.
        self.sending = memoryview(payload if len(payload) % 512 else payload + b"\0")
        return True

    def receive(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            assert self.cable is not None
            part = self.cable.recv(count - len(data))
            if not part:
                raise ConnectionError("the kernel let go")
            data += part
        return data

    def transmit(self, data: bytes) -> None:
        if self.cable:
            self.cable.sendall(data)


if __name__ == "__main__":
    Camera(Path(sys.argv[1])).run()
