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


def test_a_defect_becomes_a_failure_that_says_where_it_was_and_not_what_it_quoted() -> None:
    with pytest.raises(dg.Failure) as caught, typed_failures():
        raise KeyError("the text of a document")
    assert caught.value.description == "INTERNAL: KeyError; the metadata says where"
    shown = str(caught.value.metadata["traceback"].value)
    assert "test_failures.py" in shown
    assert "the text" not in shown
    assert caught.value.__suppress_context__


def test_the_cause_of_a_typed_error_is_left_out_of_the_failure() -> None:
    error = Unavailable(Reason.DATABASE_UNAVAILABLE, "the database is down")
    error.__cause__ = ValueError("Failing row contains (the text of a document)")
    with pytest.raises(dg.Failure) as caught, typed_failures():
        raise error
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
