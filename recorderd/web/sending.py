"""Sending files: whole or in parts, straight from the disk's cache to the network card."""

from __future__ import annotations

import asyncio
import os
import secrets
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, Protocol

import structlog
from aiohttp import web

from recorderd.web.archive import Archive
from recorderd.web.pacing import Pace
from recorderd.web.problems import ProblemError
from recorderd.web.ranges import Part, Validators, parts, precondition, range_counts

_CHUNK_BYTES: Final = 4 << 20
_READ_BYTES: Final = 1 << 20
_CHUNK_SECONDS: Final = 120.0
"""A client that takes longer for one chunk (35 kB/s) has gone, or means harm."""

log = structlog.get_logger("web")


@dataclass(frozen=True, slots=True)
class Span:
    """Bytes of an open file, from `position` up to `end`, not included."""

    file: BinaryIO
    position: int
    end: int


class Content(Protocol):
    """What can be sent: `size` bytes, of which any part can be asked for."""

    @property
    def size(self) -> int: ...

    @property
    def validators(self) -> Validators: ...

    def spans(self, part: Part) -> Sequence[bytes | Span]: ...

    def close(self) -> None: ...


class OpenFile:
    """A regular file, open for reading, and what tells this version of it from others.

    What is sent is `head` and then the file from `begin` on, `size` bytes in all: for most
    files no head, and the file as it is.
    """

    def __init__(self, path: Path) -> None:
        """May wait for the disk. Raises OSError."""
        self.head = b""
        self.begin = 0
        # Without O_NONBLOCK, opening a pipe would wait for somebody to write into it.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        self.file: BinaryIO = os.fdopen(descriptor, "rb", buffering=0)
        status = os.fstat(self.file.fileno())
        if not stat.S_ISREG(status.st_mode):
            self.file.close()
            raise FileNotFoundError(f"{path} is not a file")
        self.size = status.st_size
        self.validators = Validators.of(status.st_ino, status.st_mtime_ns, status.st_size)

    def spans(self, part: Part) -> list[bytes | Span]:
        """What to send of it, in order."""
        found: list[bytes | Span] = []
        if part.start < len(self.head):
            found.append(self.head[part.start : part.end + 1])
        moved = self.begin - len(self.head)
        position, end = max(part.start + moved, self.begin), part.end + 1 + moved
        if position < end:
            found.append(Span(self.file, position, end))
        return found

    def close(self) -> None:
        """Close the file."""
        self.file.close()


