"""Errors become statuses here and nowhere else."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc.aio

from query_server.calls import Call
from query_server.interceptors.chain import Layer
from query_server.status import bounded, code_of, internal_error, trailers
from rag_core.errors import Exhausted, RagError
from rag_core.logging import get_logger

_log = get_logger("query_server.error")


def map_errors(*, pushback_ms: int) -> Layer:
    """Abort with the status of a `RagError`; anything else is a bug, logged here and reported without its text."""

    @asynccontextmanager
    async def layer(call: Call) -> AsyncIterator[None]:
        try:
            yield
        except RagError as error:
            await _abort(call, error, pushback_ms if isinstance(error, Exhausted) else None)
        except grpc.aio.AbortError:
            raise
        except Exception:
            _log.exception("bug", method=call.method, request_id=call.request_id)
            await _abort(call, internal_error(), None)

    return layer


async def _abort(call: Call, error: RagError, pushback_ms: int | None) -> None:
    call.reason = error.reason
    metadata = trailers(error, call.request_id, pushback_ms=pushback_ms)
    await call.context.abort(code_of(error), bounded(error.message), metadata)
