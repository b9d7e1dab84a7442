from __future__ import annotations

import dagster as dg
import pytest

from rag_assets.lib.failures import typed_failures
from rag_core.errors import Conflict, InvalidInput, RagError, Reason, Unavailable


@pytest.mark.parametrize(
    ("error", "retried"),
    [
        (Unavailable(Reason.INDEX_UNAVAILABLE, "the index is down"), True),
        (Conflict(Reason.SOURCE_BUSY, "another run"), True),
        (Conflict(Reason.DATABASE_VERSION, "too new"), False),
        (InvalidInput(Reason.PARSE_FAILED, "broken"), False),
    ],
)
def test_a_typed_error_becomes_a_failure_with_its_reason(error: RagError, retried: bool) -> None:
    with pytest.raises(dg.Failure) as caught, typed_failures():
        raise error
    assert caught.value.metadata["reason"].value == str(error.reason)
    assert caught.value.allow_retries is retried


def test_a_defect_stays_what_it_is() -> None:
    with pytest.raises(KeyError), typed_failures():
        raise KeyError("x")
