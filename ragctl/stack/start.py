"""Starting parts: each as soon as what it needs is ready, each ready when its probe says so."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass

from rag_core.errors import RagError, Reason, Unavailable
from ragctl.stack.display import Display
from ragctl.stack.home import Home
from ragctl.stack.parts import Part
from ragctl.stack.supervisor import Supervisor

_POLL_SECONDS = 0.2
_MAX_DEATHS = 3
_LOG_LINES = 15


@dataclass(frozen=True, slots=True)
class Work:
    """Something to do once everything in `needs` is done."""

    name: str
    needs: tuple[str, ...]
    run: Callable[[], Awaitable[None]]


async def run_all(works: Iterable[Work], display: Display) -> dict[str, float]:
    """Do all works in the order of their needs, in parallel where they allow it. Returns seconds by name.

    The first failure cancels the rest and is raised. A need that no work provides counts as done.
    """
    listed = list(works)
    done = {work.name: asyncio.Event() for work in listed}
    seconds: dict[str, float] = {}

    async def perform(work: Work) -> None:
        for need in work.needs:
            if need in done:
                await done[need].wait()
        display.begin(work.name)
        began = time.monotonic()
        try:
            await work.run()
        except RagError:
            display.failed(work.name)
            raise
        seconds[work.name] = time.monotonic() - began
        display.ready(work.name, seconds[work.name])
        done[work.name].set()

    try:
        async with asyncio.TaskGroup() as group:
            for work in listed:
                group.create_task(perform(work))
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None
    return seconds


def part_work(part: Part, supervisor: Supervisor, home: Home) -> Work:
    """Start a part unless it runs, and wait until it is healthy."""

    async def run() -> None:
        supervisor.start_part(part.name)
        await wait_healthy(part, supervisor, home)

    return Work(part.name, part.needs, run)


async def wait_healthy(part: Part, supervisor: Supervisor, home: Home) -> None:
    """Return when the part is healthy. Raises `Unavailable` (`START_FAILED`) when it keeps dying or takes too long."""
    deadline = time.monotonic() + part.start_seconds
    deaths: set[float] = set()
    while True:
        info = supervisor.infos().get(part.name)
        if info is None:
            raise Unavailable(Reason.STACK_NOT_RUNNING, "the supervisor is gone; run `rag up`")
        health = await part.probe() if info.alive else None
        if health is not None and health.ok:
            return
        if not info.alive:
            deaths.add(info.started)
        if len(deaths) >= _MAX_DEATHS or time.monotonic() > deadline:
            why = health.detail if health is not None else "it keeps ending soon after its start"
            raise Unavailable(Reason.START_FAILED, f"{part.name}: {why}; {last_words(home, part.name)}")
        await asyncio.sleep(_POLL_SECONDS)


def last_words(home: Home, name: str) -> str:
    """The last line of a part's log, and where the rest is."""
    try:
        with home.log(name).open(encoding="utf-8", errors="replace") as file:
            lines = [line.strip() for line in deque(file, _LOG_LINES) if line.strip()]
    except OSError:
        return "it left no log"
    last = f"its log ends with: {lines[-1][:300]}" if lines else "its log is empty"
    return f"{last} (all of it: {home.log(name)})"


def step_work(name: str, needs: tuple[str, ...], environment: Mapping[str, str], display: Display) -> Work:
    """A step of `ragctl.stack.steps` in a child process."""

    async def run() -> None:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-P", "-m", "ragctl.stack.steps", name,
            env=dict(environment), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert process.stdout is not None  # noqa: S101
        assert process.stderr is not None  # noqa: S101
        stderr = asyncio.create_task(process.stderr.read())
        try:
            failure = await _follow(process.stdout, name, display)
            code = await process.wait()
        finally:
            if process.returncode is None:
                process.terminate()
                await process.wait()
        if failure is not None:
            raise failure
        if code != 0:
            lines = (await stderr).decode(errors="replace").strip().splitlines() or [f"exit code {code}"]
            raise Unavailable(Reason.START_FAILED, f"{name}: {lines[-1]}")

    return Work(name, needs, run)


async def _follow(lines: asyncio.StreamReader, name: str, display: Display) -> RagError | None:
    """Show progress lines; the failure, when one is reported."""
    failure: RagError | None = None
    async for line in lines:
        try:
            event = json.loads(line)
        except ValueError:
            continue  # a library printed something
        if not isinstance(event, dict):
            continue
        if "reason" in event:
            failure = Unavailable(Reason(event["reason"]), event["message"])
        elif "done" in event:
            display.progress(name, event["done"], event["total"])
    return failure
