"""`recorderd hold` and `recorderd release`: what is held is not deleted."""

from __future__ import annotations

import getpass
import os
import socket
from contextlib import closing

from recorderd.errors import CatalogueError, StorageError
from recorderd.recovery.permissions import as_owner_of
from recorderd.settings import Settings
from recorderd.store.catalogue import Catalogue
from recorderd.store.database import sqlite_path
from recorderd.store.holds import HoldAction, HoldOutcome, HoldRequest, change, take_in
from recorderd.terminal import escaped

_BUSY_SECONDS = 5.0


def run_hold(settings: Settings, action: str, order_id: str, reason: str) -> int:
    """Hold or release all takes and parts of an order, and say what that means.

    Returns 0 if it is now as was asked, 1 if there is nothing to hold or release. May run while
    the station records. Raises CatalogueError, StorageError.
    """
    path = sqlite_path(settings.database_url)
    if path is not None and not path.exists():
        raise CatalogueError(
            f"There is no catalogue at {path} yet",
            "Start the station once, or check station.state_folder and storage.database_url",
        )
    request = HoldRequest.now(HoldAction(action), order_id, who(), reason)
    try:
        # Files that root makes, the services could not write to.
        with (
            as_owner_of(settings.state_folder),
            closing(
                Catalogue.open(settings.database_url, settings.station.name, _BUSY_SECONDS)
            ) as catalogue,
        ):
            # What the staff pages asked for before comes first.
            take_in(settings, catalogue)
            outcome = change(catalogue, request)
    except OSError as error:
        raise StorageError(
            f"The state folder cannot be used: {error.strerror or error}",
            "Use sudo, or the account the service runs as",
        ) from error
    print(_in_words(request, outcome))
    return 0 if outcome.there else 1


def who() -> str:
    """The person at the keyboard, also behind sudo, and on which machine."""
    try:
        user = os.environ.get("SUDO_USER") or getpass.getuser()
    except (KeyError, OSError):
        user = f"user {os.getuid()}"
    return f"{user} on {socket.gethostname()}"


def _in_words(request: HoldRequest, outcome: HoldOutcome) -> str:
    order = f"Order {escaped(request.order_id)}"
    if not outcome.there:
        if outcome.deleted:
            return f"{order}: its videos are deleted already ({outcome.deleted})."
        return (
            f"{order} has no recordings. The whole order id is needed: "
            "'recorderd find' lists those that hold a part of it."
        )
    count = f"{outcome.there} recording{'s' * (outcome.there != 1)}"
    gone = f" {outcome.deleted} more are deleted already." if outcome.deleted else ""
    if request.action is HoldAction.HOLD:
        return f"{order} is held: {count}, and what is recorded of it later.{gone}"
    if outcome.changed:
        return f"{order} is released: {count}. Retention may delete them when their time is over."
    return f"{order} was not held: {count}."
