"""Errors as text, and back."""

from __future__ import annotations

import pytest

from recorderd.errors import DeviceError, parted


def test_what_was_joined_is_parted_again() -> None:
    error = DeviceError("The lamp is dark", "Check its wire. Then try again")
    assert parted(str(error)) == (error.problem, error.remedy)


@pytest.mark.parametrize("text", ["something lies on it", "something lies on it."])
def test_a_text_may_have_no_remedy(text: str) -> None:
    assert parted(text) == ("something lies on it", "")
