"""How fast files are sent: as fast as the network takes them, unless an order is being recorded.

Sending is nearly free, but on a small computer with a fast network twenty downloads would still
take the disk and the processor from the recorder.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final

_LONGEST_TURN_SECONDS: Final = 0.05
_LEAST_TURN_BYTES: Final = 65_536
_FRESH_SECONDS: Final = 1.0


class Pace:
    """Shares so many bytes a second among all who download; used by the event loop only."""

    def __init__(
        self,
        bytes_per_second: float,
        is_recording: Callable[[], Awaitable[bool]],
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """`is_recording` is asked once a second; 0 bytes a second means without limit."""
        self._bytes_per_second = bytes_per_second
        self._is_recording = is_recording
        self._clock = clock
        self._sleep = sleep
        self._limited = False
        self._look_at = clock()
        self._free_at = clock()
        self._turn = asyncio.Lock()

    async def wait(self, most: int, still_wanted: Callable[[], bool]) -> int:
        """Wait for one's turn to send; returns how many bytes, at most `most`.

        Who is no longer there when the turn comes takes none of what is shared, and gets 0.
        """
        if not self._bytes_per_second or not await self._is_limited():
            return most
        # Turns are given in the order in which they were asked for.
        async with self._turn:
            if not still_wanted():
                return 0
            now = self._clock()
            if self._free_at > now:
                await self._sleep(self._free_at - now)
            if not still_wanted():
                return 0
            count = min(most, max(_LEAST_TURN_BYTES, self._largest_turn))
            self._free_at = max(self._free_at, self._clock()) + count / self._bytes_per_second
            return count

    @property
    def _largest_turn(self) -> int:
        return int(self._bytes_per_second * _LONGEST_TURN_SECONDS)

    async def _is_limited(self) -> bool:
        now = self._clock()
        if now >= self._look_at:
            # Set before asking: who comes meanwhile goes by the last answer.
            self._look_at = now + _FRESH_SECONDS
            self._limited = await self._is_recording()
        return self._limited
