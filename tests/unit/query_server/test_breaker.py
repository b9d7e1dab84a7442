"""The breaker opens after calls without an answer in a row, tries one at a time, and closes at an answer."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack, suppress

import pytest
from prometheus_client import CollectorRegistry, Gauge

from query_server.runtime.breaker import COOLDOWN_SECONDS, WAITED_SECONDS, Breaker
from rag_core.errors import DeadlineExceeded, InvalidInput, RagError, Reason, Unavailable

GONE = Unavailable(Reason.INDEX_UNAVAILABLE, "gone")
LATE = DeadlineExceeded(Reason.DEADLINE, "late")
SILENCES = [(GONE, 0.0), (asyncio.CancelledError(), WAITED_SECONDS), (LATE, WAITED_SECONDS)]


class Tried:
    """A breaker of three calls with a clock that the test moves."""

    def __init__(self) -> None:
        self.now = 100.0
        self.gauge = Gauge("silent", "silent", registry=CollectorRegistry())
        self.breaker = Breaker(3, gauge=self.gauge, clock=lambda: self.now)

    def call(self, outcome: BaseException | None = None, *, seconds: float = 0.0) -> bool:
        """Whether the call was let through."""
        began = False
        with suppress(RagError, asyncio.CancelledError), self.breaker.call():
            began = True
            self.now += seconds
            if outcome is not None:
                raise outcome
        return began

    @property
    def counted(self) -> float:
        return self.gauge.collect()[0].samples[0].value


@pytest.fixture
def tried() -> Tried:
    return Tried()


@pytest.mark.parametrize(("silence", "seconds"), SILENCES)
def test_it_opens_after_several_silent_calls_in_a_row(tried: Tried, silence: BaseException, seconds: float) -> None:
    assert [tried.call(silence, seconds=seconds) for _ in range(4)] == [True, True, True, False]
    assert (tried.breaker.open, tried.counted) == (True, 1)
    with pytest.raises(Unavailable) as refused, tried.breaker.call():
        pass
    assert refused.value.reason is Reason.INDEX_UNAVAILABLE


@pytest.mark.parametrize(
    "answer", [None, InvalidInput(Reason.FIELD_INVALID, "no"), Unavailable(Reason.INDEX_EMPTY, "nothing yet")]
)
def test_any_answer_starts_the_count_again(tried: Tried, answer: Exception | None) -> None:
    for outcome in (GONE, GONE, answer, GONE, GONE):
        assert tried.call(outcome)
    assert (tried.breaker.open, tried.counted) == (False, 0)


def test_an_index_that_answers_others_meanwhile_is_slow_and_not_silent(tried: Tried) -> None:
    waiting = [ExitStack() for _ in range(5)]
    for caller in waiting:
        caller.enter_context(tried.breaker.call())
    tried.now += WAITED_SECONDS
    assert tried.call(), "one of the others is answered"
    for caller in waiting:
        with pytest.raises(asyncio.CancelledError), caller:
            raise asyncio.CancelledError
    assert not tried.breaker.open


def test_a_caller_in_a_hurry_says_nothing_about_the_index(tried: Tried) -> None:
    for _ in range(5):
        assert tried.call(asyncio.CancelledError(), seconds=WAITED_SECONDS / 2)
    assert not tried.breaker.open


def test_while_open_one_call_at_a_time_tries_again(tried: Tried) -> None:
    for _ in range(3):
        tried.call(GONE)
    tried.now += COOLDOWN_SECONDS
    with tried.breaker.call():
        assert not tried.call(), "a trial is under way"
    assert not tried.breaker.open
    assert (tried.call(), tried.counted) == (True, 0)


def test_a_trial_that_fails_is_followed_by_another_pause(tried: Tried) -> None:
    for _ in range(3):
        tried.call(GONE)
    tried.now += COOLDOWN_SECONDS
    assert tried.call(GONE, seconds=5.0)
    tried.now += COOLDOWN_SECONDS / 2
    assert not tried.call()
    tried.now += COOLDOWN_SECONDS / 2
    assert tried.call()


def test_a_gauge_can_be_shared_with_another_count(tried: Tried) -> None:
    tried.gauge.inc(2)
    for _ in range(3):
        tried.call(GONE)
    assert tried.counted == 3
    tried.now += COOLDOWN_SECONDS
    tried.call()
    assert tried.counted == 2
