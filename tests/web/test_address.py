from __future__ import annotations

import pytest

from recorderd.web.address import address_of


@pytest.mark.parametrize(
    ("host", "port", "prefix", "shown"),
    [
        ("10.0.0.9", 80, "", "http://10.0.0.9/"),
        ("bench-1.local", 8080, "/videos", "http://bench-1.local:8080/videos/"),
        ("fd00::9", 8080, "", "http://[fd00::9]:8080/"),
    ],
)
def test_what_to_type_into_a_browser(host: str, port: int, prefix: str, shown: str) -> None:
    assert address_of(host, port, prefix) == shown
