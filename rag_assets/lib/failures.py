"""Typed errors as Dagster failures: the reason is metadata, and only retryable errors are retried."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from rag_core.errors import RagError, Reason
from rag_core.logging import format_exception, get_logger

log = get_logger(__name__)

RETRY = dg.RetryPolicy(max_retries=3, delay=5, backoff=dg.Backoff.EXPONENTIAL, jitter=dg.Jitter.PLUS_MINUS)
"""About 5, 10 and 20 seconds: a database or an index that restarts is back by then."""


@contextmanager
def typed_failures() -> Iterator[None]:
    """Turn every error into `dagster.Failure`: the event log keeps what an exception says, for ever.

    A `RagError` keeps its message. Anything else is a defect; its message may quote a document, so that only its type
    and place are kept. Causes are left out for the same reason: a driver's error quotes the row.
    """
    try:
        yield
    except RagError as error:
        retryable = error.retryable or error.reason is Reason.SOURCE_BUSY
        raise dg.Failure(
            description=str(error),
            metadata={"reason": str(error.reason), "retryable": retryable, **error.metadata},
            allow_retries=retryable,
        ) from None
    except (dg.Failure, dg.RetryRequested, dg.DagsterError):
        raise
    except Exception as error:
        log.exception("defect")
        raise dg.Failure(
            description=f"{Reason.INTERNAL}: {type(error).__name__}; the metadata says where",
            metadata={"reason": str(Reason.INTERNAL), "traceback": dg.MetadataValue.text(format_exception(error))},
            allow_retries=False,
        ) from None
