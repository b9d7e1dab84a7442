"""Starting works in the order of their needs."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from rag_core.errors import RagError, Reason, Unavailable
from ragctl.local_stack.data_dir import DataDir
from ragctl.local_stack.display import Silent
from ragctl.local_stack.lifecycle import LifecycleStep, last_log_line, run_all, step_work


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
