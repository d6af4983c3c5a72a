"""The station's own key: made once, on this computer, and never leaving it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

import structlog
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from recorderd.errors import StorageError
from recorderd.proof.stand_alone import Broken, key_in_pem, pem_of
from recorderd.settings import Settings
from recorderd.store.footage import sync_folder, write_synced

_PRIVATE_MODE: Final = 0o600
_SHORT: Final = 16

log = structlog.get_logger("proof")


class StationKey:
    """An Ed25519 key (RFC 8032) with which this station signs its seals."""

    def __init__(self, private: Ed25519PrivateKey) -> None:
        self._private = private
        self.public: bytes = private.public_key().public_bytes_raw()

    def sign(self, text: str) -> str:
        """The signature of an ASCII text, hexadecimal."""
        return self._private.sign(text.encode("ascii")).hex()


def load_or_make(settings: Settings) -> StationKey:
    """The station's key; made now if there is none yet. Raises StorageError.

    A key that is there but cannot be read is never replaced.
    """
    key = load(settings)
    if key is None:
        try:
            key = _make(settings.key_file)
            log.info("a key for the seals was made", key=key.public.hex())
        except FileExistsError:
            # Another process was quicker.
            key = load(settings)
            if key is None:
                raise _damaged(settings.key_file) from None
    _publish(settings.public_key_file, key.public)
    return key


def load(settings: Settings) -> StationKey | None:
    """The station's key, or None if none was made yet. Raises StorageError."""
    path = settings.key_file
    try:
        private = load_pem_private_key(path.read_bytes(), None)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StorageError(
            f"The station's key {path} cannot be read: {error.strerror}",
            "Use sudo, or the account the service runs as",
        ) from error
    except (ValueError, TypeError) as error:
        raise _damaged(path) from error
    if not isinstance(private, Ed25519PrivateKey):
        raise _damaged(path)
    return StationKey(private)


def known_keys(settings: Settings) -> dict[bytes, Path]:
    """The public keys that this station has, and has had, with their files.

    Files that hold none are passed over.
    """
    return dict(_public_keys(settings.public_key_file))


def is_good(key: bytes, message: bytes, signature: bytes) -> bool:
    """Whether a signature is right; the same as in the stand-alone verifier, but fast."""
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def _damaged(path: Path) -> StorageError:
    return StorageError(
        f"The station's key {path} holds no Ed25519 key",
        "Put it back from a backup. If there is none, move the file away: a new key is made, "
        "and 'recorderd verify' names the change",
    )


def _make(path: Path) -> StationKey:
    private = Ed25519PrivateKey.generate()
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    _write_whole(path, pem, _PRIVATE_MODE, keep=True)
    return StationKey(private)


def _publish(path: Path, public: bytes) -> None:
    """Put the public key beside the private one; that of a key before it is kept."""
    with suppress(FileNotFoundError, Broken, OSError):
        before = key_in_pem(path.read_text("ascii", "replace"))
        if before == public:
            return
        kept = path.with_name(f"{path.stem}-{before.hex()[:_SHORT]}{path.suffix}")
        _write_whole(kept, pem_of(before).encode("ascii"), 0o644)
        log.warning("the station has another key than before", key=public.hex())
    _write_whole(path, pem_of(public).encode("ascii"), 0o644)


def _public_keys(path: Path) -> Iterator[tuple[bytes, Path]]:
    for file in sorted(path.parent.glob(f"{path.stem}*{path.suffix}")):
        with suppress(OSError, Broken):
            yield key_in_pem(file.read_text("ascii", "replace")), file


def _write_whole(path: Path, contents: bytes, mode: int, *, keep: bool = False) -> None:
    """Write a file so that a power cut leaves all of it or nothing. Raises StorageError.

    With `keep` a file that is there stays: FileExistsError.
    """
    half_written = path.with_name(f"{path.name}.{os.getpid()}.new")
    half_written.unlink(missing_ok=True)
    try:
        write_synced(half_written, contents, mode=mode)
        if keep:
            os.link(half_written, path)
            half_written.unlink()
        else:
            os.replace(half_written, path)  # noqa: PTH105
    except FileExistsError:
        half_written.unlink(missing_ok=True)
        raise
    except OSError as error:
        raise StorageError(
            f"{path} cannot be written: {error.strerror}",
            "Give the state folder to the user the service runs as, and make room on its disk",
        ) from error
    sync_folder(path.parent)
