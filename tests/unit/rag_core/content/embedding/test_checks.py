"""What leaves an embedder is usable."""

from __future__ import annotations

import numpy as np
import pytest

from rag_core.content.embedding.base import clean, unit_rows
from rag_core.errors import Reason, Unavailable


def test_rows_come_out_with_length_one_as_float32() -> None:
    vectors = unit_rows(np.array([[3.0, 4.0], [1e300, 0.0], [0.0, 1e-200]]), rows=3, dimensions=2)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(vectors, [[0.6, 0.8], [1, 0], [0, 1]], atol=1e-6)


@pytest.mark.parametrize(
    "vectors",
    [
        np.zeros((2, 3)),
        np.ones((1, 3)),
        np.ones((2, 4)),
        np.ones(6),
        np.array([[1, np.nan, 1], [1, 1, 1]]),
        np.array([[1, np.inf, 1], [1, 1, 1]]),
    ],
    ids=["zero", "few", "wide", "flat", "nan", "infinite"],
)
def test_unusable_vectors_are_refused(vectors: np.ndarray) -> None:
    with pytest.raises(Unavailable) as caught:
        unit_rows(vectors, rows=2, dimensions=3)
    assert caught.value.reason == Reason.EMBEDDER_RESPONSE


@pytest.mark.catalogue("B11")
def test_lone_surrogates_become_question_marks_and_nothing_else_changes() -> None:
    assert clean("a\ud800b\U0001f600\x00") == "a?b\U0001f600\x00"
