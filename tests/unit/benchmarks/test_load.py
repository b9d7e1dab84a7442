"""The load loops count what they sent. Free ports for processes about to start. Processes that a benchmark starts."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from itertools import islice
from pathlib import Path

from benchmarks.ports import free_port
from benchmarks.processes import CLIENT, process, processor_seconds
from benchmarks.query.load import closed_loop, open_loop, questions
from tests.support.waiting import eventually


async def test_a_closed_loop_keeps_exactly_so_many_calls_going() -> None:
    running = most = 0

    async def call(_: str) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.001)
        running -= 1

    outcome = await closed_loop(call, questions(["q"], 0), in_flight=3, seconds=0.1)
    assert most == 3
    assert outcome.rate > 0
    assert outcome.failed == 0
    assert outcome.p50 <= outcome.p95 <= outcome.p99


async def test_failed_calls_are_counted_and_not_timed() -> None:
    async def call(_: str) -> None:
        await asyncio.sleep(0.001)
        raise OSError

    outcome = await closed_loop(call, questions(["q"], 0), in_flight=2, seconds=0.05)
    assert outcome.failed > 0
    assert outcome.rate == 0


async def test_an_open_loop_does_not_wait_for_answers() -> None:
    asked = 0
    release = asyncio.Event()

    async def call(_: str) -> None:
        nonlocal asked
        asked += 1
        if asked == 20:
            release.set()
        await release.wait()

    outcome = await open_loop(call, questions(["q"], 0), rate=200, seconds=0.1)
    assert asked == 20
    assert outcome.failed == 0


def test_no_two_questions_are_equal() -> None:
    asked = list(islice(questions(["a", "b"], 0), 50)) + list(islice(questions(["a", "b"], 1000), 50))
    assert len(set(asked)) == 100


def test_processes_that_ask_at_once_are_dealt_different_ports_outside_of_the_range_of_connections() -> None:
    with ProcessPoolExecutor(3) as workers:
        ports = list(workers.map(_ask, range(60)))
    assert len(set(ports)) == len(ports)
    assert all(10_000 <= port < 32_768 for port in ports)


def _ask(_: int) -> int:
    return free_port()


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
