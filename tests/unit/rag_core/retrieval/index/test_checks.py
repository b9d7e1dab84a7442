"""Vectors and updates that must not reach an engine."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from rag_core.content.embedding import Vectors
from rag_core.errors import InvalidInput, Reason
from rag_core.retrieval.index import SearchMode, checks
from tests.support.index_points import document, request


@pytest.mark.parametrize(
    ("vector", "reason"),
    [
        (np.ones((1, 8), np.float32), Reason.VECTOR_DIM),
        (np.empty(0, np.float32), Reason.VECTOR_DIM),
        (np.full(8, 3e38, np.float32), Reason.VECTOR_NOT_FINITE),
        (np.full(8, -np.inf, np.float32), Reason.VECTOR_NOT_FINITE),
        (np.full(8, -0.0, np.float32), Reason.VECTOR_ZERO),
    ],
)
def test_a_bad_vector_has_its_reason(vector: Vectors, reason: Reason) -> None:
    with pytest.raises(InvalidInput) as raised:
        checks.check_vector(vector, 8)
    assert raised.value.reason is reason


@pytest.mark.catalogue("S25")
@pytest.mark.parametrize("name", ["../other", "a/b", "/abs", "..", ".", "", "a\0b", "A", "a" * 65])
def test_a_generation_becomes_a_folder_and_cannot_be_another_path(name: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        checks.check_name(name)
    assert raised.value.reason is Reason.FIELD_INVALID


def test_a_vector_need_not_be_normalised() -> None:
    checks.check_vector(np.full(8, 1000, np.float32), 8)


@pytest.mark.parametrize(
    ("mode", "changes", "reason"),
    [
        (SearchMode.HYBRID, {"vector": None}, Reason.VECTOR_DIM),
        (SearchMode.DENSE, {"vector": None}, Reason.VECTOR_DIM),
        (SearchMode.HYBRID, {"text": ""}, Reason.QUERY_EMPTY),
        (SearchMode.LEXICAL, {"text": ""}, Reason.QUERY_EMPTY),
    ],
)
def test_a_mode_needs_its_input(mode: SearchMode, changes: dict[str, Any], reason: Reason) -> None:
    with pytest.raises(InvalidInput) as raised:
        checks.check_search(replace(request("wing", mode=mode), **changes), 8)
    assert raised.value.reason is reason


def test_a_mode_needs_no_more_than_its_input() -> None:
    checks.check_search(request("wing", mode=SearchMode.LEXICAL, vector=None), 8)
    checks.check_search(request("", mode=SearchMode.DENSE, vector=request("wing").vector), 8)


def test_a_time_without_a_zone_is_refused() -> None:
    update = document("a", ["one"])
    payload = replace(update.points[0].payload, updated_at=update.points[0].payload.updated_at.replace(tzinfo=None))
    with pytest.raises(InvalidInput, match="time zone"):
        checks.check_updates([replace(update, points=(replace(update.points[0], payload=payload),))], 8)


def test_the_latest_of_equal_versions_is_the_one_sent_last() -> None:
    first, second = document("a", ["one"]), document("a", ["two"])
    newest, dropped = checks.latest([first, document("b", ["other"]), second])
    assert (newest[first.doc_id], len(newest), dropped) == (second, 2, 1)
