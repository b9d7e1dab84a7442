"""Starting works in the order of their needs. How long a start is waited for: while something works, and no longer
than the setting says."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rag_core.errors import RagError, Reason, Unavailable
from ragctl.local_stack import start_deadline as module
from ragctl.local_stack.data_dir import DataDir
from ragctl.local_stack.display import Silent
from ragctl.local_stack.lifecycle import LifecycleStep, last_log_line, run_all, step_work
from ragctl.local_stack.start_deadline import StartDeadline, processor_seconds
from tests.support.waiting import eventually


class Recorder(Silent):
    """A display that remembers."""

    def __init__(self) -> None:
        self.ready_names: list[str] = []
        self.failed_names: list[str] = []

    def ready(self, name: str, seconds: float, detail: str = "") -> None:
        self.ready_names.append(name)

    def failed(self, name: str) -> None:
        self.failed_names.append(name)


async def _nothing() -> None:
    return


async def test_each_work_waits_for_its_needs() -> None:
    display = Recorder()
    works = [
        LifecycleStep("server", ("schema", "model"), _nothing),
        LifecycleStep("schema", ("database",), _nothing),
        LifecycleStep("model", (), _nothing),
        LifecycleStep("database", ("something that runs already",), _nothing),
    ]
    seconds = await run_all(works, display)
    order = display.ready_names
    assert order.index("database") < order.index("schema") < order.index("server")
    assert order.index("model") < order.index("server")
    assert seconds.keys() == {"server", "schema", "model", "database"}


async def test_independent_works_run_side_by_side() -> None:
    barrier = asyncio.Barrier(2)

    async def meet() -> None:
        await barrier.wait()

    await asyncio.wait_for(run_all([LifecycleStep("a", (), meet), LifecycleStep("b", (), meet)], Silent()), 10)


async def test_the_first_failure_stops_the_rest_and_is_raised_as_it_is() -> None:
    cancelled = asyncio.Event()

    async def fail() -> None:
        raise Unavailable(Reason.START_FAILED, "database: no space")

    async def wait() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    display = Recorder()
    works = [
        LifecycleStep("slow", (), wait),
        LifecycleStep("database", (), fail),
        LifecycleStep("server", ("database",), _nothing),
    ]
    with pytest.raises(RagError, match="database: no space"):
        await run_all(works, display)
    assert cancelled.is_set()
    assert display.failed_names == ["database"]
    assert "server" not in display.ready_names


async def test_a_step_that_fails_keeps_its_reason() -> None:
    environment = {"RAG_EMBEDDER": "openai", "PYTHONPATH": ":".join(sys.path)}
    with pytest.raises(RagError) as caught:
        await step_work("model", (), environment, Silent()).run()
    assert caught.value.reason is Reason.CONFIG_INVALID
    assert "embed_url" in caught.value.message


def test_the_last_words_of_a_part_are_its_last_log_line(tmp_path: Path) -> None:
    home = DataDir(tmp_path)
    home.logs.mkdir()
    assert last_log_line(home, "console") == "it left no log"
    home.log("console").write_text("first\nAddress already in use\n\n")
    assert "Address already in use (all of it: " in last_log_line(home, "console")


IDLE = 180.0


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def used(monkeypatch: pytest.MonkeyPatch) -> dict[int, float]:
    """Processor time by process, as a test wants it."""
    found: dict[int, float] = {}
    monkeypatch.setattr(module, "processor_seconds", lambda pid: found.get(pid, 0.0))
    return found


def after(clock: Clock, seconds: float, deadline: StartDeadline, *names: str) -> list[bool]:
    clock.now += seconds
    return [deadline.is_over(name, number, idle=IDLE) for number, name in enumerate(names, 1)]


def test_a_service_that_works_is_waited_for_and_one_that_waits_for_it_too(clock: Clock, used: dict[int, float]) -> None:
    deadline = StartDeadline(3600, clock=clock)
    for minute in range(30):
        used[1] = minute * 2.0
        assert after(clock, 60, deadline, "code", "web") == [False, False]


def test_services_that_do_nothing_are_given_up(clock: Clock, used: dict[int, float]) -> None:
    deadline = StartDeadline(3600, clock=clock)
    assert after(clock, 1, deadline, "code", "web") == [False, False]
    used[1] = 0.1  # a thread that polls
    assert after(clock, IDLE, deadline, "code", "web") == [False, False]
    assert after(clock, 2, deadline, "code", "web") == [True, True]


def test_a_server_that_polls_and_stays_broken_does_not_work(clock: Clock, used: dict[int, float]) -> None:
    """As Dagster's webserver does while its code server is gone: a quarter of a second in a minute."""
    deadline = StartDeadline(3600, clock=clock)
    found = []
    for second in range(0, 300, 5):
        used[1] = second / 60 * 0.25
        found += after(clock, 5, deadline, "web")
    assert found[0] is False
    assert found[-1] is True


def test_the_work_of_a_service_that_is_healthy_keeps_nobody_waiting(clock: Clock, used: dict[int, float]) -> None:
    deadline = StartDeadline(3600, clock=clock)
    after(clock, 1, deadline, "code", "web")
    deadline.healthy("code")
    used[1] = 100.0
    clock.now += IDLE + 1
    assert deadline.is_over("web", 2, idle=IDLE)


def test_work_without_end_is_waited_for_only_as_long_as_the_setting_says(clock: Clock, used: dict[int, float]) -> None:
    deadline = StartDeadline(600, clock=clock)
    for minute in range(10):
        used[1] = minute * 10.0
        assert after(clock, 59, deadline, "code") == [False]
    assert after(clock, 20, deadline, "code") == [True]


@contextmanager
def program(text: str) -> Iterator[int]:
    process = subprocess.Popen([sys.executable, "-c", text])
    try:
        yield process.pid
    finally:
        process.kill()
        process.wait()


def test_the_work_of_children_is_that_of_their_service() -> None:
    busy = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'while True: pass'])"
    with program(busy) as pid:
        assert eventually(lambda: processor_seconds(pid) > module.WORK_SECONDS)
        child = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True, check=True).stdout.split()
        subprocess.run(["kill", "-9", *child], check=True)
    assert processor_seconds(pid) == 0.0
    assert processor_seconds(0) == 0.0
