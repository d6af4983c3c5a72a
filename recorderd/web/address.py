"""Where the staff pages are, as one types it into a browser."""

from __future__ import annotations

_USUAL_PORT = 80


def address_of(host: str, port: int, path_prefix: str) -> str:
    """`host` is a name or an IP address, `path_prefix` empty or begins with a slash."""
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}{'' if port == _USUAL_PORT else f':{port}'}{path_prefix}/"
