from __future__ import annotations

from contextlib import suppress

import pytest

from console.clients.errors import Breakers, ServiceError
from rag_clients.breaker import CircuitBreaker


def test_one_call_at_a_time_tries_a_service_that_is_silent() -> None:
    now = 0.0
    breaker = CircuitBreaker(2, 3.0, clock=lambda: now)
    assert [(breaker.let_through(), breaker.failed()) for _ in range(2)] == [(True, False), (True, True)]
    assert not breaker.let_through()
    now = 3.0
    assert [breaker.let_through(), breaker.let_through()] == [True, False]
    assert (breaker.answered(), breaker.let_through(), breaker.answered()) == (True, True, False)


@pytest.mark.parametrize(("timed_out", "skipped"), [(True, True), (False, False)])
def test_the_console_skips_calls_to_a_service_that_timed_out_alone(timed_out: bool, skipped: bool) -> None:
    breakers, reached = Breakers(), []
    for _ in range(2):
        with suppress(ServiceError), breakers.call("Dagster", "DAGSTER_UNAVAILABLE"):
            reached.append("Dagster")
            raise ServiceError("Dagster", "DAGSTER_UNAVAILABLE", timed_out=timed_out)
    with breakers.call("gateway", "DEADLINE_EXCEEDED"):
        reached.append("gateway")
    assert reached == [*["Dagster"] * (1 if skipped else 2), "gateway"]
