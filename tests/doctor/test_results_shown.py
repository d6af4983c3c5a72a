"""One set of results on a terminal, as JSON, and on paper."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import pytest

from recorderd.doctor.check import (
    Finding,
    Picture,
    Result,
    Verdict,
    bad,
    good,
    skipped,
    total,
    warning,
    worst,
)
from recorderd.doctor.document import document_of
from recorderd.doctor.report import write_report
from recorderd.doctor.terminal_screen import TerminalScreen
from recorderd.errors import StorageError
from tests.doctor.stations import PaperMachine, loaded_in

RESULTS = [
    Result("clock", good("12:00", ("time zone", "Europe/Berlin")), 0.1),
    Result("label", warning("only 10% to spare", "Print the label larger"), 0.2),
    Result("camera", bad("there is no <camera>", "Plug it in"), 0.3),
    Result("pedal", skipped("nobody was asked"), 0.0),
]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_the_terminal_shows_each_with_its_remedy() -> None:
    stream = io.StringIO()
    screen = TerminalScreen(stream)
    screen.looking(["camera"])
    for result in RESULTS:
        screen.found(result)
    screen.end(RESULTS)
    text = stream.getvalue()
    assert "  BAD      camera          there is no <camera>\n" in text
    assert "-> Plug it in.\n" in text
    assert "Not ready: 1 thing is wrong, 1 more should be looked at." in text
    assert "\x1b" not in text
    assert "looking at" not in text


def test_texts_of_strangers_are_only_text(tmp_path: Path) -> None:
    hostile = "cheese\x1b[2J\n\u202e\ud800 <b>"
    result = Result("camera", bad(f"held by {hostile}", f"End {hostile}"), 0.1)
    stream = io.StringIO()
    TerminalScreen(stream).begin(hostile)
    TerminalScreen(stream).found(result)
    shown = "cheese\\x1b[2J\\n\\u202e\\ud800 <b>"
    assert stream.getvalue().count(shown) == 3
    file = tmp_path / "sheet.html"
    write_report(file, loaded_in(tmp_path).settings, [result], PaperMachine(tmp_path))
    assert file.read_text().count(shown.replace("<b>", "&lt;b&gt;")) == 2
    assert document_of(loaded_in(tmp_path).settings, [result])["results"][0]["seen"] == (
        f"held by {hostile}"
    )


def test_a_terminal_shows_what_still_goes_on_and_wipes_it_away() -> None:
    stream = Terminal()
    screen = TerminalScreen(stream)
    screen.looking(["camera", "label"])
    assert "looking at: camera, label" in stream.getvalue()
    screen.found(RESULTS[0])
    assert "\r\x1b[K  \x1b[32mGOOD" in stream.getvalue()


@pytest.mark.parametrize(
    ("results", "verdict", "said"),
    [
        (RESULTS, Verdict.BAD, "Not ready: 1 thing is wrong, 1 more should be looked at."),
        (RESULTS[2:], Verdict.BAD, "Not ready: 1 thing is wrong."),
        (RESULTS[:2], Verdict.WARNING, "It works; 1 thing should be looked at."),
        (RESULTS[:1], Verdict.GOOD, "All is well."),
    ],
)
def test_all_in_one_sentence(results: list[Result], verdict: Verdict, said: str) -> None:
    assert (worst(results), total(results)) == (verdict, said)


def test_json_for_programs(tmp_path: Path) -> None:
    document = document_of(loaded_in(tmp_path).settings, RESULTS)
    assert document["verdict"] == "bad"
    assert document["results"][0] == {
        "name": "clock",
        "verdict": "good",
        "seen": "12:00",
        "remedy": None,
        "facts": [["time zone", "Europe/Berlin"]],
        "seconds": 0.1,
    }


def test_the_sheet_holds_everything_and_needs_nothing_else(tmp_path: Path) -> None:
    picture = Picture("What the camera sees", b"\xff\xd8jpeg", ((0.1, 0.2), (0.3, 0.2), (0.3, 0.4)))
    seen = Result("pictures", Finding(Verdict.GOOD, "all", pictures=(picture,)), 4.0)
    facts = tuple((f"format {number}", "x" * 300) for number in range(30))
    many = Result("formats", good("many", *facts), 0.1)
    file = tmp_path / "sheet.html"
    machine = PaperMachine(tmp_path)
    machine.write("sys/class/dmi/id/product_name", "NUC11TNHi5\n")
    write_report(file, loaded_in(tmp_path).settings, [*RESULTS, seen, many], machine)
    page = file.read_text()
    assert "there is no &lt;camera&gt;" in page
    assert base64.b64encode(picture.jpeg).decode() in page
    assert 'points="10.00,20.00 30.00,20.00 30.00,40.00"' in page
    assert "22 more" in page
    assert "NUC11TNHi5" in page
    assert "http://" not in page
    assert "https://" not in page


def test_a_sheet_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="cannot be written"):
        write_report(
            tmp_path / "no" / "sheet.html",
            loaded_in(tmp_path).settings,
            RESULTS,
            PaperMachine(tmp_path),
        )
