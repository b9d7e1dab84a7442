from __future__ import annotations

from rag_core.pipeline import DocumentCounts
from tests.support.pipeline import Flow, prose


def test_a_first_run_indexes_every_document_and_accounts_for_it(flow: Flow) -> None:
    for number in range(5):
        flow.connector.put(f"{number}.txt", prose(number))
    counts = flow.run()
    assert counts == DocumentCounts(read=5, indexed=5)
    assert counts.balanced
    assert flow.indexed_text() == {f"{n}.txt": " ".join(prose(n).split()) for n in range(5)}
