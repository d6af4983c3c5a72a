"""Signing what is handed out, so that it can be trusted when it comes back."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import secrets
import time
from pathlib import Path
from typing import Final

_KEY_BYTES: Final = 32
_SIGNATURE_BYTES: Final = 24


class Signer:
    """Signs short texts with an expiry. The key is made on first use and survives restarts."""

    def __init__(self, key_file: Path) -> None:
        self._file = key_file
        self._key: bytes | None = None

    def sign(self, text: str, seconds: float) -> str:
        """The text with its expiry and signature, fit for an address. Raises OSError."""
        expiring = f"{text}.{int(time.time() + seconds)}"
        return f"{expiring}.{self._signature(expiring)}"

    def read(self, signed: str) -> str | None:
        """The text, if it was signed here and has not expired. Raises OSError."""
        expiring, _, signature = signed.rpartition(".")
        text, _, expiry = expiring.rpartition(".")
        expected = self._signature(expiring)
        if not hmac.compare_digest(expected.encode(), signature.encode("utf-8", "replace")):
            return None
        return text if int(expiry) > time.time() else None

    def digest(self, text: str) -> bytes:
        """A fingerprint that only this server can make."""
        return hmac.digest(self._loaded(), text.encode("utf-8", "replace"), hashlib.sha256)

    def _signature(self, text: str) -> str:
        digest = self.digest(text)[:_SIGNATURE_BYTES]
        return base64.urlsafe_b64encode(digest).decode()

    def _loaded(self) -> bytes:
        if self._key is None:
            self._key = _load_or_make(self._file)
        return self._key


def _load_or_make(file: Path) -> bytes:
    try:
        key = file.read_bytes()
    except FileNotFoundError:
        key = b""
    if len(key) == _KEY_BYTES:
        return key
    key = secrets.token_bytes(_KEY_BYTES)
    half_written = file.with_suffix(".tmp")
    half_written.unlink(missing_ok=True)
    descriptor = os.open(half_written, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as opened:
        opened.write(key)
    half_written.replace(file)
    return key
