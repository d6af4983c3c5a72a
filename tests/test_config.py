"""Settings: every rule of the file, the environment and the two together."""

from __future__ import annotations

import dataclasses
import pickle
import re
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recorderd.config import (
    documented_defaults,
    load,
    toml_value,
)
from recorderd.errors import ConfigError, ConfigProblem
from recorderd.settings import Settings, sections
from tests.configuration import load_text, no_default_file, problems_from, problems_of

DOCUMENTED = Path(__file__).parent.parent / "config" / "recorderd.toml"

OPTIONS = [
    (section_name, declaration)
    for section_name, section_class in sections().items()
    for declaration in dataclasses.fields(section_class)
]


__all__ = ["no_default_file"]  # a fixture is used by being here


class TestDefaults:
    def test_are_valid_and_need_no_file(self) -> None:
        loaded = load(None, {})
        assert loaded.settings == Settings()
        assert loaded.file is None
        assert {entry.origin for entry in loaded.effective} == {"default"}
        assert len(loaded.effective) == len(OPTIONS)

    @pytest.mark.parametrize(
        ("section_name", "declaration"), OPTIONS, ids=[f"{s}.{d.name}" for s, d in OPTIONS]
    )
    def test_each_is_accepted_when_written_out(
        self, section_name: str, declaration: dataclasses.Field[object], tmp_path: Path
    ) -> None:
        line = f"[{section_name}]\n{declaration.name} = {toml_value(declaration.default)}"  # type: ignore[arg-type]
        assert load_text(line, tmp_path) == Settings()

    def test_file_in_the_repository_lists_them_all(self) -> None:
        assert DOCUMENTED.read_text() == documented_defaults(), (
            "config/recorderd.toml is not what the code says. Write it anew: python -c "
            "'from recorderd.config import documented_defaults as d; print(d(), end=\"\")'"
            " > config/recorderd.toml"
        )

    def test_file_in_the_repository_changes_nothing(self) -> None:
        assert load(DOCUMENTED, {}).settings == Settings()

    def test_file_in_the_repository_is_valid_with_every_key_uncommented(
        self, tmp_path: Path
    ) -> None:
        text = re.sub(r"(?m)^#(?=\w+ = )", "", DOCUMENTED.read_text())
        assert sum(len(table) for table in tomllib.loads(text).values()) == len(OPTIONS)
        assert load_text(text, tmp_path) == Settings()

    def test_default_file_is_read_when_it_is_there(self, no_default_file: Path) -> None:
        no_default_file.parent.mkdir()
        no_default_file.write_text('[station]\nname = "from-etc"')
        loaded = load(None, {})
        assert loaded.settings.station.name == "from-etc"
        assert loaded.file == no_default_file

    def test_of_numbers_lie_within_their_limits_and_both_are_set(self) -> None:
        for section_name, declaration in OPTIONS:
            default = declaration.default
            if isinstance(default, int | float) and not isinstance(default, bool):
                minimum = declaration.metadata["minimum"]
                maximum = declaration.metadata["maximum"]
                assert minimum <= default <= maximum, f"{section_name}.{declaration.name}"

    def test_folders_follow_from_the_state_folder(self, tmp_path: Path) -> None:
        settings = load_text('[station]\nstate_folder = "/data"\nrun_folder = "/r"', tmp_path)
        assert settings.footage_folder == Path("/data/footage")
        assert settings.incoming_folder == Path("/data/incoming")
        assert settings.database_url == "sqlite:////data/catalogue.db"
        assert settings.status_file == Path("/r/status.json")
        assert settings.panel_socket == Path("/r/panel.sock")

    def test_incoming_lies_beside_the_footage_wherever_that_is(self, tmp_path: Path) -> None:
        settings = load_text('[storage]\nfootage_folder = "/mnt/disk/footage"', tmp_path)
        assert settings.incoming_folder == Path("/mnt/disk/incoming")


