"""`verify_source` reads the source again and sees every way in which the rows can differ from it."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import text

from rag_core.content.sources import Problem
from rag_core.ingestion.pipeline import approve_deletions
from rag_core.ingestion.verify import SourceComparison, verify_source
from rag_core.ingestion.verify.report import FindingKind
from tests.support.pipeline import PipelineHarness, prose

Kind = FindingKind


def load_or_report(flow: PipelineHarness, **more: Any) -> SourceComparison:
    connector: Any = flow.connector
    return verify_source(flow.store, connector, flow.parser, flow.source, flow.settings, **more)


def kinds(flow: PipelineHarness, **more: Any) -> dict[FindingKind, int]:
    return load_or_report(flow, **more).totals


def sql(flow: PipelineHarness, statement: str) -> None:
    with flow.store.engine.begin() as connection:
        connection.execute(text(statement))


def test_what_a_run_has_taken_up_agrees_and_nothing_is_written(flow: PipelineHarness) -> None:
    flow.connector.put("broken.pdf", b"%PDF-1.7\nnothing", media_type=None)
    flow.connector.put("empty.txt", "")
    flow.connector.put("blank.txt", " ")
    flow.connector.put("mine.txt", prose(50), acl=("user:ann",), title="Mine", metadata={"team": "ops"})
    flow.connector.problems.append(Problem("pipe", "NOT_A_REGULAR_FILE", "a pipe"))
    flow.run()
    before = flow.all("SELECT xmin::text FROM rag.documents UNION ALL SELECT xmin::text FROM rag.quarantine")
    report = load_or_report(flow)
    assert report.clean, report.findings
    counts = (report.listed, report.read, report.stored, report.quarantined, report.skipped)
    assert counts == (13, 12, 9, 3, 1)
    assert flow.all("SELECT xmin::text FROM rag.documents UNION ALL SELECT xmin::text FROM rag.quarantine") == before


def test_what_no_run_has_taken_up_yet_is_named(flow: PipelineHarness) -> None:
    flow.connector.put("new.txt", prose(60))
    flow.connector.put("doc0.txt", prose(61))
    flow.connector.put("doc1.txt", "")
    del flow.connector.items["doc2.txt"]
    flow.connector.put("doc3.txt", flow.connector.items["doc3.txt"].content, acl=("user:ann",))
    flow.connector.problems.append(Problem("pipe", "NOT_A_REGULAR_FILE", "a pipe"))
    report = load_or_report(flow)
    assert report.totals == {Kind.NOT_HELD: 2, Kind.DIFFERS_FROM_SOURCE: 3, Kind.NOT_AT_SOURCE: 1}
    assert {finding.detail for finding in report.findings} == {
        "new.txt: is not stored",
        "pipe: NOT_A_REGULAR_FILE, and not in quarantine",
        "doc0.txt: text",
        "doc1.txt: has no text at the source",
        "doc2.txt: is stored, and not at the source",
        "doc3.txt: ACL",
    }
    flow.run()
    assert load_or_report(flow).clean


@pytest.mark.parametrize(
    ("damage", "what"),
    [
        ("text_hash = decode('00', 'hex')", "text"),
        ("title = 'Another'", "title"),
        ("acl = '{user:eve}'", "ACL"),
        ("""metadata = '{"team": "eve"}'""", "metadata"),
    ],
)
def test_a_row_that_something_else_wrote_is_found_although_its_token_is_right(
    flow: PipelineHarness, damage: str, what: str
) -> None:
    sql(flow, f"UPDATE rag.documents SET {damage} WHERE locator = 'doc3.txt'")  # noqa: S608
    report = load_or_report(flow)
    assert report.totals == {Kind.DIFFERS_FROM_SOURCE: 1}
    assert report.findings[0].detail == f"doc3.txt: {what}"


def test_a_source_that_is_not_listed_to_its_end_proves_nothing_about_what_it_lacks(flow: PipelineHarness) -> None:
    flow.connector.stop_after = 3
    report = load_or_report(flow)
    assert report.totals == {Kind.UNPROVEN: 1}
    assert "500" in report.findings[0].detail


def test_held_deletions_are_differences_until_an_operator_releases_them(flow: PipelineHarness) -> None:
    kept = flow.connector.items
    flow.connector.items = {}
    flow.run()
    assert kinds(flow) == {Kind.NOT_AT_SOURCE: len(kept)}
    approve_deletions(flow.store, "acme", "handbook", "ann")
    flow.run()
    assert load_or_report(flow).clean


def test_a_sample_reads_of_the_unchanged_items_only_some_and_every_changed_one(flow: PipelineHarness) -> None:
    flow.connector.put("doc0.txt", prose(61))
    report = load_or_report(flow, sample=0)
    assert (report.read, report.stored, report.totals) == (1, 8, {Kind.DIFFERS_FROM_SOURCE: 1})
