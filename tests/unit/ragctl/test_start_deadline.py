"""How long a start is waited for: while something works, and no longer than the setting says."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from ragctl.local_stack import start_deadline as module
from ragctl.local_stack.start_deadline import StartDeadline, processor_seconds
from tests.support.waiting import eventually

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