class TestMistakes:
    def test_are_all_reported_at_once(self, tmp_path: Path) -> None:
        problems = problems_of(
            """
            [station]
            name = "  "
            [camera]
            rate = "fast"
            widht = 1920
            [labels]
            pattern = "(unclosed"
            [recording]
            minimum_seconds = 60
            maximum_seconds = 30
            [storge]
            x = 1
            """,
            tmp_path,
            {"RECORDERD__PANEL__DRIVER": "gpoi"},
        )
        found = {problem.key: problem for problem in problems}
        file = str(tmp_path / "recorderd.toml")
        assert set(found) == {
            "station.name",
            "camera.rate",
            "camera.widht",
            "labels.pattern",
            "recording.minimum_seconds",
            "storge",
            "panel.driver",
        }
        assert found["camera.rate"] == ConfigProblem(file, "camera.rate", "'fast'", "a number")
        assert found["camera.widht"].value == "1920"
        assert "did you mean 'width'?" in found["camera.widht"].expected
        assert "did you mean 'storage'?" in found["storge"].expected
        assert found["panel.driver"].origin == "RECORDERD__PANEL__DRIVER"
        assert found["panel.driver"].expected == "one of gpio, simulated, none"

    def test_message_names_file_key_value_and_what_was_expected(self, tmp_path: Path) -> None:
        file = tmp_path / "recorderd.toml"
        file.write_text("[camera]\nwidth = 1\nheight = 2.5")
        with pytest.raises(ConfigError) as caught:
            load(file, {})
        text = str(caught.value)
        assert "has 2 mistakes" in text
        assert f"{file}: camera.width = 1: expected a number from 160 to 8192" in text
        assert f"{file}: camera.height = 2.5: expected a whole number" in text
        assert "recorderd check-config" in caught.value.remedy

    def test_key_of_another_section_is_pointed_to(self, tmp_path: Path) -> None:
        (problem,) = problems_of("[camera]\npre_roll_seconds = 3", tmp_path)
        assert "did you mean 'recording.pre_roll_seconds'?" in problem.expected

    def test_key_like_nothing_known_gets_the_list(self, tmp_path: Path) -> None:
        (problem,) = problems_of("[log]\nzzz = 3", tmp_path)
        assert problem.expected == "a known key: one of level, format"

    @pytest.mark.parametrize(
        "text",
        [
            "camera = 3",
            "[[camera]]\nwidth = 640",
            "[camera.width]\nx = 1",
            "rate = 5",
        ],
    )
    def test_of_structure_are_refused(self, text: str, tmp_path: Path) -> None:
        assert len(problems_of(text, tmp_path)) == 1

    @pytest.mark.parametrize(
        ("section", "line"),
        [
            ("station", 'name = ""'),
            ("station", 'state_folder = "relative"'),
            ("station", 'state_folder = "/nul\\u0000byte"'),
            ("station", "name = 7"),
            ("camera", 'source = "usb"'),
            ("camera", 'source = "v4l2:"'),
            ("camera", 'source = "rtsp:camera"'),
            ("camera", 'source = "command: "'),
            ("camera", "width = true"),
            ("camera", "width = 3840.0"),
            ("camera", "width = 159"),
            ("camera", "width = 8193"),
            ("camera", "loop = 1"),
            ("camera", 'loop = "true"'),
            ("camera", "rate = false"),
            ("camera", "rate = nan"),
            ("camera", "rate = inf"),
            ("camera", "rate = -inf"),
            ("camera", "rate = 1" + "0" * 400),
            ("camera", "rate = 2025-01-01"),
            ("labels", "zone = [0, 0, 1]"),
            ("labels", "zone = [0.5, 0, 0.5, 1]"),
            ("labels", "zone = [0, 1, 1, 0]"),
            ("labels", "zone = [0, 0, 1, 1.1]"),
            ("labels", "zone = [0, 0, nan, 1]"),
            ("labels", "zone = [0, 0, true, 1]"),
            ("labels", "zone = 0.5"),
            ("labels", "symbologies = []"),
            ("labels", 'symbologies = ["ean13"]'),
            ("labels", 'symbologies = "qr"'),
            ("labels", "symbologies = [1]"),
            ("labels", "pattern = '('"),
            ("labels", "pattern = 'a{99999999999999999999}'"),
            ("labels", 'on_other_label = "Switch"'),
            ("recording", 'encoder = " "'),
            ("panel", "gpio_chip = -2"),
            ("panel", 'socket = "panel.sock"'),
            ("storage", 'database_url = "mysql://x"'),
            ("log", 'level = "loud"'),
        ],
    )
    def test_of_values_are_refused(self, section: str, line: str, tmp_path: Path) -> None:
        (problem,) = problems_of(f"[{section}]\n{line}", tmp_path)
        assert problem.key == f"{section}.{line.split(' ')[0]}"
        assert problem.expected

    @pytest.mark.parametrize(
        ("section", "line"),
        [
            ("camera", 'source = "v4l2:/dev/v4l/by-id/usb-x-video-index0"'),
            ("camera", 'source = "rtsp://user:secret@camera/stream"'),
            ("camera", 'source = "rtsps://camera"'),
            ("camera", 'source = "command:rpicam-vid -o -"'),
            ("camera", 'source = "file:bench with spaces.mp4"'),
            ("camera", 'source = "simulated"'),
            ("camera", "rate = 25"),
            ("labels", "zone = [0, 0, 1, 1]"),
            ("labels", 'symbologies = ["qr", "code128"]'),
            ("storage", 'database_url = "postgresql://u:p@host/name"'),
            ("storage", 'database_url = "sqlite:////tmp/x.db"'),
        ],
    )
    def test_sensible_values_are_accepted(self, section: str, line: str, tmp_path: Path) -> None:
        key, _, value = line.partition(" = ")
        got = getattr(getattr(load_text(f"[{section}]\n{line}", tmp_path), section), key)
        wanted = tomllib.loads(f"v = {value}")["v"]
        assert got == (tuple(wanted) if isinstance(wanted, list) else wanted)
        assert type(got) is type(getattr(getattr(Settings(), section), key))

    @given(st.floats(allow_nan=True, allow_infinity=True))
    def test_number_is_kept_exactly_or_refused(self, rate: float) -> None:
        environment = {"RECORDERD__CAMERA__RATE": repr(rate)}
        if 1 <= rate <= 240:
            assert load(None, environment).settings.camera.rate == rate
        else:
            assert problems_from(environment)[0].key == "camera.rate"


