"""Typed errors as Dagster failures: the reason is metadata, and only what may help is tried again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from rag_core.errors import RagError, Reason

RETRY = dg.RetryPolicy(max_retries=3, delay=5, backoff=dg.Backoff.EXPONENTIAL, jitter=dg.Jitter.PLUS_MINUS)
"""About 5, 10 and 20 seconds: a database or an index that restarts is back by then."""


@contextmanager
def typed_failures() -> Iterator[None]:
    """Turn a `RagError` into `dagster.Failure`. Anything else is a defect and stays what it is."""
    try:
        yield
    except RagError as error:
        retryable = error.retryable or error.reason is Reason.SOURCE_BUSY
        raise dg.Failure(
            description=str(error),
            metadata={"reason": str(error.reason), "retryable": retryable, **error.metadata},
            allow_retries=retryable,
        ) from error
