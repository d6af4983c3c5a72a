"""Text from strangers (labels, file names) made safe to print."""

from __future__ import annotations


def escaped(text: str) -> str:
    """The text with everything written out that is not a printable character or a space.

    Control characters could move a terminal's cursor or begin a line of their own,
    marks for the direction of writing could turn words around.
    """
    if text.isprintable():
        return text
    return "".join(
        character
        if character.isprintable()
        else character.encode("unicode_escape", "surrogatepass").decode("ascii")
        for character in text
    )
