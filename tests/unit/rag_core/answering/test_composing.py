"""Answers are composed in one thread, whatever number of them is asked for."""

from __future__ import annotations

import asyncio
import threading
from contextvars import ContextVar

from rag_core.answering.composing import in_thread

_CALLER: ContextVar[str] = ContextVar("caller", default="nobody")


async def test_answers_that_are_composed_at_once_leave_the_threads_of_others_free() -> None:
    release = threading.Event()

    def compose(name: str) -> tuple[str, str, int]:
        assert release.wait(30)
        return name, _CALLER.get(), threading.get_ident()

    async def answer(name: str) -> tuple[str, str, int]:
        _CALLER.set(name)
        return await in_thread(compose, name)

    answers = [asyncio.create_task(answer(f"caller {number}")) for number in range(50)]
    assert await asyncio.to_thread(lambda: "free") == "free"
    release.set()
    composed = await asyncio.gather(*answers)
    assert [name for name, _, _ in composed] == [caller for _, caller, _ in composed]
    assert len({thread for _, _, thread in composed}) == 1
