"""A PostgreSQL server of the tests' own, started once for all that ask for it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.store import postgresql


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[Path]:
    """A PostgreSQL server, known by the folder of its socket."""
    programs = postgresql.programs()
    if programs is None:
        pytest.skip("PostgreSQL is not installed")
    with postgresql.server(programs) as folder:
        yield folder


@pytest.fixture
def postgresql_url(postgresql_server: Path) -> str:
    return postgresql.emptied(postgresql.address(postgresql_server))
