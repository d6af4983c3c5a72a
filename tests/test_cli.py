"""The command line: arguments, exit codes, and what each command may import."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from recorderd.cli import main
from recorderd.errors import CatalogueError
from recorderd.settings import Settings

COMMANDS = ("run", "finish", "check-config", "doctor", "status", "find", "bench")
BENCHMARKS = ("scanner", "search", "downloads", "beside", "saving", "soak")


@pytest.fixture(autouse=True)
def bare_surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in os.environ:
        if name.startswith("RECORDERD__") or name == "DATABASE_URL":
            monkeypatch.delenv(name)
    monkeypatch.setattr("recorderd.config.DEFAULT_CONFIG_FILE", tmp_path / "none.toml")
    monkeypatch.setattr("recorderd.logs.set_up", lambda *_: None)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "recorderd.toml"
    file.write_text('[station]\nname = "bench-7"\n')
    return file


class Recorder:
    """Stands where a command's implementation is; keeps what it was called with."""

    def __init__(self) -> None:
        self.calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = []
        self.outcome: int | BaseException = 0

    def __call__(self, *arguments: Any, **options: Any) -> int:
        self.calls.append((arguments, options))
        if isinstance(self.outcome, BaseException):
            raise self.outcome
        return self.outcome


def put_in_place_of(monkeypatch: pytest.MonkeyPatch, module: str, function: str) -> Recorder:
    recorder = Recorder()
    stand_in = ModuleType(module)
    setattr(stand_in, function, recorder)
    package, _, name = module.rpartition(".")
    monkeypatch.setitem(sys.modules, module, stand_in)
    monkeypatch.setattr(importlib.import_module(package), name, stand_in, raising=False)
    return recorder


