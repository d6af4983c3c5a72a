"""Time stamps from an authority (RFC 3161): that a seal existed at a time not ours to choose.

Only the seal's hash is sent. Who holds the authority's root certificate can check the answer with
`openssl ts -verify`, without us.
"""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import structlog
from cryptography.x509 import Certificate, load_pem_x509_certificates
from peewee import JOIN
from rfc3161_client import (
    HashAlgorithm,
    TimestampRequestBuilder,
    TimeStampResponse,
    VerificationError,
    VerifierBuilder,
    decode_timestamp_response,
)

from recorderd.config import without_password
from recorderd.errors import DeviceError, StorageError
from recorderd.proof.stand_alone import hash_of
from recorderd.settings import EvidenceSettings
from recorderd.store.catalogue import Catalogue

_ANSWER_SECONDS: Final = 15.0
_PAUSE_SECONDS: Final = 600.0
"""An authority that does not answer is left alone for so long."""
_MOST_AT_ONCE: Final = 20
_LARGEST_ANSWER: Final = 100_000
_GRANTED: Final = (0, 1)

log = structlog.get_logger("proof")


class Stamper:
    """Has the newest seals stamped, a few at a time. For one thread."""

    def __init__(
        self, settings: EvidenceSettings, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._not_before = clock()

    def stamp(self, catalogue: Catalogue, leave: Callable[[], bool]) -> int:
        """Have what waits stamped, oldest first; returns how many were. Raises CatalogueError.

        Waits for the authority, at most some seconds; not again for ten minutes if it fails.
        """
        if not self._settings.timestamp_url or self._clock() < self._not_before:
            return 0
        count = 0
        for seal, statement in _waiting(catalogue):
            if leave():
                break
            try:
                answer, moment = ask(self._settings, statement)
            except (DeviceError, StorageError) as error:
                self._not_before = self._clock() + _PAUSE_SECONDS
                log.warning("a seal could not be time-stamped", problem=str(error))
                break
            with catalogue.transaction() as tables:
                tables.time_stamps.insert(
                    seal=seal,
                    authority=without_password(self._settings.timestamp_url),
                    stamped_at=moment,
                    response=answer.hex(),
                ).execute()
            count += 1
        return count


def _waiting(catalogue: Catalogue) -> list[tuple[str, str]]:
    with catalogue.reading() as tables:
        seals, stamps = tables.seals, tables.time_stamps
        query: Any = (
            seals.select(seals.seal, seals.statement)
            .join(stamps, JOIN.LEFT_OUTER, on=stamps.seal == seals.seal)
            .where(seals.station == catalogue.station, stamps.id.is_null())
            .order_by(seals.number)
            .limit(_MOST_AT_ONCE)
        )
        return [(seal, statement) for seal, statement in query.tuples()]


def ask(settings: EvidenceSettings, statement: str) -> tuple[bytes, datetime]:
    """Have one statement stamped: the authority's answer, and the time in it.

    Raises DeviceError if it does not answer as it should, StorageError if the file with its root
    certificates cannot be used.
    """
    shown = without_password(settings.timestamp_url)
    message = statement.encode("ascii")
    request = TimestampRequestBuilder().data(message).hash_algorithm(HashAlgorithm.SHA256).build()
    asked = urllib.request.Request(  # noqa: S310 - the setting allows http and https only
        settings.timestamp_url,
        data=request.as_bytes(),
        headers={"Content-Type": "application/timestamp-query"},
    )
    try:
        with urllib.request.urlopen(asked, timeout=_ANSWER_SECONDS) as opened:  # noqa: S310
            answer: bytes = opened.read(_LARGEST_ANSWER)
        response = decode_timestamp_response(answer)
        if response.status not in _GRANTED:
            raise ValueError(f"it refused: {response.status_string}")
        if response.tst_info.nonce != request.nonce:
            raise ValueError("it answered another question")
        _check(response, hash_of(statement), roots_of(settings))
        return answer, response.tst_info.gen_time
    except (OSError, ValueError, VerificationError, urllib.error.URLError) as error:
        raise DeviceError(
            f"The time-stamping authority {shown} did not do its work: {error}",
            "Check evidence.timestamp_url and the network; recording and sealing go on without it",
        ) from error


def check_stored(response: str, seal: str, roots: list[Certificate]) -> None:
    """Whether a stored answer is the stamp of a seal. Raises ValueError with the reason."""
    try:
        _check(decode_timestamp_response(bytes.fromhex(response)), seal, roots)
    except VerificationError as error:
        raise ValueError(str(error)) from error


def _check(response: TimeStampResponse, seal: str, roots: list[Certificate]) -> None:
    """Whether an answer is for this seal, and, if `roots` are known, the authority's.

    Raises VerificationError, ValueError.
    """
    digest = bytes.fromhex(seal)
    if response.tst_info.message_imprint.message != digest:
        raise ValueError("it is the stamp of something else")
    if roots:
        builder = VerifierBuilder()
        for root in roots:
            builder = builder.add_root_certificate(root)
        builder.build().verify(response, digest)


def roots_of(settings: EvidenceSettings) -> list[Certificate]:
    """The authority's root certificates, none if none were named. Raises StorageError."""
    if not settings.timestamp_ca_file:
        return []
    path = Path(settings.timestamp_ca_file)
    try:
        return load_pem_x509_certificates(path.read_bytes())
    except (OSError, ValueError) as error:
        raise StorageError(
            f"{path} holds no certificates that can be read: {error}",
            "Check evidence.timestamp_ca_file",
        ) from error
