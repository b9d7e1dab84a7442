"""Calls of pages: no tenant's slow ones keep those of others waiting."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from threading import Event

import pytest
import streamlit as st

from console.call_threads import CallThreads
from console.session import _CALLS_AT_ONCE, Identity, Role, ahead


@pytest.mark.catalogue("A28")
def test_pages_of_a_tenant_whose_calls_are_slow_leave_threads_for_those_of_others() -> None:
    release, answered = Event(), Event()

    def asked(tenant: str, call: Callable[[Event], object]) -> Callable[[], object]:
        st.session_state["identity"] = Identity(tenant, tenant, Role.VIEWER)
        return ahead(lambda: release, call)

    try:
        slow = [asked("acme", lambda found: found.wait(600)) for _ in range(2 * _CALLS_AT_ONCE)]
        asked("globex", lambda _: answered.set())
        assert answered.wait(60)
    finally:
        release.set()
    assert [wait() for wait in slow] == [True] * len(slow), "each has had its turn"


def test_calls_that_wait_when_the_console_stops_are_cancelled_and_errors_reach_their_page() -> None:
    release, began, threads = Event(), Event(), CallThreads(2, 1)

    def begin() -> bool:
        began.set()
        return release.wait(60)

    failed: Future[float] = threads.submit("acme", partial(divmod, 1, 0))
    with pytest.raises(ZeroDivisionError):
        failed.result(60)
    running, waiting = threads.submit("acme", begin), threads.submit("acme", begin)
    assert began.wait(60)
    threads.close()
    release.set()
    assert (running.result(60), waiting.cancelled()) == (True, True)
