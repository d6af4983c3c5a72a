#!/usr/bin/env python3
"""Checks the videos of an order against the seals that the recording station has signed.

    python3 verify.py              check the folder in which this file lies
    python3 verify.py --key FILE   and that the seals were signed with this very key

Needs nothing but Python 3.8 or later, and no internet. Exit code 0: all is as it was sealed.
"""

# This file is part of recorderd and is handed on with every export, so it stands alone. What it
# says a seal is, recorderd itself goes by, too.

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    _Point = tuple[int, int, int, int]

SEAL_FORMAT = "recorderd-seal-1"
PIECE_FORMAT = "recorderd-piece-1"
MANIFEST_FORMAT = "recorderd-proof-1"
SPKI_HEAD = bytes.fromhex("302a300506032b6570032100")
"""What comes before the 32 bytes of an Ed25519 key in a PUBLIC KEY file (RFC 8410)."""

FILE_FACTS = (
    "bytes", "codec", "encoder", "sha256", "crc32", "transcoded_from", "frames", "dropped",
    "width", "height"
)  # fmt: skip
"""What another file with the same pictures may change; those the camera damaged may be left out,
and all may be smaller."""
TIME_FACTS = ("started_at", "ended_at", "clock")
"""What may change when the clock is set after the recording."""
_SEAL_KINDS = {
    "number": int,
    "previous": str,
    "station": str,
    "recording_id": str,
    "what": str,
    "sealed_at": str,
    "facts": dict,
}
_PIECE_KINDS = {"original_sha256": str, "sha256": str, "from_ms": int, "to_ms": int}


class Broken(Exception):  # noqa: N818 - read by people, not by programs
    """Something is not as it was sealed; the text says what."""


# --- Ed25519 (RFC 8032, sections 5.1 and 6) ------------------------------------------------