class TestRulesOfSeveralKeys:
    def test_shortest_recording_is_shorter_than_the_longest(self, tmp_path: Path) -> None:
        (problem,) = problems_of(
            "[recording]\nmaximum_seconds = 10\nminimum_seconds = 10", tmp_path
        )
        assert problem.key == "recording.minimum_seconds"
        assert problem.value == "10.0"
        assert problem.expected == "less than recording.maximum_seconds, which is 10.0"

    def test_hold_is_shorter_than_stuck(self, tmp_path: Path) -> None:
        (problem,) = problems_of("[panel]\nhold_seconds = 4\nstuck_seconds = 3", tmp_path)
        assert problem.key == "panel.hold_seconds"

    def test_problem_names_whoever_set_the_value(self, tmp_path: Path) -> None:
        (problem,) = problems_of(
            "[recording]\nmaximum_seconds = 20",
            tmp_path,
            {"RECORDERD__RECORDING__MINIMUM_SECONDS": "30"},
        )
        assert problem.origin == "RECORDERD__RECORDING__MINIMUM_SECONDS"

    def test_pins_are_not_shared(self, tmp_path: Path) -> None:
        (problem,) = problems_of("[panel]\nred_pin = 17", tmp_path)
        assert (problem.key, problem.value) == ("panel.red_pin", "17")
        assert problem.expected == "a pin other than panel.green_pin's"
        assert problem.origin == str(tmp_path / "recorderd.toml")

    def test_default_pin_is_not_blamed_for_a_clash(self, tmp_path: Path) -> None:
        (problem,) = problems_of("[panel]\ngreen_pin = 27", tmp_path)
        assert problem.key == "panel.red_pin"
        assert problem.origin == str(tmp_path / "recorderd.toml")

    def test_three_on_one_pin_are_two_mistakes(self, tmp_path: Path) -> None:
        problems = problems_of("[panel]\nred_pin = 17\nbuzzer_pin = 17", tmp_path)
        assert [problem.key for problem in problems] == ["panel.red_pin", "panel.buzzer_pin"]

    @pytest.mark.parametrize(
        "text",
        [
            'red_pin = 17\ndriver = "simulated"',
            'red_pin = 17\ndriver = "none"',
            'buzzer_pin = 17\nbuzzer = "none"',
            "blue_pin = -1\npedal_pin = -1",
        ],
    )
    def test_pins_that_are_not_used_do_not_clash(self, text: str, tmp_path: Path) -> None:
        load_text("[panel]\n" + text, tmp_path)

    def test_are_not_applied_to_values_that_are_wrong_by_themselves(self, tmp_path: Path) -> None:
        (problem,) = problems_of("[recording]\nmaximum_seconds = 1\n", tmp_path)
        assert problem.expected == "a number from 10 to 86400"


class TestTomlValue:
    @given(
        st.one_of(
            st.booleans(),
            st.integers(-(2**63), 2**63 - 1),
            st.floats(allow_nan=False),
            st.text(st.characters(exclude_categories=["Cs"])),
            st.lists(st.text(st.characters(exclude_categories=["Cs"]))).map(tuple),
            st.lists(st.floats(allow_nan=False)).map(tuple),
        )
    )
    def test_is_read_back_as_it_was(
        self, value: str | int | float | bool | tuple[str, ...] | tuple[float, ...]
    ) -> None:
        read = tomllib.loads(f"value = {toml_value(value)}")["value"]
        assert (tuple(read) if isinstance(read, list) else read) == value
        assert toml_value(value).isprintable()


def test_settings_can_be_sent_to_other_processes() -> None:
    settings = Settings()
    assert pickle.loads(pickle.dumps(settings)) == settings  # noqa: S301
