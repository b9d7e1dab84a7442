"""The oracle's own test passes on a healthy oracle, fails on a blind one, and leaves no trace."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from rag_core.database import Store
from rag_core.errors import Reason, Unavailable
from rag_core.ingestion.verify import compare, self_test, verify
from rag_core.retrieval.engines.edge import EdgeIndex
from rag_core.settings import Settings
from tests.support.pipeline import PipelineHarness

MUTATIONS = {
    "untouched",
    "drop a point",
    "duplicate a point",
    "invent a point",
    "swap the tenant",
    "open the ACL",
    "age a point",
    "shift the span",
    "turn the vector",
    "make a vector NaN",
    "make a vector zero",
    "shorten a vector",
    "hide a point from searches",
    "cut the tail",
}


def test_every_mutation_is_caught_and_nothing_is_left(flow: PipelineHarness) -> None:
    report = self_test(flow.store, flow.index)
    assert report.passed, report.to_json()
    assert set(report.results) == MUTATIONS
    assert [spec.name for spec in flow.index.generations()] == [flow.index.alias()]
    assert verify(flow.store, flow.index).clean


def test_a_blind_oracle_fails(flow: PipelineHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    def blind(row: object, payload: object) -> Iterator[tuple[object, str]]:
        return iter(())

    monkeypatch.setattr(compare, "payload_differences", blind)
    report = self_test(flow.store, flow.index)
    assert not report.passed
    caught = {name for name, seen in report.results.items() if seen}
    assert caught == MUTATIONS - {"swap the tenant", "open the ACL", "age a point", "shift the span"}


def test_without_an_index_there_is_nothing_to_test(store: Store, index: EdgeIndex, settings: Settings) -> None:
    with pytest.raises(Unavailable) as raised:
        self_test(store, index)
    assert raised.value.reason is Reason.INDEX_EMPTY
