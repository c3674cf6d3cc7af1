"""Records the capture that ships in the package: `python -m tests.captures.make_demo [--seconds N]`.

Builds the demo in a neutral place, runs it and records it with `leaktui record`, as anybody would. Needs Go, and root
for the probes. `tests/demo/test_capture.py` says what it must hold, and what it must not.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time

from leaktui.demo import CAPTURE, DemoService

NEUTRAL = "/tmp/leaktui-demo"
"""Where the demo is built: the paths in the capture begin with it."""

_SETTLING_SECONDS = 3.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=40.0)
    parser.add_argument("--rate", type=float, default=8.0, help="leaks a second")
    arguments = parser.parse_args()
    os.environ["XDG_CACHE_HOME"] = NEUTRAL
    with DemoService("body", rate=arguments.rate, progress=print) as service:
        time.sleep(_SETTLING_SECONDS)
        recorded = subprocess.run(
            [
                *(sys.executable, "-m", "leaktui", "record"),
                *("--pid", str(service.pid), "--url", service.pprof_url),
                *("-o", str(CAPTURE), "--seconds", str(arguments.seconds)),
            ],
            check=False,
        )
    # Not private: it is everybody's.
    CAPTURE.chmod(0o644)
    print(f"{CAPTURE}: {CAPTURE.stat().st_size} bytes")
    return recorded.returncode


if __name__ == "__main__":
    raise SystemExit(main())
