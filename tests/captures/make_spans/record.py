"""Records tests/captures/spans with a real Jaeger and the OpenTelemetry SDK.

    python tests/captures/make_spans/record.py [JAEGER]

Builds `main.go` (the OpenTelemetry SDK comes through the Go proxy) and, where no JAEGER binary is named, the
all-in-one of jaegertracing/jaeger v1.60.0 (about five minutes and 1 GB of module cache; its UI is left out). Starts
Jaeger on loopback, lets two services emit spans over OTLP/HTTP, one of them without the events, and writes what the
query API and /api/v3 answer, with the program's own count of what it forgot. The directory is rewritten.
"""

from __future__ import annotations

import gzip
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).parent
CAPTURES = HERE.parent / "spans"
JAEGER = "github.com/jaegertracing/jaeger@v1.60.0"
OTLP, QUERY = 14318, 16686
FLAGS = (
    f"--collector.otlp.http.host-port=127.0.0.1:{OTLP}",
    "--collector.otlp.grpc.host-port=127.0.0.1:14317",
    f"--query.http-server.host-port=127.0.0.1:{QUERY}",
    "--query.grpc-server.host-port=127.0.0.1:16685",
    "--collector.grpc-server.host-port=127.0.0.1:14250",
    "--collector.http-server.host-port=127.0.0.1:14268",
    "--http-server.host-port=127.0.0.1:5778",
    "--processor.jaeger-compact.server-host-port=127.0.0.1:6831",
    "--processor.jaeger-binary.server-host-port=127.0.0.1:6832",
    "--processor.zipkin-compact.server-host-port=127.0.0.1:5775",
    "--admin.http.host-port=127.0.0.1:14269",
)
WINDOW = "query.start_time_min=2020-01-01T00:00:00Z&query.start_time_max=2100-01-01T00:00:00Z"


def build_jaeger(directory: Path) -> Path:
    """The all-in-one. `go install` refuses a module with replace directives, so it is built in a copy of its source."""
    said = subprocess.run(
        ["go", "mod", "download", "-json", JAEGER], capture_output=True, text=True, check=True, cwd=directory
    )
    source = directory / "jaeger-source"
    shutil.copytree(json.loads(said.stdout)["Dir"], source)
    for path in (source, *source.rglob("*")):
        path.chmod(path.stat().st_mode | 0o200)
    binary = directory / "jaeger"
    subprocess.run(["go", "build", "-o", binary, "./cmd/all-in-one"], cwd=source, check=True)
    return binary


def fetch(path: str) -> bytes:
    with urllib.request.urlopen(f"http://127.0.0.1:{QUERY}{path}", timeout=30) as response:
        return bytes(response.read())


def wait_for(path: str) -> None:
    for _ in range(300):
        try:
            fetch(path)
            return
        except OSError:
            time.sleep(0.1)
    raise SystemExit("Jaeger did not answer within 30 s")


def build_program(directory: Path) -> Path:
    """The program that emits spans."""
    program = directory / "shop"
    subprocess.run(["go", "build", "-o", program, "."], cwd=HERE, check=True)
    return program


@contextmanager
def running(jaeger: Path) -> Iterator[None]:
    """Jaeger, ready to be asked, for the length of a `with`."""
    with subprocess.Popen([jaeger, *FLAGS], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            wait_for("/api/services")
            yield
        finally:
            server.terminate()


def emit(program: Path, *arguments: str, service: str = "shop") -> dict[str, int]:
    """Let the program emit its spans; its own count, once Jaeger holds them."""
    said = subprocess.run(
        [program, "-otlp", f"http://127.0.0.1:{OTLP}", "-service", service, *arguments],
        capture_output=True,
        check=True,
    )
    for _ in range(100):
        if service.encode() in fetch("/api/services"):
            break
        time.sleep(0.1)
    counts: dict[str, int] = json.loads(said.stdout)
    return counts


def record(jaeger: Path, directory: Path) -> None:
    program = build_program(directory)
    CAPTURES.mkdir(exist_ok=True)
    with running(jaeger):
        counts = emit(program)
        emit(program, "-events=false", "-requests", "4", service="blind")
        time.sleep(1.0)
        for name, path in {
            "shop.json": "/api/traces?service=shop&limit=1000",
            "blind.json": "/api/traces?service=blind&limit=1000",
            "shop.otlp.json": f"/api/v3/traces?query.service_name=shop&{WINDOW}",
        }.items():
            with gzip.GzipFile(CAPTURES / f"{name}.gz", "wb", mtime=0) as stream:
                stream.write(fetch(path))
    (CAPTURES / "shop.truth.json").write_text(json.dumps(counts) + "\n")


def main() -> None:
    os.environ.setdefault("GOTOOLCHAIN", "local")
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        jaeger = Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else build_jaeger(directory)
        record(jaeger, directory)


if __name__ == "__main__":
    main()
