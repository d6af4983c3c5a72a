"""Style sheet, scripts and icon: small files of the package, kept in memory."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib import resources
from typing import Final

_TYPES: Final = {
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}


@dataclass(frozen=True, slots=True)
class Asset:
    """One file: `version` changes with its contents, so that browsers may keep it for good."""

    content: bytes
    content_type: str
    version: str


class Assets:
    """All files in the package's static folder."""

    def __init__(self) -> None:
        self._assets: dict[str, Asset] = {}
        for file in resources.files("recorderd.web").joinpath("static").iterdir():
            suffix = "." + file.name.rpartition(".")[2]
            if suffix in _TYPES:
                content = file.read_bytes()
                version = hashlib.sha256(content).hexdigest()[:12]
                self._assets[file.name] = Asset(content, _TYPES[suffix], version)

    def get(self, name: str) -> Asset | None:
        return self._assets.get(name)

    def version(self, name: str) -> str:
        return self._assets[name].version
