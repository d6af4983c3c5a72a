from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from recorderd.core.model import Symbology
from recorderd.engine.scanner import Scanner, ScanResult
from recorderd.errors import DeviceError, InvariantViolationError
from recorderd.settings import LabelSettings
from tests.engine.label_images import bench, code128, place, qr, qr_with_eci

ScannerFactory = Callable[..., Scanner]


class Clock:
    """Time that passes only when told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(scope="module")
def shared() -> Iterator[Scanner]:
    scanner = Scanner(LabelSettings(), 3840, 2160)
    scanner.start()
    yield scanner
    scanner.close()


@pytest.fixture
def make() -> Iterator[ScannerFactory]:
    made: list[Scanner] = []

    def build(labels: LabelSettings | None = None, **options: object) -> Scanner:
        scanner = Scanner(labels or LabelSettings(), 1920, 1080, **options)  # type: ignore[arg-type]
        made.append(scanner)
        scanner.start()
        return scanner

    yield build
    for scanner in made:
        scanner.close()


def _texts(result: ScanResult) -> set[str]:
    assert result.problem is None
    return {code.text for code in result.codes}


def _children() -> set[int]:
    tasks = Path("/proc/self/task").glob("*/children")
    return {int(pid) for task in tasks for pid in task.read_text().split()}


def _descriptors() -> set[str]:
    return {link.name for link in Path("/proc/self/fd").iterdir()}


def _scan_until_read(scanner: Scanner, picture: np.ndarray, clock: Clock) -> ScanResult:
    """As the station does: picture after picture, whatever becomes of one of them."""
    for _ in range(20):
        clock.now += 2.0
        result = scanner.scan(picture)
        if result.codes:
            return result
    raise AssertionError(f"not read in 20 scans, last: {result}")


LABEL = place(bench(640, 480), qr("ORD-1", 5), (0.5, 0.5))
OTHER = place(bench(640, 480), qr("ORD-2", 5), (0.4, 0.6), 20)
DEADLY = place(bench(640, 480), qr_with_eci("ORD-666", 1), (0.5, 0.5))


@pytest.mark.parametrize(
    ("width", "height", "module"),
    [(320, 240, 3), (640, 480, 4), (1920, 1080, 4), (3840, 2160, 5), (3840, 2160, 30)],
)
@pytest.mark.parametrize("degrees", [0.0, 37.0])
def test_a_label_is_read_and_its_place_is_known(
    shared: Scanner, width: int, height: int, module: int, degrees: float
) -> None:
    picture = place(bench(width, height), qr("ORD-4711", module), (0.6, 0.45), degrees)
    result = shared.scan(picture)
    assert _texts(result) == {"ORD-4711"}
    (code,) = result.codes
    assert code.symbology is Symbology.QR
    assert len(code.corners) == 4
    assert code.centre == pytest.approx((0.6, 0.45), abs=0.02)
    side = qr("ORD-4711", module).shape[1] / width
    assert max(x for x, _ in code.corners) - min(x for x, _ in code.corners) < 1.5 * side


def test_several_labels_at_once_are_all_read(shared: Scanner) -> None:
    picture = bench(1920, 1080)
    places = [(0.2, 0.25), (0.5, 0.7), (0.8, 0.3)]
    for number, where in enumerate(places):
        picture = place(picture, qr(f"ORD-{number}", 6), where, 25 * number)
    assert _texts(shared.scan(picture)) == {"ORD-0", "ORD-1", "ORD-2"}


def test_the_same_text_twice_is_one_code(shared: Scanner) -> None:
    picture = place(bench(1920, 1080), qr("ORD-7", 6), (0.25, 0.4))
    picture = place(picture, qr("ORD-7", 6), (0.75, 0.4))
    assert [code.text for code in shared.scan(picture).codes] == ["ORD-7"]


@pytest.mark.parametrize("text", ["Müller 7", "📦 42", "订单 9", "注文番号12", "<b>../x'"])
def test_texts_arrive_as_printed(shared: Scanner, text: str) -> None:
    picture = place(bench(640, 480), qr(text, 5, encoding="utf-8"), (0.5, 0.5))
    assert _texts(shared.scan(picture)) == {text}


def test_an_empty_bench_gives_nothing(shared: Scanner) -> None:
    for seed in range(3):
        assert _texts(shared.scan(bench(1920, 1080, seed))) == set()


def test_a_label_put_down_after_a_long_rest_is_read_at_once(shared: Scanner) -> None:
    for _ in range(40):
        assert _texts(shared.scan(bench(640, 480))) == set()
    assert _texts(shared.scan(LABEL)) == {"ORD-1"}


def test_a_label_lying_still_is_read_again_and_again_and_its_leaving_is_seen(
    shared: Scanner,
) -> None:
    for _ in range(10):
        assert _texts(shared.scan(LABEL)) == {"ORD-1"}
    assert _texts(shared.scan(bench(640, 480))) == set()


def test_a_label_that_comes_to_one_lying_still_is_read(shared: Scanner) -> None:
    one = place(bench(1920, 1080), qr("ORD-1", 6), (0.25, 0.4))
    both = place(one, qr("ORD-2", 6), (0.75, 0.4))
    for _ in range(5):
        assert _texts(shared.scan(one)) == {"ORD-1"}
    assert _texts(shared.scan(both)) == {"ORD-1", "ORD-2"}


def test_a_padded_plane_and_a_mirror_view_of_memory_are_read(shared: Scanner) -> None:
    padded = np.zeros((500, 768), np.uint8)
    padded[:480, :640] = LABEL
    assert _texts(shared.scan(padded[:480, :640])) == {"ORD-1"}
    assert _texts(shared.scan(np.asfortranarray(OTHER))) == {"ORD-2"}


def test_a_picture_larger_than_promised_is_read_smaller(make: ScannerFactory) -> None:
    picture = place(bench(3840, 2160), qr("ORD-1", 10), (0.5, 0.5))
    assert _texts(make().scan(picture)) == {"ORD-1"}


def test_code128_is_read_only_if_asked_for_and_long_enough(
    shared: Scanner, make: ScannerFactory
) -> None:
    picture = place(bench(1920, 1080), code128("ORDER-123"), (0.5, 0.3))
    picture = place(picture, code128("SHORT"), (0.5, 0.7))
    assert _texts(shared.scan(picture)) == set()
    both = ("qr", "code128")
    for second_reader in (True, False):
        labels = LabelSettings(symbologies=both, second_reader=second_reader)
        result = make(labels).scan(picture)
        assert _texts(result) == {"ORDER-123"}
        assert result.codes[0].symbology is Symbology.CODE_128
        assert len(result.codes[0].corners) == 4


def test_without_a_second_reader_zbar_reads_alone(make: ScannerFactory) -> None:
    assert _texts(make(LabelSettings(second_reader=False)).scan(LABEL)) == {"ORD-1"}


@pytest.mark.parametrize("number", [0, 1])
def test_the_deadly_labels_of_these_tests_are_deadly(tmp_path: Path, number: int) -> None:
    np.save(tmp_path / "label.npy", qr_with_eci("ORD-666", number))
    program = (
        "import sys, numpy, zbar, resource\n"
        "resource.setrlimit(resource.RLIMIT_CORE, (0, 0))\n"
        "zbar.Scanner().scan(numpy.load(sys.argv[1]))\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "label.npy")]
    ended = subprocess.run(command, capture_output=True, check=False, timeout=30)
    assert ended.returncode == -signal.SIGABRT


def test_a_deadly_label_that_zxing_reads_never_comes_to_zbar(make: ScannerFactory) -> None:
    scanner = make(LabelSettings())
    for _ in range(3):
        assert _texts(scanner.scan(DEADLY)) == {"ORD-666"}
    assert scanner.counters.deaths == 0


def test_a_deadly_label_is_survived_read_and_followed_by_others(make: ScannerFactory) -> None:
    clock = Clock()
    scanner = make(LabelSettings(second_reader=False), clock=clock)
    assert _texts(scanner.scan(LABEL)) == {"ORD-1"}
    clock.now += 2.0

    killed = scanner.scan(DEADLY)
    assert killed.codes == ()
    assert killed.problem is not None
    assert "died" in killed.problem

    assert _texts(_scan_until_read(scanner, DEADLY, clock)) == {"ORD-666"}
    for _ in range(3):
        assert _texts(scanner.scan(DEADLY)) == {"ORD-666"}
    assert _texts(scanner.scan(OTHER)) == {"ORD-2"}
    assert scanner.counters.deaths == 1

    clock.now += 31.0
    assert _texts(scanner.scan(LABEL)) == {"ORD-1"}
    assert scanner.scan(DEADLY).problem is not None, "zbar should be back after the quarantine"
    assert scanner.counters.deaths == 2


def test_a_process_that_was_killed_is_replaced(make: ScannerFactory) -> None:
    clock = Clock()
    before = _children()
    scanner = make(clock=clock)
    (child,) = _children() - before
    os.kill(child, signal.SIGKILL)
    assert scanner.scan(LABEL).problem is not None
    assert _texts(_scan_until_read(scanner, LABEL, clock)) == {"ORD-1"}
    assert scanner.counters.deaths == 1


def test_a_process_that_hangs_is_given_up_in_time(make: ScannerFactory) -> None:
    clock = Clock()
    before = _children()
    scanner = make(clock=clock, time_limit=0.4)
    (child,) = _children() - before
    os.kill(child, signal.SIGSTOP)
    clock.now += 2.0
    started = time.monotonic()
    result = scanner.scan(LABEL)
    assert result.problem is not None
    assert "in time" in result.problem
    assert time.monotonic() - started < 2.0
    assert child not in _children()
    assert _texts(_scan_until_read(scanner, LABEL, clock)) == {"ORD-1"}


def test_processes_are_not_started_more_often_than_allowed(make: ScannerFactory) -> None:
    clock = Clock()
    before = _children()
    scanner = make(clock=clock)
    (child,) = _children() - before
    os.kill(child, signal.SIGKILL)
    for _ in range(5):
        assert scanner.scan(LABEL).problem is not None
    assert _children() == before
    clock.now += 1.1
    scanner.scan(LABEL)
    assert len(_children() - before) == 1


def test_renewing_the_process_leaves_no_gap(make: ScannerFactory) -> None:
    clock = Clock()
    scanner = make(clock=clock, recycle_after=8, recycle_lead=4)
    deadline = time.monotonic() + 60
    while scanner.counters.recycles < 2 and time.monotonic() < deadline:
        clock.now += 0.5
        assert _texts(scanner.scan(LABEL)) == {"ORD-1"}
    assert scanner.counters.recycles == 2
    assert scanner.counters.deaths == 0


def test_closing_leaves_no_process_and_no_descriptor_behind() -> None:
    children, descriptors = _children(), _descriptors()
    scanner = Scanner(LabelSettings(), 640, 480, recycle_after=4, recycle_lead=3)
    scanner.start()
    scanner.scan(LABEL)
    scanner.scan(DEADLY)
    scanner.close()
    scanner.close()
    assert _children() == children
    assert _descriptors() == descriptors


def test_the_process_ends_by_itself_when_the_engine_is_killed() -> None:
    program = (
        "import os, time\n"
        "from pathlib import Path\n"
        "from recorderd.engine.scanner import Scanner\n"
        "from recorderd.settings import LabelSettings\n"
        "Scanner(LabelSettings(), 640, 480).start()\n"
        "print(Path(f'/proc/self/task/{os.getpid()}/children').read_text(), flush=True)\n"
        "time.sleep(60)\n"
    )
    engine = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert engine.stdout is not None
    with engine.stdout:
        child = os.pidfd_open(int(engine.stdout.readline()))
        engine.kill()
        engine.wait()
        try:
            ended, _, _ = select.select([child], [], [], 10)
            assert ended
        finally:
            os.close(child)


def test_a_process_that_cannot_be_started_is_a_device_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    descriptors = _descriptors()
    for executable in ("/nonexistent/python", "/bin/false"):
        monkeypatch.setattr(sys, "executable", executable)
        with pytest.raises(DeviceError, match="cannot be started"):
            Scanner(LabelSettings(), 640, 480).start()
    assert _descriptors() == descriptors


def test_use_before_start_is_a_bug() -> None:
    with pytest.raises(InvariantViolationError):
        Scanner(LabelSettings(), 640, 480).scan(LABEL)
