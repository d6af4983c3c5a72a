"""What a power cut leaves of a folder: every state that a disk may legally be found in.

The trace (disk_trace.c) says what was done to the folder, and in which order. The model is
harsher than any one file system:

- What was written to a file is certain once an fsync or fdatasync of it has ended that began
  later. Of what was written since, any pages of 4096 bytes may be there, in any of their
  versions, and the file may be shorter, or hold zeros.
- A name, its removal, a rename, a new folder are certain once a folder they are in was synced;
  syncing the file itself does not help, though on ext4 it would. Of what came since, each may
  be there or not, whatever the others do; a rename is there on both sides or on neither.
- SQLite's shared memory (-shm) is never there.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from pathlib import Path
from random import Random

_RECORD = struct.Struct("=6Q")
PAGE = 4096


class Operation(IntEnum):
    OPENED = 1
    WRITTEN = 2
    TRUNCATED = 3
    RENAMED = 4
    LINKED = 5
    UNLINKED = 6
    MADE_FOLDER = 7
    SYNC_BEGINS = 8
    SYNC_ENDED = 9


NAMING = (Operation.RENAMED, Operation.LINKED, Operation.UNLINKED, Operation.MADE_FOLDER)


@dataclass(frozen=True, slots=True)
class Record:
    """One operation. `first` and `second` are what the operation needs, see disk_trace.c."""

    operation: Operation
    monotonic_ns: int
    inode: int
    first: int
    data: bytes

    @property
    def paths(self) -> list[str]:
        return [os.fsdecode(name) for name in self.data.split(b"\0")[:-1]]


def records(trace: Path) -> list[Record]:
    """A whole trace; a record cut off at its end, by a kill, is left out."""
    found, raw, at = [], trace.read_bytes(), 0
    while at + _RECORD.size <= len(raw):
        length, operation, moment, inode, first, _ = _RECORD.unpack_from(raw, at)
        at += _RECORD.size
        if at + length > len(raw):
            break
        data = raw[at : at + length]
        found.append(Record(Operation(operation), moment, inode, first, data))
        at += length
    return found


class Luck(StrEnum):
    """What becomes of all that is not certain."""

    KEPT = "everything reached the disk"
    LOST = "nothing reached the disk"
    ORDERED = "what came first reached the disk"
    ANY = "any pages and names"
    EMPTY = "names, but no contents"
    ZEROS = "names and sizes, but zeros"
    NAMELESS = "contents, but no names"


@dataclass(slots=True)
class _Change:
    """Of a file's contents: `data` at `offset`, or the size set to `offset` if None."""

    number: int
    offset: int
    data: bytes | None
    certain: bool = False


@dataclass(slots=True, eq=False)
class _Node:
    """A file or folder of the disk, whatever its names are."""

    is_folder: bool
    contents: bytearray = field(default_factory=bytearray)
    changes: list[_Change] = field(default_factory=list)
    entries: dict[str, _Node] = field(default_factory=dict)
    """Of a folder, as programs see them."""
    kept: dict[str, _Node] = field(default_factory=dict)
    """Of a folder, as they are on the disk for certain."""


@dataclass(slots=True)
class _Naming:
    """Names set (to a node) or taken away (None), all or none of them."""

    number: int
    entries: tuple[tuple[_Node, str, _Node | None], ...]
    certain: bool = False


