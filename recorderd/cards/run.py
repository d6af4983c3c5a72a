"""`recorderd cards`: write the pages to print into a file."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from recorderd.cards import formats
from recorderd.cards.page import Page
from recorderd.cards.pages import TEST_ORDER, all_pages
from recorderd.errors import StorageError
from recorderd.terminal import escaped

FORMATS: Final[dict[str, Callable[[Sequence[Page]], bytes]]] = {
    "pdf": formats.pdf,
    "html": formats.html,
    "svg": formats.svg,
}


def run_cards(output_format: str, output: Path | None, order: str | None) -> int:
    """Write the file, never over one that is there; `-` is standard output. Returns 0.

    Raises DeviceError for an order that fits into no code, StorageError.
    """
    contents = FORMATS[output_format](all_pages(order or TEST_ORDER))
    if output == Path("-"):
        sys.stdout.buffer.write(contents)
        return 0
    target = output or Path(f"recorderd-cards.{output_format}")
    try:
        with target.open("xb") as opened:
            opened.write(contents)
    except FileExistsError as error:
        raise StorageError(f"{target} exists already", "Name another file with --output") from error
    except OSError as error:
        raise StorageError(
            f"{target} cannot be written: {error.strerror}",
            "Name a file in a folder of yours with --output",
        ) from error
    print(f"{escaped(str(target))}: print it at its true size (100 %, not 'fit to page')")
    return 0
