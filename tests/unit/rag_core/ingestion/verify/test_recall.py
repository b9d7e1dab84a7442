"""Recall: what searches find, against the exact nearest of the same points."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from rag_core.ingestion.verify.recall import NEAREST, ExactNearest
from rag_core.retrieval.engines.edge import EdgeIndex
from tests.support.index_points import SPEC, document, filled


@pytest.fixture
def index(tmp_path: Path) -> Iterator[EdgeIndex]:
    """Points of two tenants and of several readers."""
    opened = EdgeIndex(tmp_path / "index")
    documents = [
        document(
            f"{tenant}-{n}",
            [f"text {n} of {tenant}"],
            tenant=tenant,
            acl=("everyone",) if n % 3 else ("staff",) if n % 2 else (),
        )
        for tenant in ("acme", "globex")
        for n in range(40)
    ]
    filled(opened, *documents)
    yield opened
    opened.close()


def test_exact_search_is_found_right_among_what_each_reader_may_see(index: EdgeIndex) -> None:
    points = [point for batch in index.scroll(SPEC.name) for point in batch]
    nearest = ExactNearest(points)
    for start in range(0, len(points), 7):
        nearest.add(points[start : start + 7])
    found = nearest.recall(index, SPEC.name)
    assert found is not None
    assert found.share == 1.0
    assert found.searches == sum(bool(point.payload.acl) for point in points)


def test_what_is_nearer_and_not_found_counts(index: EdgeIndex) -> None:
    points = [point for batch in index.scroll(SPEC.name) for point in batch]
    nearest = ExactNearest(points)
    nearest.add(points)
    readable = [point for point in points if "everyone" in point.payload.acl]
    index.delete_points(SPEC.name, [point.chunk_id for point in readable[::2]])
    found = nearest.recall(index, SPEC.name)
    assert found is not None
    assert 0 < found.share < 1
    assert len(readable) > 2 * NEAREST


def test_a_generation_without_points_has_no_recall(index: EdgeIndex) -> None:
    nearest = ExactNearest([])
    nearest.add([point for batch in index.scroll(SPEC.name) for point in batch])
    assert nearest.recall(index, SPEC.name) is None
