"""What the interface imports before the first picture."""

from __future__ import annotations

import subprocess
import sys

_PROBE = """
import sys
import leaktui.tui.app
heavy = ("httpx", "h2", "elftools", "google", "pygments", "leaktui.wire", "leaktui.binary", "leaktui.engines.pprof")
print(",".join(name for name in heavy if name in sys.modules))
"""


def test_nothing_heavy_is_imported_with_the_application() -> None:
    done = subprocess.run([sys.executable, "-c", _PROBE], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
