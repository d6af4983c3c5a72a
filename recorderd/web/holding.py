"""Holding an order from its page: a form that needs no JavaScript, safe from other web sites."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

import structlog
from aiohttp import web

from recorderd.settings import Settings
from recorderd.store.holds import HoldAction, HoldRequest, ask, last_entry, pending
from recorderd.store.reader import RecordingRow
from recorderd.store.schema import moment_of
from recorderd.web.archive import Archive
from recorderd.web.forms import form_of, token_for
from recorderd.web.guard import CLIENT
from recorderd.web.keys import Signer
from recorderd.web.library import look_up
from recorderd.web.problems import ProblemError
from recorderd.web.templates import PREFIX

LONGEST_NAME: Final = 80
LONGEST_REASON: Final = 500
_WHAT: Final = "hold-"
_GONE: Final = frozenset({"deleting", "deleted"})

log = structlog.get_logger("web")


@dataclass(frozen=True, slots=True)
class Hold:
    """What a page says about it: `at` and `detail` are when, who and why, as far as known.

    `token` is what the form sends back; None if nobody may hold or release here.
    """

    held: bool
    at: datetime | None
    detail: str
    token: str | None


class Holding:
    """Knows who holds what, and takes requests; the catalogue is changed by the finisher."""

    def __init__(self, settings: Settings, archive: Archive, signer: Signer) -> None:
        self._settings = settings
        self._archive = archive
        self._signer = signer

    async def look(self, recording_id: str) -> tuple[RecordingRow, list[RecordingRow], Hold]:
        """The recording, those of the same order, and whether they are held.

        Raises ProblemError, CatalogueError.
        """
        return await self._archive.ask(self._look, recording_id)

    async def change(self, request: web.Request) -> web.StreamResponse:
        """Answer the form: hold or release all takes and parts of the recording's order."""
        if not self._settings.web.holding:
            raise ProblemError(
                404, "Orders are not held here", "web.holding in the settings allows it."
            )
        recording_id = request.match_info["id"]
        form = await form_of(request, _WHAT + recording_id, self._signer, "the video's page")
        row, _ = await self._archive.ask(look_up, self._settings, recording_id)
        asked = _asked(
            row.order_id,
            str(form.get("action", "")),
            str(form.get("who", "")),
            str(form.get("reason", "")),
            request[CLIENT],
        )
        try:
            accepted = await self._archive.ask(
                ask, self._settings, asked, lambda: self._is_there(recording_id)
            )
        except OSError as error:
            log.error("a hold request could not be written down", problem=str(error))
            raise ProblemError(
                503,
                "The order could not be held",
                "The station's disk takes no request now. Tell the technician at once.",
            ) from None
        if not accepted:
            raise ProblemError(
                410, "This video was deleted", "It was too late. What is known of it is kept."
            )
        raise web.HTTPSeeOther(f"{request.config_dict[PREFIX]}/recordings/{recording_id}#hold")

    def _look(self, recording_id: str) -> tuple[RecordingRow, list[RecordingRow], Hold]:
        # First what waits, for it is taken away when the catalogue has it.
        waiting = self._waiting()
        row, siblings = look_up(self._settings, recording_id)
        request = waiting.get(row.order_id)
        if request is not None:
            held = request.action is HoldAction.HOLD
            at, detail = moment_of(request.at_us), f"by {request.who}: {request.reason}"
            return row, siblings, Hold(held, at, detail, self._token(row))
        entry = last_entry(self._settings.database_url, row.id) if row.held else None
        hold = Hold(
            row.held,
            entry.at if entry else None,
            entry.detail if entry else "",
            self._token(row),
        )
        return row, siblings, hold

    def _waiting(self) -> dict[str, HoldRequest]:
        try:
            return pending(self._settings)
        except OSError as error:
            log.warning("requests to hold orders cannot be read", problem=str(error))
            return {}

    def _token(self, row: RecordingRow) -> str | None:
        if not self._settings.web.holding or row.state in _GONE:
            return None
        return token_for(_WHAT + row.id, self._signer)

    def _is_there(self, recording_id: str) -> bool:
        row, _ = look_up(self._settings, recording_id)
        return row.state not in _GONE


def _asked(order_id: str, action: str, who: str, reason: str, client: str) -> HoldRequest:
    """Read the form's fields. Raises ProblemError."""
    who, reason = " ".join(who.split()), " ".join(reason.split())
    if action not in set(HoldAction):
        raise ProblemError(400, "That cannot be done", "An order is held or released.")
    if not who or not reason or len(who) > LONGEST_NAME or len(reason) > LONGEST_REASON:
        raise ProblemError(
            400,
            "Your name and the reason are needed",
            f"At most {LONGEST_NAME} and {LONGEST_REASON} characters. Go back and write them.",
        )
    return HoldRequest.now(HoldAction(action), order_id, f"{who} ({client})", reason)
