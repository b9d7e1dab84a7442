from __future__ import annotations

from dataclasses import replace

import pytest

from rag_core.content.quality import QualityPolicy
from rag_core.content.quality import store as quality
from rag_core.errors import Reason
from tests.support.pipeline import PipelineHarness, prose

ERROR_PAGE = "502 Bad Gateway\n\nnginx"


@pytest.mark.catalogue("F07")
def test_a_bad_document_goes_to_quarantine_and_the_rest_is_indexed(flow: PipelineHarness) -> None:
    flow.connector.put("a.txt", prose(1))
    flow.connector.put("b.txt", ERROR_PAGE)
    counts = flow.run()
    assert (counts.indexed, counts.quarantined, counts.balanced) == (1, 1, True)
    row = flow.quarantined()["b.txt"]
    assert (row.stage, row.reason) == ("parse", Reason.QUALITY_ERROR_PAGE)
    assert flow.quality is not None
    assert (flow.quality.score, flow.quality.failed, flow.quality.tried, flow.quality.good) == (50.0, 1, 2, True)


def test_an_error_page_does_not_replace_what_was_known(flow: PipelineHarness) -> None:
    flow.connector.put("a.txt", prose(1))
    flow.run()
    flow.connector.put("a.txt", ERROR_PAGE)
    flow.run()
    assert "Paragraph 0" in flow.indexed_text()["a.txt"]


def test_a_rule_that_warns_flags_the_document(flow: PipelineHarness) -> None:
    flow.source = replace(flow.source, quality=QualityPolicy({"error_page": "warn"}))
    flow.connector.put("a.txt", ERROR_PAGE)
    flow.run()
    assert flow.row("a.txt").flags == ["quality:error_page"]
    assert flow.quality is not None
    assert flow.quality.score == 50.0


def test_another_policy_judges_every_document_again(flow: PipelineHarness) -> None:
    flow.connector.put("a.txt", ERROR_PAGE)
    flow.run()
    assert "a.txt" in flow.quarantined()
    flow.source = replace(flow.source, quality=QualityPolicy({"error_page": "ignore"}))
    assert flow.run().indexed == 1
    assert flow.quarantined() == {}
    flow.source = replace(flow.source, quality=QualityPolicy())
    flow.run()
    assert "a.txt" in flow.quarantined()


def test_too_many_failures_exceed_the_threshold_and_the_next_run_without_new_ones_does_not(
    flow: PipelineHarness,
) -> None:
    flow.source = replace(flow.source, quality=QualityPolicy(max_failed_share=0.4, max_failed_minimum=3))
    for number in range(3):
        flow.connector.put(f"{number}.txt", prose(number))
        flow.connector.put(f"bad{number}.txt", ERROR_PAGE + str(number))
    flow.run()
    assert flow.quality is not None
    assert (flow.quality.failed, flow.quality.tried, flow.quality.exceeded, flow.quality.good) == (3, 6, True, False)
    flow.connector.fetched.clear()
    flow.run()
    assert flow.connector.fetched == [f"bad{number}.txt" for number in range(3)]  # tried again
    assert (flow.quality.failed, flow.quality.exceeded, flow.quality.score) == (0, False, 50.0)


def test_a_source_that_cannot_be_read_exceeds_the_threshold_in_every_run(flow: PipelineHarness) -> None:
    flow.source = replace(flow.source, quality=QualityPolicy(max_failed_share=0.4, max_failed_minimum=3))
    for number in range(3):
        flow.connector.put(f"{number}.txt", prose(number))
        flow.connector.unreachable.add(f"{number}.txt")
    for _ in range(3):
        flow.run()
        assert flow.quality is not None
        assert (flow.quality.failed, flow.quality.exceeded) == (3, True)


def test_a_run_is_compared_with_the_last_good_one(flow: PipelineHarness) -> None:
    for number in range(25):
        flow.connector.put(f"{number}.txt", prose(number))
    flow.run("first")
    for number in range(25):
        flow.connector.put(f"{number}.txt", f"第{number}份文件说明了水泵需要定期加油和维护。" * 2)
    flow.run("second")
    assert flow.quality is not None
    assert flow.quality.warnings["language_drift"] == 1.0
    assert flow.quality.score == 81.0  # two warnings: the size is another too
    flow.run("third")
    assert flow.quality.warnings == {}
    with flow.store.engine.connect() as connection:
        (latest,) = quality.latest(connection)
    assert (latest.source, latest.score) == ("handbook", 100.0)


def test_copies_of_one_text_are_counted(flow: PipelineHarness) -> None:
    for number in range(4):
        flow.connector.put(f"{number}.txt", prose(1))
    flow.run()
    assert flow.quality is not None
    assert flow.quality.warnings == {"duplicate_ratio": 0.75}


def test_stored_vectors_of_the_wrong_size_and_documents_without_chunks_are_errors(flow: PipelineHarness) -> None:
    flow.connector.put("a.txt", prose(1))
    flow.run("run")
    with flow.store.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE rag.embeddings SET vector = substr(vector, 5)")
        connection.exec_driver_sql("UPDATE rag.chunkings SET chunk_count = 0")
    again = flow.run("run")
    assert again.read == 1
    assert flow.quality is not None
    assert set(flow.quality.errors) == {"bad_vectors", "zero_chunks"}
    assert flow.quality.score == 56.2