_P = 2**255 - 19
_L = 2**252 + 27742317777372353535851937790883648493
_D = -121665 * pow(121666, _P - 2, _P) % _P
_ROOT = pow(2, (_P - 1) // 4, _P)


def _add(p: _Point, q: _Point) -> _Point:
    a = (p[1] - p[0]) * (q[1] - q[0]) % _P
    b = (p[1] + p[0]) * (q[1] + q[0]) % _P
    c = 2 * p[3] * q[3] * _D % _P
    d = 2 * p[2] * q[2] % _P
    e, f, g, h = b - a, d - c, d + c, b + a
    return (e * f % _P, g * h % _P, f * g % _P, e * h % _P)


def _times(scalar: int, point: _Point) -> _Point:
    total: _Point = (0, 1, 1, 0)
    while scalar:
        if scalar & 1:
            total = _add(total, point)
        point = _add(point, point)
        scalar >>= 1
    return total


def _x(y: int, sign: int) -> int | None:
    if y >= _P:
        return None
    square = (y * y - 1) * pow(_D * y * y + 1, _P - 2, _P) % _P
    if square == 0:
        return None if sign else 0
    x = pow(square, (_P + 3) // 8, _P)
    if (x * x - square) % _P:
        x = x * _ROOT % _P
    if (x * x - square) % _P:
        return None
    return _P - x if x & 1 != sign else x


def _point(encoded: bytes) -> _Point | None:
    y = int.from_bytes(encoded, "little")
    sign, y = y >> 255, y & (1 << 255) - 1
    x = _x(y, sign)
    return None if x is None else (x, y, 1, x * y % _P)


_BASE = _point((4 * pow(5, _P - 2, _P) % _P).to_bytes(32, "little"))


def signature_is_good(key: bytes, message: bytes, signature: bytes) -> bool:
    """Whether `signature` is that of `message` by the owner of the public `key`."""
    if len(key) != 32 or len(signature) != 64:
        return False
    signer, nonce = _point(key), _point(signature[:32])
    s = int.from_bytes(signature[32:], "little")
    if signer is None or nonce is None or _BASE is None or s >= _L:
        return False
    k = int.from_bytes(hashlib.sha512(signature[:32] + key + message).digest(), "little") % _L
    left, right = _times(s, _BASE), _add(nonce, _times(k, signer))
    return (left[0] * right[2] - right[0] * left[2]) % _P == 0 and (
        left[1] * right[2] - right[1] * left[2]
    ) % _P == 0


# --- What a seal is ------------------------------------------------------------------------


def canonical(document: dict[str, Any]) -> str:
    """The one text of a document that is hashed and signed: JSON, sorted, in ASCII."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def hash_of(statement: str) -> str:
    """The SHA-256 of a statement: what the next seal of the chain names as `previous`."""
    return hashlib.sha256(statement.encode("ascii", "backslashreplace")).hexdigest()


def read_statement(statement: str, wanted_format: str = SEAL_FORMAT) -> dict[str, Any]:
    """Take a signed text apart. Raises Broken if it is not one of ours, letter by letter."""
    try:
        document = json.loads(statement)
    except (ValueError, RecursionError):
        raise Broken("it cannot be read") from None
    if not isinstance(document, dict) or document.get("format") != wanted_format:
        raise Broken("it is of a kind that this program does not know")
    if canonical(document) != statement:
        raise Broken("its text was rewritten")
    kinds = _SEAL_KINDS if wanted_format == SEAL_FORMAT else _PIECE_KINDS
    if not all(isinstance(document.get(name), kind) for name, kind in kinds.items()):
        raise Broken("it is not complete")
    return document


def key_in(document: dict[str, Any]) -> bytes:
    """The public key that a statement names. Raises Broken."""
    key = document.get("key")
    if not isinstance(key, str) or not re.fullmatch("[0-9a-f]{64}", key):
        raise Broken("it names no key")
    return bytes.fromhex(key)


def read_seal(
    statement: str,
    seal: str,
    signature: str,
    is_good: Callable[[bytes, bytes, bytes], bool] = signature_is_good,
) -> dict[str, Any]:
    """Check one seal by itself and take it apart. Raises Broken."""
    document = read_statement(statement)
    if hash_of(statement) != seal:
        raise Broken("its hash is not that of its text: the text was changed")
    check_signature(document, statement, signature, is_good)
    return document


def check_signature(
    document: dict[str, Any],
    statement: str,
    signature: str,
    is_good: Callable[[bytes, bytes, bytes], bool] = signature_is_good,
) -> None:
    """Raises Broken if the owner of the named key did not sign this text."""
    try:
        signed = bytes.fromhex(signature)
    except ValueError:
        signed = b""
    if not is_good(key_in(document), statement.encode("ascii"), signed):
        raise Broken("its signature is wrong: who made it does not have the key it names")


def change_between(before: dict[str, Any], after: dict[str, Any]) -> str:
    """Name the change from one seal of a recording to the next, by its facts.

    "same"; "corrected": the clock was set afterwards, by the network or by hand, perhaps when the
    recording had been deleted already; "replaced": another file with the same pictures, which
    names the one before; "deleted". Raises Broken for any other change.
    """
    changed = {name for name in set(before) | set(after) if before.get(name) != after.get(name)}
    allowed: set[str] = set()
    what = "same"
    if before.get("deleted_at") is not None and changed - set(TIME_FACTS):
        raise Broken("the recording was changed after its deletion")
    if before.get("clock") == "unsynchronised" and after.get("clock") != "synchronised":
        allowed.update(TIME_FACTS)
        what = "corrected" if changed.intersection(TIME_FACTS) else what
    if before.get("sha256") and "transcoded_from" in changed:
        if before.get("codec") != "mjpeg" or after.get("transcoded_from") != before["sha256"]:
            raise Broken("the file was replaced by one that was not made from it")
        allowed.update(FILE_FACTS)
        what = "replaced"
    if after.get("deleted_at") != before.get("deleted_at"):
        allowed.add("deleted_at")
        what = "deleted"
    wrong = sorted(changed - allowed)
    if wrong:
        told = (f"{name} from {before.get(name)!r} to {after.get(name)!r}" for name in wrong)
        raise Broken("what may not change was changed: " + ", ".join(told))
    return what if changed else "same"


def pem_of(key: bytes) -> str:
    """A public key as openssl reads it."""
    return (
        "-----BEGIN PUBLIC KEY-----\n"
        + base64.b64encode(SPKI_HEAD + key).decode("ascii")
        + "\n-----END PUBLIC KEY-----\n"
    )


def key_in_pem(text: str) -> bytes:
    """Read an Ed25519 public key from a PEM file's text. Raises Broken."""
    body = re.search("-----BEGIN PUBLIC KEY-----(.*?)-----END PUBLIC KEY-----", text, re.DOTALL)
    try:
        der = base64.b64decode("".join(body.group(1).split()), validate=True) if body else b""
    except ValueError:
        der = b""
    if len(der) != 44 or not der.startswith(SPKI_HEAD):
        raise Broken("there is no Ed25519 public key in it")
    return der[len(SPKI_HEAD) :]


# --- Checking an export --------------------------------------------------------------------


class Check:
    """The check of one folder; `problems` and `lines` are what it has to say."""

    def __init__(self, folder: Path, key: bytes | None = None) -> None:
        self.folder = folder
        self.key = key
        self.problems: list[str] = []
        self.lines: list[str] = []
        self.keys: list[str] = []
        self._named = set(_OWN_FILES)

    def run(self) -> bool:
        """Look at everything; True if all is as it was sealed."""
        try:
            manifest = json.loads((self.folder / "manifest.json").read_text("ascii"))
            if manifest["format"] != MANIFEST_FORMAT:
                raise Broken("it is of a kind that this program does not know")
            recordings = list(manifest["recordings"])
            if not recordings:
                raise Broken("it names no recording")
            for recording in recordings:
                self._recording(recording)
        except (
            OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError, Broken,
        ) as error:  # fmt: skip
            self._problem("manifest.json", f"it cannot be used: {error}")
            return False
        for path in sorted(self.folder.glob("station-key*.pem")):
            self._named.add(path.name)
            try:
                if key_in_pem(path.read_text("ascii", "replace")).hex() not in self.keys:
                    raise Broken("it is another key than that of the seals")
            except (OSError, Broken) as error:
                self._problem(path.name, str(error))
        for path in sorted(self.folder.rglob("*")):
            name = path.relative_to(self.folder).as_posix()
            if path.is_file() and name not in self._named and not name.startswith("seals/"):
                self._problem(name, "it does not belong to this proof: no seal names it")
        return not self.problems

    def _recording(self, recording: dict[str, Any]) -> None:
        seals = [self._seal(each) for each in recording["seals"]]
        whole = [document for document in seals if document is not None]
        if not whole or len(whole) < len(seals):
            self._problem(str(recording["id"]), "without its seals nothing can be said of it")
            for name in (recording.get("video"), recording.get("still")):
                self._named.add(str(name))
            return
        self._in_line(str(recording["id"]), whole)
        newest = whole[-1]
        facts = newest["facts"]
        self._say(
            f"order {facts['order_id']}, take {facts['take']}, part {facts['part']}: recorded "
            f"{facts['started_at']} to {facts['ended_at']} (clock {facts['clock']}) at station "
            f"{facts['station']}; seal {newest['number']} of {newest['sealed_at']}"
        )
        if recording.get("video") is not None:
            if facts.get("deleted_at") is not None:
                self._problem(str(recording["video"]), "its seal says that it was deleted")
            else:
                self._file(str(recording["video"]), facts["sha256"])
        for piece in recording.get("pieces", ()):
            self._piece(piece, facts)
        if recording.get("still") is not None:
            self._file(str(recording["still"]), facts.get("still_sha256"))

    def _seal(self, entry: dict[str, Any]) -> dict[str, Any] | None:
        try:
            document = read_seal(entry["statement"], entry["seal"], entry["signature"])
            self._know(key_in(document))
        except Broken as error:
            self._problem(f"seal {str(entry['seal'])[:16]}", str(error))
            return None
        return document

    def _know(self, key: bytes) -> None:
        if key.hex() not in self.keys:
            self.keys.append(key.hex())
        if self.key is not None and key != self.key:
            raise Broken("it was signed with another key than the one you gave: it is forged")

    def _in_line(self, name: str, seals: list[dict[str, Any]]) -> None:
        """Whether a recording's seals follow from one another."""
        try:
            if seals[0]["what"] not in ("recorded", "deleted"):
                raise Broken(f"its first seal, {seals[0]['number']}, is not here")
            for document in seals:
                if document["facts"].get("id") != name or document["recording_id"] != name:
                    raise Broken(f"seal {document['number']} belongs to another recording")
            for before, after in zip(seals, seals[1:]):  # noqa: B905, RUF007 - Python 3.8
                if after["number"] <= before["number"]:
                    raise Broken("its seals are out of order")
                linked = after["previous"] == hash_of(canonical(before))
                if after["number"] == before["number"] + 1 and not linked:
                    raise Broken(f"seal {after['number']} does not follow {before['number']}")
                if change_between(before["facts"], after["facts"]) != after["what"]:
                    raise Broken(f"seal {after['number']} is not what it says it is")
        except Broken as error:
            self._problem(name, str(error))

    def _file(self, name: str, sealed: str | None) -> None:
        self._named.add(name)
        path = self.folder / name
        if ".." in Path(name).parts or Path(name).is_absolute():
            self._problem(name, "its name leads out of this folder")
        elif not path.is_file():
            self._problem(name, "it is missing")
        elif sealed is None:
            self._problem(name, "no seal says what it was")
        else:
            found = file_hash(path)
            if found != sealed:
                self._problem(
                    name, f"it was changed: its SHA-256 is {found}, the seal says {sealed}"
                )
            else:
                self._say(f"{name}: unchanged since it was sealed")

    def _piece(self, piece: dict[str, Any], facts: dict[str, Any]) -> None:
        name = str(piece["file"])
        try:
            document = read_statement(piece["statement"], PIECE_FORMAT)
            check_signature(document, piece["statement"], piece["signature"])
            self._know(key_in(document))
            if document["original_sha256"] != facts["sha256"]:
                raise Broken("it was cut from another video than the sealed one")
        except Broken as error:
            self._named.add(name)
            self._problem(name, str(error))
            return
        self._say(
            f"{name}: cut from the sealed video without re-encoding, "
            f"{document['from_ms'] / 1000:.3f} s to {document['to_ms'] / 1000:.3f} s"
        )
        self._file(name, document["sha256"])

    def _problem(self, name: str, what: str) -> None:
        self.problems.append(_printable(f"{name}: {what}"))

    def _say(self, line: str) -> None:
        self.lines.append(_printable(line))


_OWN_FILES = ("manifest.json", "verify.py", "README.txt", "summary.html")


def file_hash(path: Path) -> str:
    """The SHA-256 of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while True:
            chunk = file.read(1 << 20)
            if not chunk:
                return digest.hexdigest()
            digest.update(chunk)


def _printable(text: str) -> str:
    return "".join(
        character if character.isprintable() else ascii(character)[1:-1] for character in text
    )


def main() -> int:
    """Check the folder in which this file lies, or the one that is named."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path, nargs="?", default=Path(__file__).resolve().parent)
    parser.add_argument("--key", type=Path, metavar="FILE", help="the station's public key (PEM)")
    options = parser.parse_args()
    key = None
    if options.key is not None:
        try:
            key = key_in_pem(options.key.read_text("ascii", "replace"))
        except (OSError, Broken) as error:
            print(f"{options.key}: {error}", file=sys.stderr)
            return 2
    check = Check(options.folder, key)
    is_well = check.run()
    for line in check.lines:
        print(line)
    for used in check.keys:
        print(f"signed with the key {used}")
    for problem in check.problems:
        print(f"NOT AS SEALED: {problem}")
    if not is_well:
        print("At least one thing is not as it was sealed.")
    elif key is None:
        print("All is as it was sealed. Compare the key above with the one the sender published.")
    else:
        print("All is as it was sealed, with the key you gave.")
    return 0 if is_well else 1


if __name__ == "__main__":
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    sys.exit(main())
