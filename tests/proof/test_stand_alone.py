"""The verifier that is handed on: what it calls a signature, a seal, a lawful change."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from recorderd.proof import stand_alone
from recorderd.proof.key import is_good
from recorderd.proof.stand_alone import (
    Broken,
    canonical,
    change_between,
    key_in_pem,
    pem_of,
    read_statement,
    signature_is_good,
)

RFC_8032 = [  # section 7.1: public key, message, signature
    (
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e3970"
        "1cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ),
    (
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613"
        "d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ),
]
KEYS = [Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32) for number in range(4)]


@pytest.mark.parametrize(("key", "message", "signature"), RFC_8032)
def test_examples_of_the_rfc(key: str, message: str, signature: str) -> None:
    parts = bytes.fromhex(key), bytes.fromhex(message), bytes.fromhex(signature)
    assert signature_is_good(*parts)
    assert not signature_is_good(parts[0], parts[1] + b"x", parts[2])


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(KEYS), st.binary(max_size=300))
def test_signs_of_the_library_are_good(private: Ed25519PrivateKey, message: bytes) -> None:
    key, signature = private.public_key().public_bytes_raw(), private.sign(message)
    assert signature_is_good(key, message, signature)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(KEYS), st.integers(0, 8 * 96 - 1))
def test_a_flipped_bit_is_found_in_signature_and_key(private: Ed25519PrivateKey, bit: int) -> None:
    message = b"what was sealed"
    whole = bytearray(private.public_key().public_bytes_raw() + private.sign(message))
    whole[bit // 8] ^= 1 << bit % 8
    key, signature = bytes(whole[:32]), bytes(whole[32:])
    assert not signature_is_good(key, message, signature)
    assert not is_good(key, message, signature)


@pytest.mark.parametrize(("key", "signature"), [(b"", b""), (bytes(31), bytes(64))])
def test_what_is_no_key_and_no_signature(key: bytes, signature: bytes) -> None:
    assert not signature_is_good(key, b"", signature)
    assert not is_good(key, b"", signature)


def test_a_second_form_of_a_signature_is_refused() -> None:
    """S + L signs the same, if it is not looked at (malleability, RFC 8032 section 8.4)."""
    order = 2**252 + 27742317777372353535851937790883648493
    signature = KEYS[0].sign(b"x")
    s = int.from_bytes(signature[32:], "little") + order
    second = signature[:32] + s.to_bytes(32, "little")
    assert not signature_is_good(KEYS[0].public_key().public_bytes_raw(), b"x", second)


def test_the_key_file_is_the_one_of_the_library() -> None:
    public = KEYS[0].public_key()
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    assert pem_of(public.public_bytes_raw()) == pem
    assert key_in_pem(pem) == public.public_bytes_raw()
    with pytest.raises(Broken):
        key_in_pem(pem.replace("MCow", "MCox"))


@given(st.dictionaries(st.text(), st.text() | st.integers() | st.none() | st.booleans()))
def test_one_text_for_one_document(facts: dict[str, object]) -> None:
    texts = dict.fromkeys(("previous", "station", "recording_id", "what", "sealed_at"), "x")
    document = {"format": "recorderd-seal-1", "number": 1, "facts": facts, **texts}
    text = canonical(document)
    assert text.isascii()
    assert read_statement(text) == document
    with pytest.raises(Broken):
        read_statement(text + " ")


FACTS: dict[str, object] = {
    "id": "1", "order_id": "SO-1", "clock": "unsynchronised", "started_at": "a", "ended_at": "b",
    "sha256": "aa", "codec": "mjpeg", "bytes": 2, "transcoded_from": None, "deleted_at": None,
}  # fmt: skip


@pytest.mark.parametrize(
    ("columns", "what"),
    [
        ({}, "same"),
        ({"clock": "corrected", "started_at": "c", "ended_at": "d"}, "corrected"),
        ({"started_at": "c", "ended_at": "d"}, "corrected"),
        ({"sha256": "bb", "bytes": 1, "codec": "h264", "transcoded_from": "aa"}, "replaced"),
        ({"deleted_at": "e"}, "deleted"),
        ({"deleted_at": "e", "sha256": None, "transcoded_from": "aa"}, "deleted"),
    ],
)
def test_lawful_changes(columns: dict[str, object], what: str) -> None:
    assert change_between(FACTS, FACTS | columns) == what


@pytest.mark.parametrize(
    "columns",
    [
        {"order_id": "SO-2"},
        {"clock": "synchronised"},
        {"clock": "corrected", "order_id": "SO-2"},
        {"sha256": "bb"},
        {"sha256": "bb", "transcoded_from": "cc"},
        {"deleted_at": "e", "order_id": "SO-2"},
        {"new": 1},
    ],
)
def test_other_changes_are_named(columns: dict[str, object]) -> None:
    with pytest.raises(Broken):
        change_between(FACTS, FACTS | columns)


@pytest.mark.parametrize("clock", ["synchronised", "corrected"])
def test_times_that_were_vouched_for_do_not_change(clock: str) -> None:
    vouched = FACTS | {"clock": clock}
    with pytest.raises(Broken, match="started_at"):
        change_between(vouched, vouched | {"started_at": "c"})


def test_only_what_waited_to_be_encoded_may_be_replaced() -> None:
    encoded = FACTS | {"codec": "h264"}
    with pytest.raises(Broken, match="not made from it"):
        change_between(encoded, encoded | {"sha256": "bb", "transcoded_from": "aa"})


def test_nothing_else_follows_a_deletion() -> None:
    deleted = FACTS | {"deleted_at": "e"}
    for columns in ({"deleted_at": None}, {"deleted_at": "f"}, {"take": 9}, {"sha256": "bb"}):
        with pytest.raises(Broken, match="after its deletion"):
            change_between(deleted, deleted | columns)


def test_the_clock_may_be_set_when_a_recording_is_deleted_already() -> None:
    deleted = FACTS | {"deleted_at": "e"}
    corrected = deleted | {"clock": "corrected", "started_at": "c"}
    assert change_between(deleted, corrected) == "corrected"
    with pytest.raises(Broken, match="after its deletion"):
        change_between(deleted, corrected | {"order_id": "SO-2"})
    with pytest.raises(Broken, match="started_at"):
        change_between(corrected, corrected | {"started_at": "d"})


def test_it_runs_on_old_python_without_any_library() -> None:
    source = Path(stand_alone.__file__).read_text()
    tree = ast.parse(source, feature_version=(3, 8))
    imported = {
        name
        for node in tree.body
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in (
            [node.module] if isinstance(node, ast.ImportFrom) else [a.name for a in node.names]
        )
    }
    assert imported <= {
        "__future__", "argparse", "base64", "hashlib", "json", "pathlib", "re", "sys", "typing",
    }  # fmt: skip