@pytest.fixture
def find(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    return put_in_place_of(monkeypatch, "recorderd.find", "run_find")


def exit_code(*arguments: str) -> int | str | None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    return caught.value.code


class TestHelp:
    def test_lists_the_commands(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert exit_code("--help") == 0
        text = capsys.readouterr().out
        assert [command for command in COMMANDS if f"\n    {command}" in text] == list(COMMANDS)
        assert "78 bad configuration" in text

    def test_lists_the_benchmarks(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert exit_code("bench", "--help") == 0
        text = capsys.readouterr().out
        assert [name for name in BENCHMARKS if f"\n    {name}" in text] == list(BENCHMARKS)

    @pytest.mark.parametrize(
        "command",
        [
            *(command for command in COMMANDS if command != "bench"),
            *(f"bench {name}" for name in BENCHMARKS),
        ],
    )
    def test_of_a_command_has_an_example(
        self, command: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert exit_code(*command.split(), "--help") == 0
        text = capsys.readouterr().out
        assert "example:\n" in text
        assert f"recorderd {command}" in text.partition("example:")[2]
        assert "--config FILE" in text

    def test_version(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert exit_code("--version") == 0
        assert capsys.readouterr().out.startswith("recorderd ")

    @pytest.mark.parametrize(
        "arguments",
        [
            [],
            ["record"],
            ["run", "--everything"],
            ["find"],
            ["find", "a", "b"],
            ["doctor", "--report"],
            ["bench"],
            ["bench", "--scanner", "photos"],
            ["bench", "scanner", "--pictures", "0"],
            ["bench", "search", "--rows", "0"],
            ["bench", "search", "--rows", "many"],
            ["bench", "downloads", "twice"],
            ["status", "--config"],
            ["find", "\udcff"],
        ],
    )
    def test_wrong_usage_is_2(self, arguments: list[str]) -> None:
        assert exit_code(*arguments) == 2


class TestCheckConfig:
    def test_shows_each_value_and_its_origin(
        self,
        config: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        monkeypatch.setenv("RECORDERD__CAMERA__RATE", "15")
        assert main(["check-config", "--config", str(config)]) == 0
        first, *rows, last = capsys.readouterr().out.splitlines()
        assert first == f"file: {config}"
        assert last == "ok"
        words = [row.split(maxsplit=2) for row in rows]
        assert words[0] == ["station.name", "=", f'"bench-7"{" " * 33}{config}']
        shown = {key: rest.split() for key, _, rest in words}
        assert shown["camera.rate"] == ["15.0", "RECORDERD__CAMERA__RATE"]
        assert shown["camera.width"] == ["3840", "default"]

    def test_without_a_file_says_so(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["check-config"]) == 0
        assert capsys.readouterr().out.startswith("file: none (")

    def test_hides_passwords(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setenv("DATABASE_URL", "postgresql://user:hunter2@host/name")
        monkeypatch.setenv("RECORDERD__CAMERA__SOURCE", "rtsp://user:hunter2@camera")
        assert main(["check-config"]) == 0
        out = capsys.readouterr().out
        assert "hunter2" not in out
        assert '"postgresql://***@host/name"' in out

    def test_cannot_be_tricked_by_values(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setenv("RECORDERD__STATION__NAME", 'x"\x1b[2J\nok\u202e')
        assert main(["check-config"]) == 0
        lines = capsys.readouterr().out.split("\n")
        assert all(line.isprintable() for line in lines)
        assert lines.count("ok") == 1

    @pytest.mark.parametrize("command", [["check-config"], ["status"], ["find", "4711"], ["run"]])
    def test_bad_settings_are_78_for_every_command(
        self, command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        file = tmp_path / "bad.toml"
        file.write_text("[camera]\nwidth = 1\nheigth = 2")
        assert main([*command, "--config", str(file)]) == 78
        out, err = capsys.readouterr()
        assert out == ""
        assert err.splitlines() == [
            "recorderd: The configuration has 2 mistakes:",
            f"  - {file}: camera.heigth = 2: expected a known key: did you mean 'height'?",
            f"  - {file}: camera.width = 1: expected a number from 160 to 8192",
            "Correct each line above and run 'recorderd check-config' again.",
        ]


class TestCommands:
    def test_run_is_given_the_settings(self, config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        run = put_in_place_of(monkeypatch, "recorderd.station.run", "main")
        assert main(["run", "--config", str(config)]) == 0
        assert main(["run", "--all"]) == 0
        (first, options), (second, all_options) = run.calls
        assert first[0].station.name == "bench-7"
        assert options["everything"] is False
        assert options["load_again"]() == first[0]
        assert second == (Settings(),)
        assert all_options["everything"] is True

    def test_finish(self, monkeypatch: pytest.MonkeyPatch) -> None:
        finish = put_in_place_of(monkeypatch, "recorderd.finisher.run", "main")
        finish.outcome = 1
        assert main(["finish"]) == 1
        assert finish.calls == [((Settings(),), {})]

    def test_doctor(self, monkeypatch: pytest.MonkeyPatch) -> None:
        encoders = put_in_place_of(monkeypatch, "recorderd.doctor.encoders", "run_encoders")
        assert main(["doctor", "--encoders", "--json"]) == 0
        assert encoders.calls == [((Settings(), True), {})]
        doctor = put_in_place_of(monkeypatch, "recorderd.doctor.run", "run_doctor")
        assert main(["doctor", "--no-hands", "--report", "sheet.html"]) == 0
        ((loaded, as_json), asked) = doctor.calls[0]
        assert (loaded.settings, as_json) == (Settings(), False)
        assert asked == {"hands": False, "report": Path("sheet.html"), "support": None}

    def test_status(self, monkeypatch: pytest.MonkeyPatch) -> None:
        status = put_in_place_of(monkeypatch, "recorderd.status", "run_status")
        assert main(["status"]) == 0
        assert status.calls == [((Settings(), False), {})]

    def test_find(self, find: Recorder) -> None:
        assert main(["find", "Müller 1", "--json"]) == 0
        assert find.calls == [((Settings(), "Müller 1", True), {})]

    def test_find_takes_a_text_that_looks_like_an_option(self, find: Recorder) -> None:
        assert main(["find", "--", "--json"]) == 0
        assert find.calls == [((Settings(), "--json", False), {})]

    def test_bench_scanner(self, monkeypatch: pytest.MonkeyPatch) -> None:
        scanner = put_in_place_of(monkeypatch, "recorderd.bench.scanner", "run")
        assert main(["bench", "scanner", "photos"]) == 0
        assert scanner.calls == [((Path("photos"), Settings().labels, False), {})]

    def test_bench_scanner_without_pictures_makes_some_up(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        scenes = put_in_place_of(monkeypatch, "recorderd.bench.scanner_scenes", "run")
        assert main(["bench", "scanner", "--pictures", "7", "--empty", "9"]) == 0
        assert main(["bench", "scanner"]) == 0
        labels = Settings().labels
        assert scenes.calls == [((labels, 7, 9, False), {}), ((labels, 200, 1000, False), {})]

    def test_bench_search(self, monkeypatch: pytest.MonkeyPatch) -> None:
        search = put_in_place_of(monkeypatch, "recorderd.bench.search", "run")
        assert main(["bench", "search"]) == 0
        assert main(["bench", "search", "--rows", "5000", "--json"]) == 0
        assert search.calls == [((1_000_000, False), {}), ((5000, True), {})]

    @pytest.mark.parametrize("name", ["downloads", "beside"])
    def test_bench_of_the_pages(self, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        benchmark = put_in_place_of(monkeypatch, f"recorderd.bench.{name}", "run")
        benchmark.outcome = 1
        assert main(["bench", name, "--json"]) == 1
        assert benchmark.calls == [((True,), {})]


class TestFailures:
    def test_problem_and_remedy_without_a_traceback_are_1(
        self, find: Recorder, capsys: pytest.CaptureFixture[str]
    ) -> None:
        find.outcome = CatalogueError("The catalogue is locked\x1b[2J", "Stop the other program")
        assert main(["find", "x"]) == 1
        out, err = capsys.readouterr()
        assert out == ""
        assert err == ("recorderd: The catalogue is locked\\x1b[2J\nStop the other program.\n")

    def test_interruption_is_quiet(
        self, find: Recorder, capsys: pytest.CaptureFixture[str]
    ) -> None:
        find.outcome = KeyboardInterrupt()
        assert main(["find", "x"]) == 130
        assert capsys.readouterr() == ("", "")

    def test_bug_is_not_hidden(self, find: Recorder) -> None:
        find.outcome = ZeroDivisionError()
        with pytest.raises(ZeroDivisionError):
            main(["find", "x"])


def python(*arguments: str, **options: Any) -> subprocess.Popen[str]:
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("RECORDERD__") and name != "DATABASE_URL"
    } | {"PYTHONIOENCODING": "ascii"}
    return subprocess.Popen(
        [sys.executable, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        **options,
    )


class TestProcess:
    def test_reader_that_leaves_early_is_no_error_message(self, config: Path) -> None:
        process = python("-m", "recorderd", "check-config", "--config", str(config))
        assert process.stdout is not None
        process.stdout.close()
        _, err = process.communicate(timeout=30)
        assert err == ""
        assert process.returncode == 1

    def test_character_that_the_terminal_does_not_know_is_no_crash(self, config: Path) -> None:
        config.write_text('[station]\nname = "包装 7"', encoding="utf-8")
        process = python("-m", "recorderd", "check-config", "--config", str(config))
        out, err = process.communicate(timeout=30)
        assert (process.returncode, err) == (0, "")
        assert '"\\u5305\\u88c5 7"' in out

    @pytest.mark.parametrize("command", ["check-config", "status"])
    def test_small_command_imports_nothing_big(self, command: str, tmp_path: Path) -> None:
        config = tmp_path / "recorderd.toml"
        config.write_text(f'[station]\nrun_folder = "{tmp_path}"')
        code = (
            "import sys; from recorderd.cli import main; "
            f"main(['{command}', '--config', '{config}']); "
            "print(*sorted(name.partition('.')[0] for name in sys.modules), file=sys.stderr)"
        )
        process = python("-c", code)
        _, err = process.communicate(timeout=30)
        assert "recorderd" in err.split()
        big = {"av", "cv2", "gpiozero", "numpy", "peewee", "systemd", "zbar", "zxingcpp"}
        assert not big & set(err.split())