class Disk:
    """The folder as the trace changes it. `before` is how it was when tracing began."""

    def __init__(self, before: Path) -> None:
        self._root = str(before)
        self._by_inode: dict[int, _Node] = {}
        self._top = self._take_in(before)
        self._namings: list[_Naming] = []
        self._syncing: dict[int, tuple[_Node, int]] = {}
        self._number = 0

    def _take_in(self, path: Path) -> _Node:
        node = _Node(path.is_dir())
        self._by_inode[path.stat().st_ino] = node
        if node.is_folder:
            node.entries = {entry.name: self._take_in(entry) for entry in path.iterdir()}
            node.kept = dict(node.entries)
        else:
            node.contents = bytearray(path.read_bytes())
        return node

    def play(self, record: Record) -> None:
        """Do what was done."""
        self._number += 1
        match record.operation:
            case Operation.OPENED:
                self._open(record)
            case Operation.WRITTEN:
                self._change(record, record.data)
            case Operation.TRUNCATED:
                self._change(record, None)
            case Operation.LINKED:
                source, target = record.paths
                self._name((*self._place(target), self._at(source)))
            case Operation.RENAMED:
                source, target = record.paths
                node = self._at(source)
                if node is not self._find(target):  # else rename(2) does nothing
                    self._name((*self._place(source), None), (*self._place(target), node))
            case Operation.UNLINKED:
                self._name((*self._place(record.paths[0]), None))
            case Operation.MADE_FOLDER:
                self._by_inode[record.inode] = node = _Node(is_folder=True)
                self._name((*self._place(record.paths[0]), node))
            case Operation.SYNC_BEGINS:
                self._syncing[record.first] = (self._by_inode[record.inode], self._number)
            case Operation.SYNC_ENDED:
                self._synced(*self._syncing.pop(record.first))

    def _open(self, record: Record) -> None:
        (path,) = record.paths
        node = self._find(path)
        if node is None or (record.inode and self._by_inode.get(record.inode) is not node):
            if not record.first & os.O_CREAT:
                return
            self._by_inode[record.inode] = node = _Node(is_folder=False)
            self._name((*self._place(path), node))
        if record.first & os.O_TRUNC:
            node.changes.append(_Change(self._number, 0, None))

    def _change(self, record: Record, data: bytes | None) -> None:
        node = self._by_inode[record.inode]
        node.changes.append(_Change(self._number, record.first, data))

    def _name(self, *entries: tuple[_Node, str, _Node | None]) -> None:
        for folder, name, node in entries:
            _set(folder.entries, name, node)
        self._namings.append(_Naming(self._number, entries))

    def _synced(self, node: _Node, began: int) -> None:
        for change in node.changes:
            change.certain |= change.number < began
        while node.changes and node.changes[0].certain:
            _apply(node.contents, node.changes.pop(0))
        for naming in self._namings:
            concerns = any(folder is node for folder, _, _ in naming.entries)
            naming.certain |= concerns and naming.number < began
        while self._namings and self._namings[0].certain:
            for folder, name, entry in self._namings.pop(0).entries:
                _set(folder.kept, name, entry)

    # --- paths

    def _find(self, path: str) -> _Node | None:
        node: _Node | None = self._top
        for name in os.path.relpath(path, self._root).split("/"):
            if name != ".":
                node = node.entries.get(name) if node is not None else None
        return node

    def _at(self, path: str) -> _Node:
        node = self._find(path)
        if node is None:
            raise AssertionError(f"The trace does not say where {path} comes from")
        return node

    def _place(self, path: str) -> tuple[_Node, str]:
        folder, name = os.path.split(path)
        return self._at(folder), name

    # --- the plug is pulled

    def leave(self, target: Path, luck: Luck, random: Random) -> None:
        """Write into `target`, which is made, what a power cut now may leave."""
        last = self._number
        until = random.randint(0, last) if luck is Luck.ORDERED else last
        if luck is Luck.ORDERED and self._uncertain:
            until = random.choice(self._uncertain)

        def named(naming: _Naming) -> bool:
            if naming.certain or luck in (Luck.KEPT, Luck.EMPTY, Luck.ZEROS):
                return True
            if luck is Luck.ORDERED:
                return naming.number <= until
            return luck is Luck.ANY and random.random() < 0.5

        entries: dict[int, dict[str, _Node]] = {}

        def entries_of(folder: _Node) -> dict[str, _Node]:
            return entries.setdefault(id(folder), dict(folder.kept))

        for naming in self._namings:
            if named(naming):
                for folder, name, node in naming.entries:
                    _set(entries_of(folder), name, node)
        self._write(self._top, target, entries_of, luck, until, random)

    @property
    def _uncertain(self) -> list[int]:
        nodes = set(self._by_inode.values())
        changes = [change.number for node in nodes for change in node.changes]
        return changes + [naming.number for naming in self._namings]

    def _write(
        self,
        node: _Node,
        target: Path,
        entries_of: Callable[[_Node], dict[str, _Node]],
        luck: Luck,
        until: int,
        random: Random,
    ) -> None:
        written: dict[int, Path] = {}

        def write(node: _Node, path: Path) -> None:
            if node.is_folder:
                path.mkdir()
                for name, entry in entries_of(node).items():
                    if not name.endswith("-shm"):
                        write(entry, path / name)
            elif id(node) in written:
                path.hardlink_to(written[id(node)])
            else:
                path.write_bytes(_survivor(node, luck, until, random))
                written[id(node)] = path

        write(node, target)


