"""The staff pages cannot hurt recording: they load nothing that could."""

from __future__ import annotations

import subprocess
import sys


def test_no_library_of_video_or_devices_is_loaded() -> None:
    program = (
        "import sys\n"
        "from recorderd.settings import Settings\n"
        "from recorderd.web import run\n"
        "run.make_app(Settings())\n"
        "heavy = {'av', 'cv2', 'numpy', 'gpiozero', 'evdev', 'zbar', 'zxingcpp'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"
