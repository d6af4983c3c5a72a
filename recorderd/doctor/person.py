"""Whoever stands at the bench and is asked to look, listen and press."""

from __future__ import annotations

import sys
from typing import Protocol


class Person(Protocol):
    def tell(self, text: str) -> None:
        """Say what is going to happen, or what to do."""

    def confirms(self, question: str) -> bool:
        """Ask something that is answered by yes or no."""


class AtTheTerminal:
    """Asks on the screen; Enter means yes."""

    def tell(self, text: str) -> None:
        print(f"\n  {text}", flush=True)

    def confirms(self, question: str) -> bool:
        while True:
            try:
                answer = input(f"  {question} [Y/n] ").strip().lower()
            except EOFError:
                return False
            if answer in ("", "y", "yes"):
                return True
            if answer in ("n", "no"):
                return False


def person_at_hand() -> Person | None:
    """None where nobody could answer: in a pipe, or started by another program."""
    return AtTheTerminal() if sys.stdin.isatty() and sys.stdout.isatty() else None
