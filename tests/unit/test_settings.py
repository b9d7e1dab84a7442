"""Settings are read strictly, and what is wrong is named before anything starts."""

from __future__ import annotations

from typing import Any

import pytest

from rag_core.errors import ConfigError, Reason
from rag_core.settings import Settings


@pytest.mark.catalogue("B72")
@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"chunk_tokens": 0}, "RAG_CHUNK_TOKENS"),
        ({"chunk_tokens": -1}, "RAG_CHUNK_TOKENS"),
        ({"chunk_tokens": 10**9}, "RAG_CHUNK_TOKENS"),
        ({"chunk_overlap": -1}, "RAG_CHUNK_OVERLAP"),
        ({"chunk_tokens": 200, "chunk_overlap": 200}, "chunk_overlap"),
        ({"chunk_tokens": 200, "chunk_overlap": 101}, "chunk_overlap"),
        ({"default_deadline_seconds": 50, "max_deadline_seconds": 40}, "default_deadline_seconds"),
    ],
)
def test_a_number_out_of_its_range_alone_or_with_another_is_refused_with_its_name(
    given: dict[str, Any], named: str
) -> None:
    with pytest.raises(ConfigError, match=named) as caught:
        Settings.load(**given)
    assert caught.value.reason is Reason.CONFIG_RANGE


@pytest.mark.catalogue("B71")
def test_every_problem_is_named_and_one_that_is_no_range_decides_the_reason() -> None:
    with pytest.raises(ConfigError, match=r"RAG_CHUNK_TOKENS.*RAG_EMBEDDER|RAG_EMBEDDER.*RAG_CHUNK_TOKENS") as caught:
        Settings.load(chunk_tokens=0, embedder="magic")
    assert caught.value.reason is Reason.CONFIG_INVALID
