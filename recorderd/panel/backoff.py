"""When to try a device again that failed."""

from __future__ import annotations

from recorderd.core.model import NANOSECONDS_PER_SECOND, Nanoseconds

SHORTEST_DELAY: Nanoseconds = 1 * NANOSECONDS_PER_SECOND
LONGEST_DELAY: Nanoseconds = 30 * NANOSECONDS_PER_SECOND


class Backoff:
    """Doubles the delay with each failure, from 1 to 30 s.

    Only a device that worked for the longest delay is forgiven its failures: one that
    opens and fails at once, again and again, must not flicker once a second.
    """

    def __init__(self) -> None:
        self._delay = SHORTEST_DELAY
        self._working_since: Nanoseconds | None = None

    def worked(self, now_ns: Nanoseconds) -> None:
        """The device was opened and works."""
        self._working_since = now_ns

    def failed(self, now_ns: Nanoseconds) -> Nanoseconds:
        """The device could not be opened, or failed later. Returns when to try again."""
        since, self._working_since = self._working_since, None
        if since is not None and now_ns - since >= LONGEST_DELAY:
            self._delay = SHORTEST_DELAY
        retry_ns = now_ns + self._delay
        self._delay = min(2 * self._delay, LONGEST_DELAY)
        return retry_ns
