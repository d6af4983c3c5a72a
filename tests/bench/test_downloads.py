"""What the benchmark of downloads makes of its measurements."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from recorderd.bench.client import SEEK, Outcome
from recorderd.bench.downloads import Measured, Result, Trial, compared, shown
from recorderd.bench.servers import nginx, nginx_config

DOWNLOAD = Trial("one large download", 1, goal=0.9)


def _measured(gigabytes: float, cpu: float, answers: int = 4) -> Measured:
    outcome = Outcome(
        bytes=int(gigabytes * 1e9),
        seconds=2.0,
        answers=answers,
        problems=0,
        cpu_seconds=0.5,
        first_byte_ms=[1.0, 3.0, 2.0],
    )
    return Measured(outcome, cpu)


def _result(ours: float, theirs: float | None) -> Result:
    result = Result(1 << 30, {"recorderd": {"command": "recorderd web", "settings": "[web]\n"}})
    measured = [] if theirs is None else [_measured(theirs, 0.4)]
    result.comparisons += compared(DOWNLOAD, [_measured(ours, 0.6)], measured)
    if theirs is None:
        result.skipped.append("the comparison with nginx: it is not installed")
    return result


def test_speed_and_processor_time_are_compared() -> None:
    speed, cpu = compared(DOWNLOAD, [_measured(3.6, 0.9)], [_measured(4.0, 0.8)])
    assert (speed.name, speed.unit, speed.ours, speed.theirs) == (
        "one large download",
        "MB/s",
        (1800.0,),
        (2000.0,),
    )
    assert speed.goal == 0.9
    assert cpu.ours == pytest.approx((0.25,))
    assert cpu.theirs == pytest.approx((0.2,))
    assert cpu.goal is None


def test_of_players_the_jumps_count() -> None:
    seeks, first_byte, _ = compared(
        Trial("seeking", 1, SEEK), [_measured(1, 1, answers=100)], [_measured(1, 1, answers=200)]
    )
    assert (seeks.ours, seeks.theirs) == ((50.0,), (100.0,))
    assert first_byte.ours == (2.0,)


@pytest.mark.parametrize(("ours", "exit_code"), [(3.6, 0), (3.5, 1)])
def test_a_missed_goal_is_a_failure(ours: float, exit_code: int) -> None:
    assert _result(ours, 4.0).exit_code == exit_code


def test_a_machine_with_other_work_misses_no_goal() -> None:
    result = _result(2.0, 4.0)
    result.other_cores = 0.7
    assert result.exit_code == 0
    assert "Something else used 0.700 cores" in shown(result)
    assert result.document()["disturbed"] is True


def test_without_nginx_there_is_no_failure_but_a_line() -> None:
    result = _result(1.0, None)
    assert result.exit_code == 0
    text = shown(result)
    assert "Not measured: the comparison with nginx: it is not installed" in text
    assert "500 MB/s" in text


def test_both_sides_show_how_they_were_run() -> None:
    result = _result(3.6, 4.0)
    result.sides["nginx"] = {"command": "nginx -c x", "settings": "sendfile on;"}
    text = shown(result)
    assert "recorderd: recorderd web\n    [web]" in text
    assert "nginx: nginx -c x\n    sendfile on;" in text


def test_the_document_is_plain_data() -> None:
    result = _result(3.6, 4.0)
    result.information["small_pages"] = [{"page": "search"}]
    found = json.loads(json.dumps(result.document()))
    assert found["benchmark"] == "downloads"
    assert found["small_pages"] == [{"page": "search"}]
    assert found["comparisons"][0]["ratio"] == pytest.approx(0.9)
    assert found["machine"]["processors"] >= 1


def test_what_is_only_information_is_shown_too() -> None:
    result = _result(3.6, 4.0)
    result.information = {
        "idle_connections": {
            "nginx": {
                "connections": 2000,
                "kilobytes_each": 0.35,
                "memory_bytes": 5_000_000,
                "before_ms": {"median": 0.2, "p95": 0.4},
                "meanwhile_ms": {"median": 0.25, "p95": 0.5},
            }
        },
        "small_pages": [
            {
                "page": "search",
                "requests_per_second": 312.0,
                "median_ms": 30.0,
                "p99_ms": 90.0,
                "refused": 0,
                "cpu_ms_per_request": 3.1,
            }
        ],
        "floods": [
            {
                "connections": 100,
                "requests_per_second": 4354.4,
                "answered": 621,
                "refused": 43196,
                "other_client": {
                    "before_ms": 6.0,
                    "median_ms": 51.2,
                    "p95_ms": 296.0,
                    "asked": 53,
                    "answered": 52,
                },
                "memory_before_bytes": 42_900_000,
                "memory_most_bytes": 46_200_000,
            }
        ],
    }
    text = shown(result)
    assert "2000 to nginx" in text
    assert "0.250 ms (0.500 ms)" in text
    assert "312" in text
    assert "52 of 53 answered" in text
    assert "43 MB, then 46 MB" in text


def test_nginx_is_told_what_makes_it_fast(tmp_path: Path) -> None:
    config = nginx_config(tmp_path, tmp_path / "footage", 8081)
    for line in ("sendfile on;", "tcp_nopush on;", "worker_processes auto;", "access_log off;"):
        assert line in config
    assert "listen 127.0.0.1:8081" in config
    assert f"root {tmp_path}/footage;" in config


def test_without_nginx_there_is_no_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recorderd.bench.servers.shutil.which", lambda *_, **__: None)
    assert nginx(tmp_path, tmp_path, 8081) is None
