"""What is read of the database beside the calls."""

from __future__ import annotations

import time

from structlog.testing import capture_logs

from query_server.runtime.polling import Poller
from rag_core.errors import Reason, Unavailable


async def test_the_last_finding_holds_while_the_database_is_away_and_the_log_says_so_once_per_outage() -> None:
    answers: list[int | None] = [1, None, None, 2, None]
    taken: list[int] = []

    def read() -> int:
        answer = answers.pop(0)
        if answer is None:
            raise Unavailable(Reason.DATABASE_UNAVAILABLE, "away")
        return answer

    poller = Poller("revocations", read, taken.append, seconds=0)
    with capture_logs() as log:
        for _ in range(5):
            await poller.refresh()

    assert taken == [1, 2]
    assert [(line["what"], line["reason"]) for line in log] == [("revocations", "DATABASE_UNAVAILABLE")] * 2


async def test_a_slow_read_is_repeated_less_often() -> None:
    slow = Poller("freshness", lambda: time.sleep(0.02), lambda _: None, seconds=0.1, share=0.05)

    assert await slow.refresh() >= 0.4


async def test_a_bug_in_a_read_does_not_end_the_polling() -> None:
    answers: list[int] = [1]
    taken: list[int] = []
    poller = Poller("permissions", lambda: answers.pop(0), taken.append, seconds=0)
    with capture_logs() as log:
        await poller.refresh()
        await poller.refresh()
        answers.append(2)
        await poller.refresh()

    assert taken == [1, 2]
    assert [line["log_level"] for line in log] == ["error"]
