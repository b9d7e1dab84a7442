"""Processes that a benchmark starts."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from benchmarks.ports import free_port
from benchmarks.processes import CLIENT, process, processor_seconds
from tests.support.waiting import eventually

BENCHMARK = """
import os, sys
from pathlib import Path
from benchmarks.processes import process

folder, port = Path(sys.argv[1]), sys.argv[2]
command = [sys.executable, "-m", "http.server", port, "--bind", "127.0.0.1", "--directory", str(folder)]
with process("served", command, dict(os.environ), folder, f"http://127.0.0.1:{port}/"):
    print(next(Path(f"/proc/self/task/{os.getpid()}/children").open()).split()[0], flush=True)
    sys.stdin.read()
"""


def test_a_benchmark_that_is_asked_to_end_ends_what_it_started(tmp_path: Path) -> None:
    command = [sys.executable, "-c", BENCHMARK, str(tmp_path), str(free_port())]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        child = Path("/proc") / running.stdout.readline().strip()
        assert (child / "cmdline").read_bytes()
        running.terminate()
        assert eventually(lambda: running.poll() is not None, seconds=30)
        assert running.returncode == 143
    assert not child.exists()


def test_processor_time_is_that_of_each_process_while_it_runs(tmp_path: Path) -> None:
    port = free_port()
    command = [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1"]
    with process("served", command, os.environ, tmp_path, f"http://127.0.0.1:{port}/"):
        spent = processor_seconds()
    assert spent.keys() == {"served", CLIENT}
    assert min(spent.values()) > 0
    assert processor_seconds().keys() == {CLIENT}
