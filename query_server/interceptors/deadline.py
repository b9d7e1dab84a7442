"""Every call ends by a deadline: the client's, at most our cap, our default when it brings none."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from query_server.calls import Call
from query_server.interceptors.chain import Layer
from rag_core.errors import DeadlineExceeded, Reason

_NO_DEADLINE = 365 * 86_400
_TOO_SHORT = 0.001
"""Seconds; nothing can be answered within it, so no part is bothered."""


def limit_time(*, default: float, cap: float) -> Layer:
    """Cancel the handler when its time is over and answer DEADLINE_EXCEEDED. Both limits in seconds."""

    @asynccontextmanager
    async def layer(call: Call) -> AsyncIterator[None]:
        remaining = call.context.time_remaining()
        unlimited = remaining is None or remaining > _NO_DEADLINE
        allowed = default if unlimited else min(float(remaining), cap)
        call.deadline = call.started + allowed
        if allowed <= _TOO_SHORT:
            raise _exceeded(allowed)
        try:
            async with asyncio.timeout(call.deadline - time.monotonic()) as timer:
                yield
        except TimeoutError:
            if timer.expired():
                raise _exceeded(allowed) from None
            raise

    return layer


def _exceeded(allowed: float) -> DeadlineExceeded:
    return DeadlineExceeded(Reason.DEADLINE, f"not finished within {max(allowed, 0):.3g} seconds")
