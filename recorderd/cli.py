"""The command line. Each command imports what it needs, so that a small one stays small."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from io import TextIOWrapper
from pathlib import Path

from recorderd import __version__
from recorderd.bench.commands import Command, Subcommands, add_benchmarks, positive
from recorderd.config import DEFAULT_CONFIG_FILE, LoadedSettings, load
from recorderd.errors import ConfigError, RecorderdError
from recorderd.terminal import escaped

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_CONFIG = 78
"""EX_CONFIG of sysexits.h; systemd can be told not to restart on it."""
EXIT_INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; `arguments` None are those of this process. Returns the exit code.

    argparse leaves with SystemExit for --help and --version (0) and for wrong usage (2).
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            # A label may hold any character, also one that this terminal cannot show.
            stream.reconfigure(errors="backslashreplace")
    options = _parser().parse_args(arguments)
    command: Command = options.command
    try:
        exit_code = command(options, load(options.config))
        sys.stdout.flush()
    except RecorderdError as error:
        _complain(error)
        return EXIT_CONFIG if isinstance(error, ConfigError) else EXIT_FAILED
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # The reader left, as `| head` does. Python would flush once more on its way out.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_FAILED
    return exit_code


def _complain(error: RecorderdError) -> None:
    for line in f"recorderd: {error.problem.rstrip()}\n{error.remedy}.".splitlines():
        print(escaped(line), file=sys.stderr)


def _run(options: argparse.Namespace, loaded: LoadedSettings) -> int:
    from recorderd import logs
    from recorderd.station import run

    logs.set_up(loaded.settings.log, "station")
    return run.main(
        loaded.settings,
        everything=options.all,
        load_again=lambda: load(options.config).settings,
    )


def _finish(options: argparse.Namespace, loaded: LoadedSettings) -> int:
    from recorderd import logs
    from recorderd.finisher import run

    logs.set_up(loaded.settings.log, "finisher")
    return (run.try_again if options.try_again else run.main)(loaded.settings)


def _web(options: argparse.Namespace, loaded: LoadedSettings) -> int:
    from recorderd import logs
    from recorderd.web import run

    if options.hash_password:
        return run.print_password_hash()
    logs.set_up(loaded.settings.log, "web")
    return run.main(loaded.settings)


def _check_config(_options: argparse.Namespace, loaded: LoadedSettings) -> int:
    file = loaded.file or f"none ({DEFAULT_CONFIG_FILE} does not exist)"
    print(f"file: {escaped(str(file))}")
    rows = [
        (f"{entry.section}.{entry.key}", entry.shown, escaped(entry.origin))
        for entry in loaded.effective
    ]
    key_width = max(len(key) for key, _, _ in rows)
    value_width = min(40, max(len(value) for _, value, _ in rows))
    for key, value, origin in rows:
        print(f"{key:<{key_width}} = {value:<{value_width}}  {origin}")
    print("ok")
    return EXIT_OK


def _doctor(options: argparse.Namespace, loaded: LoadedSettings) -> int:
    from recorderd import logs

    # The screen tells all there is; what libraries warn of would run through it.
    logs.set_up(replace(loaded.settings.log, level="error"), "doctor")
    if options.encoders:
        from recorderd.doctor.encoders import run_encoders

        return run_encoders(loaded.settings, options.json)
    from recorderd.doctor.run import run_doctor

    return run_doctor(
        loaded,
        options.json,
        hands=options.hands,
        report=options.report,
        support=options.support,
    )


def _status(options: argparse.Namespace, loaded: LoadedSettings) -> int:
    from recorderd.status import run_status

    return run_status(loaded.settings, options.json)


def _find(options: argparse.Namespace, loaded: LoadedSettings) -> int:
    from recorderd import logs
    from recorderd.find import run_find

    logs.set_up(loaded.settings.log, "find")
    return run_find(loaded.settings, options.text, options.json)


def _fsck(options: argparse.Namespace, loaded: LoadedSettings) -> int:
    from recorderd import logs
    from recorderd.fsck import run_fsck

    logs.set_up(loaded.settings.log, "fsck")
    return run_fsck(loaded.settings, options.json, repair=options.repair, contents=options.hash)


def _verify(options: argparse.Namespace, loaded: LoadedSettings) -> int:
    from recorderd import logs
    from recorderd.verify import run_verify

    logs.set_up(loaded.settings.log, "verify")
    return run_verify(loaded.settings, options.order, options.key, options.json)


def _export(options: argparse.Namespace, loaded: LoadedSettings) -> int:
    from recorderd import logs
    from recorderd.export import run_export

    logs.set_up(loaded.settings.log, "export")
    return run_export(loaded.settings, options.order, options.output, options.largest_megabytes)


def _hold(options: argparse.Namespace, loaded: LoadedSettings) -> int:
    from recorderd import logs
    from recorderd.hold import run_hold

    logs.set_up(loaded.settings.log, "hold")
    return run_hold(loaded.settings, options.action, options.order, options.reason)


def _aim(options: argparse.Namespace, loaded: LoadedSettings) -> int:
    from recorderd.aim import terminal

    if options.table:
        return terminal.run_table(loaded.settings)
    if options.controls:
        from recorderd.aim.controls import run_controls

        return run_controls(loaded.settings)
    return terminal.run_aim(loaded.settings, once=options.once, tone=options.tone)


def _cards(options: argparse.Namespace, _loaded: LoadedSettings) -> int:
    from recorderd.cards.run import run_cards

    return run_cards(options.format, options.output, options.order)


def _said(argument: str) -> str:
    """Words that somebody else is to read later."""
    if not argument.strip():
        raise argparse.ArgumentTypeError("some words are expected")
    return _text(argument.strip())


def _text(argument: str) -> str:
    """Python keeps bytes that are not UTF-8 in a form that no database takes."""
    try:
        argument.encode()
    except UnicodeEncodeError:
        raise argparse.ArgumentTypeError("this is not UTF-8 text") from None
    return argument


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="recorderd",
        description="Packing-station recorder: show an order label to the camera, "
        "get a proven video of what went into the box.",
        epilog="Exit codes: 0 all is well, 1 failed, 2 wrong usage, 78 bad configuration.\n"
        "Help for one command: recorderd COMMAND --help",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"recorderd {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def add(
        name: str,
        command: Command,
        summary: str,
        example: str,
        among: Subcommands = commands,
    ) -> argparse.ArgumentParser:
        added = among.add_parser(
            name,
            help=summary,
            description=summary[0].upper() + summary[1:] + ".",
            epilog=f"example:\n  {example}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        added.add_argument(
            "--config",
            type=Path,
            metavar="FILE",
            help=f"settings to use (default: {DEFAULT_CONFIG_FILE}, if it exists)",
        )
        added.set_defaults(command=command)
        return added

    def add_json(added: argparse.ArgumentParser) -> None:
        added.add_argument("--json", action="store_true", help="print JSON for programs")

    run = add(
        "run",
        _run,
        "watch the camera and record orders until told to stop",
        "recorderd run --all --config recorderd.toml",
    )
    run.add_argument(
        "--all",
        action="store_true",
        help="also run what systemd runs as services of their own: for trying out",
    )
    finish = add(
        "finish",
        _finish,
        "do what waits in the background: thumbnails, transcoding, fingerprints",
        "recorderd finish --try-again",
    )
    finish.add_argument(
        "--try-again",
        action="store_true",
        help="let the running finisher try again at once what has failed or was given up; then end",
    )
    web = add(
        "web",
        _web,
        "serve the pages on which staff find, watch and download videos",
        "RECORDERD__WEB__PORT=8081 recorderd web",
    )
    web.add_argument(
        "--hash-password",
        action="store_true",
        help="ask for a password and print what to write into web.password_hash",
    )
    add(
        "check-config",
        _check_config,
        "check the settings; show each one in force and where it came from",
        "RECORDERD__CAMERA__RATE=15 recorderd check-config --config recorderd.toml",
    )
    doctor = add(
        "doctor",
        _doctor,
        "look at the whole station and say what is wrong and what to do (exit 1 if not ready)",
        "sudo recorderd doctor --report sheet.html",
    )
    doctor.add_argument(
        "--no-hands",
        action="store_false",
        dest="hands",
        help="ask nobody to show a label, to look at the lamps and to step on the pedal",
    )
    doctor.add_argument(
        "--report", type=Path, metavar="FILE", help="also write a commissioning sheet (HTML)"
    )
    doctor.add_argument(
        "--support",
        type=Path,
        metavar="FILE",
        help="also write a bundle (zip) for whoever helps: no videos, no passwords",
    )
    doctor.add_argument(
        "--encoders",
        action="store_true",
        help="only try each video encoder with the camera's picture size",
    )
    add_json(doctor)
    add_json(
        add(
            "status",
            _status,
            "say what the station is doing and whether all is well (exit 1 if not)",
            "recorderd status --json",
        )
    )
    find = add(
        "find",
        _find,
        "list the recordings of an order",
        "recorderd find 4711 --json",
    )
    find.add_argument("text", type=_text, metavar="TEXT", help="an order id, or part of one")
    add_json(find)
    fsck = add(
        "fsck",
        _fsck,
        "check that every recording has its video, and every video its recording",
        "recorderd fsck --repair",
    )
    fsck.add_argument(
        "--repair",
        action="store_true",
        help="bring to its end what was left half done; the station must not run",
    )
    fsck.add_argument(
        "--hash",
        action="store_true",
        help="read every video and compare it with the hash it had when it was new",
    )
    add_json(fsck)
    verify = add(
        "verify",
        _verify,
        "check that recordings are as they were when this station sealed them",
        "recorderd verify --all",
    )
    which = verify.add_mutually_exclusive_group(required=True)
    which.add_argument("order", nargs="?", type=_text, metavar="ORDER", help="a whole order id")
    which.add_argument("--all", action="store_true", help="all recordings on this disk")
    verify.add_argument(
        "--key", type=Path, metavar="FILE", help="believe only seals by this public key (PEM)"
    )
    add_json(verify)
    export = add(
        "export",
        _export,
        "write one zip with an order's videos and all that proves them",
        "recorderd export 4711 --output 4711.zip --largest-megabytes 25",
    )
    export.add_argument("order", type=_text, metavar="ORDER", help="a whole order id")
    export.add_argument(
        "--output", type=Path, metavar="FILE", help="the zip to write (default: named by the order)"
    )
    export.add_argument(
        "--largest-megabytes",
        type=positive,
        metavar="N",
        help="cut larger videos into pieces of at most this size, without encoding them anew",
    )
    for action, summary in (
        ("hold", "keep all videos of an order, whatever the settings for retention say"),
        ("release", "let the videos of a held order go when their time is over"),
    ):
        hold = add(action, _hold, summary, f"recorderd {action} 4711 --reason 'a complaint'")
        hold.add_argument("order", type=_text, metavar="ORDER", help="the whole order id")
        hold.add_argument(
            "--reason", type=_said, metavar="TEXT", required=True, help="kept in the event log"
        )
        hold.set_defaults(action=action)
    aim = add(
        "aim",
        _aim,
        "show focus, light and what is read, while the camera is being aimed",
        "recorderd aim --tone",
    )
    aim.add_argument(
        "--tone",
        action="store_true",
        help="ring the terminal's bell, the faster the sharper the picture is",
    )
    instead = aim.add_mutually_exclusive_group()
    instead.add_argument("--once", action="store_true", help="print one line, then end")
    instead.add_argument(
        "--table",
        action="store_true",
        help="print how far away the camera may be, and how large labels must be then",
    )
    instead.add_argument(
        "--controls",
        action="store_true",
        help="list what the camera lets one set with camera.controls, and how it stands now",
    )
    cards = add(
        "cards",
        _cards,
        "write pages to print: control cards, test labels, a chart to focus on",
        "recorderd cards --format pdf --output cards.pdf",
    )
    cards.add_argument(
        "--format", choices=("pdf", "html", "svg"), default="pdf", help="default: pdf"
    )
    cards.add_argument(
        "--output",
        type=Path,
        metavar="FILE",
        help="the file to write, - for standard output (default: recorderd-cards.FORMAT)",
    )
    cards.add_argument(
        "--order",
        type=_said,
        metavar="TEXT",
        help="what the test labels say (default: TEST-4711)",
    )
    bench = commands.add_parser(
        "bench",
        help="measure how well and how fast it works",
        description="Measure how well and how fast it works, beside what else does the same.",
        epilog="example:\n  recorderd bench scanner photos-of-labels/\n"
        "Help for one benchmark: recorderd bench NAME --help",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_benchmarks(
        bench.add_subparsers(title="benchmarks", metavar="NAME", required=True), add, add_json
    )
    return parser
