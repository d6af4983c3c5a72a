"""The benchmarks as commands. Each imports what it needs, so that the others stay small."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, TypeAlias

from recorderd.config import LoadedSettings

Command: TypeAlias = Callable[[argparse.Namespace, LoadedSettings], int]
Subcommands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


class AddCommand(Protocol):
    """Adds a command in the way of all commands."""

    def __call__(
        self, name: str, command: Command, summary: str, example: str, among: Subcommands
    ) -> argparse.ArgumentParser: ...


def add_benchmarks(
    benchmarks: Subcommands,
    add: AddCommand,
    add_json: Callable[[argparse.ArgumentParser], None],
) -> None:
    """Add `recorderd bench NAME` for each benchmark there is."""
    scanner = add(
        "scanner",
        _scanner,
        "measure how well and how fast labels are read",
        "recorderd bench scanner photos-of-labels/",
        benchmarks,
    )
    scanner.add_argument(
        "target",
        type=Path,
        nargs="?",
        metavar="TARGET",
        help="a folder of pictures, a picture or a video (default: made-up pictures of a bench)",
    )
    scanner.add_argument(
        "--pictures",
        type=positive,
        default=200,
        metavar="N",
        help="made-up pictures with a label (default: 200)",
    )
    scanner.add_argument(
        "--empty",
        type=positive,
        default=1000,
        metavar="N",
        help="made-up pictures without one, in which nothing may be read (default: 1000)",
    )
    search = add(
        "search",
        _search,
        "measure how fast an order is found among many",
        "recorderd bench search --rows 1000000",
        benchmarks,
    )
    search.add_argument(
        "--rows",
        type=positive,
        default=1_000_000,
        metavar="N",
        help="recordings in the catalogue (default: 1000000)",
    )
    soak = add(
        "soak",
        _soak,
        "measure what memory does while thousands of orders are recorded",
        "recorderd bench soak --orders 2000",
        benchmarks,
    )
    soak.add_argument(
        "--orders",
        type=positive,
        default=2000,
        metavar="N",
        help="orders that are recorded, 1.5 seconds each (default: 2000)",
    )
    others = [
        add(name, command, f"measure {what}", f"recorderd bench {name} --json", benchmarks)
        for name, command, what in (
            ("downloads", _downloads, "how fast videos are sent, beside nginx"),
            ("beside", _beside, "what downloads do to the recording beside them"),
            ("record", _record, "what recording costs, beside the ffmpeg program"),
            ("watch", _watch, "what it costs to watch a bench while nothing is recorded"),
            ("lamp", _lamp, "how soon after a label can be read the lamp answers"),
            ("saving", _saving, "how soon after the stop a recording is saved"),
        )
    ]
    for added in (scanner, search, soak, *others):
        add_json(added)


def positive(argument: str) -> int:
    """For argparse: a whole number from 1 on."""
    try:
        number = int(argument)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError("a whole number from 1 on is expected")
    return number


def _scanner(options: argparse.Namespace, loaded: LoadedSettings) -> int:
    from recorderd import logs
    from recorderd.bench import scanner, scanner_scenes

    logs.set_up(loaded.settings.log, "bench")
    if options.target is None:
        return scanner_scenes.run(
            loaded.settings.labels, options.pictures, options.empty, options.json
        )
    return scanner.run(options.target, loaded.settings.labels, options.json)


def _search(options: argparse.Namespace, _loaded: LoadedSettings) -> int:
    from recorderd.bench import search

    return search.run(options.rows, options.json)


def _downloads(options: argparse.Namespace, _loaded: LoadedSettings) -> int:
    from recorderd.bench import downloads

    return downloads.run(options.json)


def _beside(options: argparse.Namespace, _loaded: LoadedSettings) -> int:
    from recorderd.bench import beside

    return beside.run(options.json)


def _record(options: argparse.Namespace, _loaded: LoadedSettings) -> int:
    from recorderd.bench import record

    return record.run(options.json)


def _watch(options: argparse.Namespace, _loaded: LoadedSettings) -> int:
    from recorderd.bench import watch

    return watch.run(options.json)


def _lamp(options: argparse.Namespace, _loaded: LoadedSettings) -> int:
    from recorderd.bench import lamp

    return lamp.run(options.json)


def _saving(options: argparse.Namespace, _loaded: LoadedSettings) -> int:
    from recorderd.bench import saving

    return saving.run(options.json)


def _soak(options: argparse.Namespace, _loaded: LoadedSettings) -> int:
    from recorderd.bench import soak

    return soak.run(options.orders, options.json)
