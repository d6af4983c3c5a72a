"""The core decides and does nothing else: no clock, thread, file, device, log or library."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import recorderd.core

ALLOWED = {"__future__", "collections.abc", "dataclasses", "enum", "re", "typing"}
FORBIDDEN_CALLS = {"__import__", "breakpoint", "eval", "exec", "input", "open", "print"}
MODULES = sorted(Path(recorderd.core.__path__[0]).glob("*.py"))


def imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "." * node.level + (node.module or "")


def violations(source: str) -> list[str]:
    tree = ast.parse(source)
    found = [
        f"imports {name}"
        for name in imported(tree)
        if name not in ALLOWED and name.split(".")[:2] != ["recorderd", "core"]
    ]
    found += [
        f"calls {node.id}"
        for node in ast.walk(tree)
        if isinstance(node, ast.Name) and node.id in FORBIDDEN_CALLS
    ]
    found += [
        "keeps a variable of the module" for node in ast.walk(tree) if isinstance(node, ast.Global)
    ]
    return found


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.stem)
def test_module_is_pure(module: Path) -> None:
    assert violations(module.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "source",
    [
        "import time",
        "from time import monotonic_ns",
        "import os.path",
        "from recorderd import errors",
        "from recorderd.corelike import x",
        "from . import sibling",
        "def f():\n    import threading",
        "open('x')",
        "def f():\n    global g",
    ],
)
def test_an_impure_module_would_be_found(source: str) -> None:
    assert violations(source)