class Sender:
    """Answers requests with files; used by the event loop only."""

    def __init__(self, archive: Archive, pace: Pace) -> None:
        self._archive = archive
        self._pace = pace

    async def open(self, path: Path) -> OpenFile:
        """Open a file of the footage disk. Raises FileNotFoundError whatever is wrong with it."""
        try:
            return await self._archive.fetch(OpenFile, path)
        except OSError as error:
            if not isinstance(error, FileNotFoundError):
                log.warning("a file cannot be opened", path=str(path), problem=error.strerror)
            raise FileNotFoundError(str(path)) from error

    async def send_opened(
        self, request: web.Request, opened: Content, headers: Mapping[str, str]
    ) -> web.StreamResponse:
        """Answer with an open file as RFC 9110 has it; it is closed afterwards.

        `headers` are those of the file itself; Content-Type must be one of them.
        """
        try:
            return await self._answer(request, opened, headers)
        finally:
            opened.close()

    async def _answer(
        self, request: web.Request, opened: Content, headers: Mapping[str, str]
    ) -> web.StreamResponse:
        validators = opened.validators
        always = {
            "ETag": validators.etag,
            "Last-Modified": validators.last_modified,
            "Accept-Ranges": "bytes",
            "Cache-Control": "private, no-cache",
        }
        asked = request.headers
        status = precondition(
            validators,
            if_match=asked.get("If-Match"),
            if_none_match=asked.get("If-None-Match"),
            if_modified_since=asked.get("If-Modified-Since"),
            if_unmodified_since=asked.get("If-Unmodified-Since"),
        )
        if status is not None:
            kept = {name: headers[name] for name in ("Cache-Control",) if name in headers}
            return web.Response(status=status, headers={**always, **kept})
        wanted = None
        if request.method == "GET" and range_counts(asked.get("If-Range"), validators):
            wanted = parts(asked.get("Range"), opened.size)
        if wanted is None:
            whole = [Part(0, opened.size - 1)] if opened.size else []
            return await self._stream(request, opened, 200, {**always, **headers}, whole)
        if not wanted:
            return web.Response(
                status=416, headers={**always, "Content-Range": f"bytes */{opened.size}"}
            )
        if len(wanted) == 1:
            content_range = _content_range(wanted[0], opened.size)
            with_range = {**always, **headers, "Content-Range": content_range}
            return await self._stream(request, opened, 206, with_range, wanted)
        boundary = secrets.token_hex(16)
        inner_type = headers["Content-Type"]
        outer = {**always, **headers, "Content-Type": f"multipart/byteranges; boundary={boundary}"}
        return await self._stream(request, opened, 206, outer, wanted, (boundary, inner_type))

    async def _stream(
        self,
        request: web.Request,
        opened: Content,
        status: int,
        headers: Mapping[str, str],
        wanted: list[Part],
        multipart: tuple[str, str] | None = None,
    ) -> web.StreamResponse:
        heads, tail = _frames(wanted, opened.size, multipart)
        response = web.StreamResponse(status=status, headers=headers)
        response.content_length = (
            sum(map(len, heads)) + sum(part.count for part in wanted) + len(tail)
        )
        await response.prepare(request)
        if request.method == "HEAD":
            return response
        try:
            for head, part in zip(heads, wanted, strict=True):
                for span in [head, *opened.spans(part)]:
                    if isinstance(span, Span):
                        await self._copy(request, span)
                    elif span:
                        async with asyncio.timeout(_CHUNK_SECONDS):
                            await response.write(span)
            await response.write(tail)
            await response.write_eof()
        except ConnectionError:
            # A client may leave at any time, and players do so whenever somebody seeks.
            pass
        except (OSError, TimeoutError, ProblemError) as error:
            # The answer has begun: all that can still be said is that it is not whole.
            log.warning("a file could not be sent to its end", problem=str(error))
            if request.transport is not None:
                request.transport.abort()
        return response

    async def _copy(self, request: web.Request, span: Span) -> None:
        """Let the kernel copy from file to socket (sendfile(2)), a chunk at a time.

        Raises ConnectionError when the client left or stopped reading; OSError, ProblemError
        when the disk fails.
        """
        loop = asyncio.get_running_loop()
        position = span.position
        while position < span.end:
            most = min(_CHUNK_BYTES, span.end - position)
            count = await self._pace.wait(most, lambda: _is_there(request))
            if not count:
                raise ConnectionResetError("the client left")
            if not _is_in_memory(span.file, position, count):
                # sendfile would let the whole event loop wait for the disk.
                await self._archive.fetch(_read_ahead, span.file, position, count)
            transport = request.transport
            if transport is None or transport.is_closing():
                raise ConnectionResetError("the client left")
            try:
                async with asyncio.timeout(_CHUNK_SECONDS):
                    sent = await loop.sendfile(transport, span.file, position, count)
            except TimeoutError:
                transport.abort()
                raise ConnectionResetError("the client stopped reading") from None
            except RuntimeError as error:
                # The transport may close between two looks at it.
                raise ConnectionResetError("the client left") from error
            if sent == 0:
                raise OSError("the file became shorter than it was")
            position += sent


def _frames(
    wanted: list[Part], size: int, multipart: tuple[str, str] | None
) -> tuple[list[bytes], bytes]:
    """What stands before each part, and behind the last one."""
    if multipart is None:
        return [b"" for _ in wanted], b""
    boundary, content_type = multipart
    heads = [
        f"\r\n--{boundary}\r\nContent-Type: {content_type}\r\n"
        f"Content-Range: {_content_range(part, size)}\r\n\r\n".encode()
        for part in wanted
    ]
    return heads, f"\r\n--{boundary}--\r\n".encode()


def _is_there(request: web.Request) -> bool:
    return request.transport is not None and not request.transport.is_closing()


def _is_in_memory(file: BinaryIO, position: int, count: int) -> bool:
    """Whether the kernel has the first and the last of these bytes in its cache (preadv2(2))."""
    try:
        for place in (position, position + count - 1):
            os.preadv(file.fileno(), [bytearray(1)], place, os.RWF_NOWAIT)
    except OSError:
        # Not there, or a file system that cannot tell.
        return False
    return True


def _read_ahead(file: BinaryIO, position: int, count: int) -> None:
    """Bring bytes into the kernel's cache. Waits for the disk. Raises OSError."""
    end = position + count
    while position < end:
        read = len(os.pread(file.fileno(), min(_READ_BYTES, end - position), position))
        if not read:
            return
        position += read


def _content_range(part: Part, size: int) -> str:
    return f"bytes {part.start}-{part.end}/{size}"