def _set(entries: dict[str, _Node], name: str, node: _Node | None) -> None:
    if node is None:
        entries.pop(name, None)
    else:
        entries[name] = node


def _apply(contents: bytearray, change: _Change) -> None:
    if change.data is None:
        if change.offset < len(contents):
            del contents[change.offset :]
        else:
            contents.extend(bytes(change.offset - len(contents)))
        return
    _put(contents, change.offset, change.data)


def _put(contents: bytearray, offset: int, data: bytes) -> None:
    if offset > len(contents):
        contents.extend(bytes(offset - len(contents)))
    contents[offset : offset + len(data)] = data


def _pages(change: _Change) -> Iterator[tuple[int, int, bytes]]:
    """(page, offset, data) of a write."""
    assert change.data is not None
    begin = 0
    while begin < len(change.data):
        offset = change.offset + begin
        end = begin + PAGE - offset % PAGE
        yield offset // PAGE, offset, change.data[begin:end]
        begin = end


def _survivor(node: _Node, luck: Luck, until: int, random: Random) -> bytes:
    contents = bytearray(node.contents)
    certain_size = len(contents)
    newest: dict[int, int] = {}
    numbers = [change.number for change in node.changes if not change.certain]
    for change in node.changes:
        if change.certain or luck in (Luck.KEPT, Luck.NAMELESS):
            _apply(contents, change)
        elif luck is Luck.ORDERED:
            if change.number <= until:
                _apply(contents, change)
        elif luck is Luck.ZEROS:
            if change.data is None:
                _apply(contents, change)
            else:
                end = change.offset + len(change.data)
                contents.extend(bytes(max(0, end - len(contents))))
        elif luck is Luck.ANY and change.data is None:
            if random.random() < 0.5:
                _apply(contents, change)
        elif luck is Luck.ANY:
            for page, offset, data in _pages(change):
                if page not in newest:
                    newest[page] = random.choice([0, *numbers])
                if change.number <= newest[page]:
                    _put(contents, offset, data)
        if change.certain:
            certain_size = len(contents)
    if luck is Luck.ANY and len(contents) > certain_size and random.random() < 0.3:
        del contents[random.randint(certain_size, len(contents)) :]
    return bytes(contents)


def difference(one: Path, other: Path) -> list[str]:
    """What two folders do not have in common, byte for byte.

    SQLite's shared memory is left out, and an empty log, which whoever only reads makes, too.
    """

    def files(folder: Path) -> dict[str, Path]:
        return {
            str(path.relative_to(folder)): path
            for path in folder.rglob("*")
            if path.is_file()
            and not path.name.endswith("-shm")
            and not (path.name.endswith("-wal") and not path.stat().st_size)
        }

    left, right = files(one), files(other)
    return [
        name
        for name in sorted(left.keys() | right.keys())
        if name not in left
        or name not in right
        or left[name].read_bytes() != right[name].read_bytes()
    ]
