from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

import dagster as dg
import numpy as np
import pytest
from dagster._core.definitions.job_base import InMemoryJob
from dagster._core.execution.api import execute_run
from PIL import Image
from sqlalchemy import text

from rag_assets.connectors import build_connector
from rag_assets.lib.generation_runs import ACTIVE
from rag_assets.lib.naming import PARTITION_TAG, job_name
from rag_assets.version_tags import TOKEN_TAG, current_version_tag
from rag_core.errors import Reason, Unavailable
from rag_core.governance.usage import Budget, Owner
from rag_core.governance.usage import store as budgets
from rag_core.ingestion.pipeline import approve_deletions
from rag_core.retrieval.index import SearchMode, SearchRequest
from tests.integration.assets.conftest import Chain
from tests.unit.rag_core.content.parsing.builders import zip_of


def fill(chain: Chain, count: int) -> None:
    for number in range(count):
        chain.write(f"doc{number:02}.md", f"# Title {number}\n\nText of document number {number}.\n")


def found(chain: Chain, words: str) -> set[str]:
    """Locators whose chunks contain the words, through the index."""
    request = SearchRequest("acme", ("everyone",), 50, SearchMode.LEXICAL, text=words)
    return {hit.payload.locator for hit in chain.pipeline.index.search(request).hits}


def test_a_first_run_brings_every_document_to_the_index_and_a_second_touches_nothing(chain: Chain) -> None:
    fill(chain, 3)
    first = chain.run()
    assert first.success
    documents = chain.metadata(first, "documents")
    assert (documents["read"], documents["added"]) == (3, 3)
    newest_first = ["doc02.md", "doc01.md", "doc00.md"]
    assert [record.data["locator"] for record in documents["preview"].records] == newest_first
    assert chain.metadata(first, "embeddings")["embedded"] == 3
    assert chain.metadata(first, "index")["upserted"] == 3
    checks = chain.checks(first)
    assert set(checks) == {
        "documents/schema",
        "chunks/schema",
        "embeddings/schema",
        "index/accounting",
        "index/listing_complete",
        "index/deletion_guard",
        "index/document_budget",
        "index/index_parity",
        "index/quality",
        "index/poison_rate",
    }
    assert all(check.passed for check in checks.values())
    assert checks["embeddings/schema"].metadata["rows"].value == 3
    assert found(chain, "Text of document") == {"doc00.md", "doc01.md", "doc02.md"}

    second = chain.run()
    assert second.success
    assert chain.metadata(second, "documents")["unchanged"] == 3
    assert chain.metadata(second, "embeddings")["embedded"] == 0
    assert chain.metadata(second, "index")["documents"] == 0
    assert chain.checks(second)["index/accounting"].metadata["unchanged"].value == 3


def test_the_lineage_runs_from_the_folder_to_the_active_generation(chain: Chain) -> None:
    fill(chain, 3)
    result = chain.run()
    for stage in ("documents", "chunks", "index"):
        assert chain.metadata(result, stage)["dagster/row_count"] == 3
    (seen,) = [event.asset_observation_data.asset_observation for event in result.get_asset_observation_events()]
    assert (seen.asset_key, seen.metadata["items"].value) == (dg.AssetKey(["handbook", "source"]), 3)
    active = chain.instance.get_latest_materialization_event(ACTIVE)
    assert active is not None
    assert active.asset_materialization is not None
    assert active.asset_materialization.partition == chain.pipeline.index.alias()
    assert active.asset_materialization.metadata["points"].value == 3


def test_inputs_in_quarantine_are_a_table_of_the_check(chain: Chain) -> None:
    chain.attributes["quality"] = {"max_failed_share": 0.1, "max_failed_minimum": 1}
    chain.write("good.md", "# Good\n\nText.\n")
    chain.write("broken.pdf", "%PDF-1.7 and then nothing of a PDF")
    check = chain.checks(chain.run())["index/poison_rate"]
    assert not check.passed
    (row,) = check.metadata["failures"].value.records
    assert row.data["locator"] == "broken.pdf"
    assert row.data["reason"]


def test_edits_additions_deletions_and_renames_touch_exactly_those(chain: Chain) -> None:
    fill(chain, 8)
    assert chain.run().success
    chain.write("doc00.md", "# Title\n\nA fresh sentence about walruses.\n")
    chain.write("new.md", "# New\n\nAn added sentence about walruses.\n")
    (chain.root / "doc01.md").unlink()
    (chain.root / "doc02.md").rename(chain.root / "renamed.md")
    result = chain.run()
    assert result.success
    documents = chain.metadata(result, "documents")
    assert (documents["added"], documents["updated"], documents["deleted"]) == (2, 1, 2)
    assert documents["unchanged"] == 5
    assert chain.metadata(result, "chunks")["documents"] == 3
    assert chain.metadata(result, "embeddings")["embedded"] == 2, "the renamed document's text has its vector already"
    # The two deletions went to the index right after their commit, in the first stage.
    assert documents["published"] == 2
    assert chain.metadata(result, "index")["documents"] == 3
    assert found(chain, "walruses") == {"doc00.md", "new.md"}
    assert found(chain, "document number 1") & {"doc01.md", "doc02.md"} == set()
    checks = chain.checks(result)
    assert checks["index/index_parity"].metadata["points"].value == 8
    assert checks["index/deletion_guard"].description == "2 of 8 documents disappeared from the source"


@pytest.mark.catalogue("F22")
def test_an_incomplete_listing_deletes_nothing_applies_the_rest_and_fails_the_run(
    chain: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(chain, 3)
    chain.write("closed/a.md", "# Closed\n\nA sentence about ptarmigans.\n")
    assert chain.run().success
    chain.write("new.md", "# New\n\nA sentence about walruses.\n")
    (chain.root / "doc00.md").unlink()
    make_unreadable(monkeypatch, "closed")
    result = chain.run()
    assert not result.success
    checks = chain.checks(result)
    assert not checks["index/listing_complete"].passed
    assert checks["index/accounting"].passed
    assert chain.metadata(result, "documents")["problem"] == Reason.LISTING_INCOMPLETE
    assert found(chain, "walruses") == {"new.md"}
    assert found(chain, "ptarmigans") == {"closed/a.md"}
    assert "doc00.md" in found(chain, "document number 0"), "absence in a cut listing proves nothing"


def make_unreadable(monkeypatch: pytest.MonkeyPatch, folder: str) -> None:
    real = os.scandir

    def scandir(fd: int | str) -> object:  # chmod does not stop root
        if isinstance(fd, int) and Path(f"/proc/self/fd/{fd}").readlink().name == folder:
            raise PermissionError(13, "Permission denied")
        return real(fd)

    monkeypatch.setattr(os, "scandir", scandir)


def test_a_run_that_leaves_new_documents_out_says_so_in_a_blocking_check(chain: Chain) -> None:
    fill(chain, 4)
    with chain.pipeline.store.engine.begin() as connection:
        budgets.set_budget(connection, Owner("acme"), Budget(documents=2), actor="ops/op")
    held = chain.run()
    assert not held.success
    check = chain.checks(held)["index/document_budget"]
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert str(check.description).startswith("QUOTA_EXCEEDED: ")
    assert chain.metadata(held, "documents")["added"] == 2


@pytest.mark.catalogue("F22")
def test_an_emptied_source_is_held_until_an_operator_approves(chain: Chain) -> None:
    fill(chain, 4)
    assert chain.run().success
    for path in chain.root.iterdir():
        path.unlink()
    held = chain.run()
    assert not held.success, "a held run is not a success"
    guard = chain.checks(held)["index/deletion_guard"]
    assert not guard.passed
    assert guard.metadata["held"].value == 4
    assert str(guard.description).startswith("MASS_DELETE_HELD: 4 deletions")
    rows = guard.metadata["failures"].value.records
    assert [row.data["locator"] for row in rows] == ["doc00.md", "doc01.md", "doc02.md", "doc03.md"]
    assert len(found(chain, "Text of document")) == 4
    approve_deletions(chain.pipeline.store, "acme", "handbook", actor="test")
    released = chain.run()
    assert released.success
    assert chain.metadata(released, "documents")["deleted"] == 4
    assert found(chain, "Text of document") == set()


@pytest.mark.catalogue("F22")
def test_a_missing_root_fails_the_run_with_its_reason_and_deletes_nothing(chain: Chain) -> None:
    fill(chain, 2)
    assert chain.run().success
    chain.root.rename(chain.root.with_name("moved"))
    result = chain.run()
    assert not result.success
    failure = next(event for event in result.all_events if event.is_step_failure or event.is_step_up_for_retry)
    assert "UNREADABLE" in str(failure.event_specific_data)
    assert len(found(chain, "Text of document")) == 2


@pytest.mark.catalogue("B28", "B30")
def test_inputs_that_cannot_be_used_are_accounted_for_and_do_not_fail_the_run(chain: Chain) -> None:
    fill(chain, 2)
    chain.write("empty.md", "")
    os.mkfifo(chain.root / "pipe.md")
    (chain.root / "broken.pdf").write_bytes(b"%PDF-1.7\nnothing")
    result = chain.run()
    assert result.success
    counts = chain.checks(result)["index/accounting"].metadata
    assert (counts["read"].value, counts["indexed"].value) == (5, 2)
    assert (counts["skipped"].value, counts["quarantined"].value) == (1, 2)


@pytest.mark.catalogue("A30")
def test_an_image_a_scan_a_zip_and_copies_delay_no_other_document(chain: Chain) -> None:
    fill(chain, 2)
    chain.write("copy.md", (chain.root / "doc00.md").read_text())
    image = Image.new("L", (500, 120), 255)
    image.save(chain.root / "note.png")
    image.save(chain.root / "scan.pdf")
    (chain.root / "bundle.zip").write_bytes(zip_of([("a", b"b")]))
    result = chain.run()
    assert chain.checks(result)["documents/schema"].passed
    assert found(chain, "Text of document") == {"copy.md", "doc00.md", "doc01.md"}
    assert chain.metadata(result, "documents")["copies"] == 2
    with chain.pipeline.store.engine.connect() as connection:
        refused = dict(connection.execute(text("SELECT locator, reason FROM rag.quarantine")).tuples().all())
    scans = dict.fromkeys(("note.png", "scan.pdf"), "NEEDS_OCR")
    assert refused == {**scans, "bundle.zip": "ARCHIVE_UNSUPPORTED"}


def test_a_bad_vector_costs_its_document_and_no_other(chain: Chain) -> None:
    """The pipeline refuses such vectors itself; one that got into the table by another way must not reach the index."""
    fill(chain, 2)
    assert chain.run().success
    chain.write("new.md", "# New\n\nAn added sentence about walruses.\n")
    broken = np.full(chain.pipeline.embedder.dimensions, np.nan, "<f4").tobytes()
    with chain.pipeline.store.engine.begin() as connection:
        connection.execute(text("UPDATE rag.embeddings SET vector = :vector"), {"vector": broken})
        connection.execute(text("UPDATE rag.documents SET version = version + 1"))
    result = chain.run()
    check = chain.checks(result)["embeddings/schema"]
    assert check.metadata["sample"].value.records[0].data["column"] == "finite"
    assert "SCHEMA_VIOLATION" in str(check.description)
    assert found(chain, "walruses") == {"new.md"}
    with chain.pipeline.store.engine.connect() as connection:
        refused = connection.execute(text("SELECT locator, reason FROM rag.quarantine ORDER BY locator")).all()
    assert refused == [("doc00.md", "SCHEMA_VIOLATION"), ("doc01.md", "SCHEMA_VIOLATION")]


def test_a_lost_point_is_a_warning_that_does_not_fail_the_run(chain: Chain) -> None:
    fill(chain, 2)
    assert chain.run().success
    index = chain.pipeline.index
    generation = index.alias()
    assert generation is not None
    (point, *_) = next(iter(index.scroll(generation, with_vectors=False)))
    index.delete_points(generation, [point.chunk_id])
    result = chain.run()
    assert result.success
    parity = chain.checks(result)["index/index_parity"]
    assert not parity.passed
    assert parity.severity is dg.AssetCheckSeverity.WARN
    assert (parity.metadata["points"].value, parity.metadata["rows"].value) == (1, 2)


def test_parity_is_about_the_rows_and_points_of_the_source(chain: Chain) -> None:
    fill(chain, 2)
    assert chain.run().success
    with chain.pipeline.store.engine.begin() as connection:
        # What another source of the tenant is missing is its own run's to report.
        connection.exec_driver_sql(
            "INSERT INTO rag.documents SELECT (jsonb_populate_record(d, jsonb_build_object("
            "'doc_id', gen_random_uuid(), 'source', 'other'))).* FROM rag.documents d"
        )
    parity = chain.checks(chain.run())["index/index_parity"]
    assert parity.passed
    assert (parity.metadata["points"].value, parity.metadata["rows"].value) == (2, 2)


def test_the_run_notes_what_the_source_looked_like(chain: Chain) -> None:
    fill(chain, 1)
    result = chain.run()
    run = chain.instance.get_run_by_id(result.run_id)
    assert run is not None
    assert run.tags[TOKEN_TAG]
    (chain.root / "doc00.md").unlink()
    assert run.tags[TOKEN_TAG] != current_version_tag(build_connector(chain.config))


def test_shards_are_independent_runs_that_together_hold_everything(chain: Chain) -> None:
    chain.attributes["shards"] = 2
    fill(chain, 8)
    results = [chain.run(partition=shard) for shard in ("0", "1")]
    assert all(result.success for result in results)
    reads = [chain.metadata(result, "documents")["read"] for result in results]
    assert sum(reads) == 8
    assert all(reads)
    assert len(found(chain, "Text of document")) == 8


def test_runs_of_shards_that_were_queued_together_take_one_listing(
    chain: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rag_core.content.sources.shared_listing_store.CLOCKS", timedelta(0))
    chain.attributes["shards"] = 2
    fill(chain, 8)
    job = chain.definitions().resolve_job_def(job_name(chain.config))
    queued = [chain.instance.create_run_for_job(job, tags={PARTITION_TAG: shard}) for shard in ("0", "1")]
    tokens = []
    for run in queued:
        assert execute_run(InMemoryJob(job), run, chain.instance).success
        done = chain.instance.get_run_by_id(run.run_id)
        assert done is not None
        tokens.append(done.tags[TOKEN_TAG])
        chain.write("later.md", "Written after the source was listed.")
    assert len(found(chain, "Text of document")) == 8
    assert tokens[0] == tokens[1] != current_version_tag(build_connector(chain.config)), (
        "so another run will be started"
    )
    assert all(chain.run(partition=shard).success for shard in ("0", "1"))
    assert found(chain, "Written after") >= {"later.md"}


@pytest.mark.catalogue("F08")
def test_an_index_that_is_down_fails_the_run_and_the_next_one_repairs(
    chain: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(chain, 2)
    index = chain.pipeline.index

    def down(*_: object) -> None:
        raise Unavailable(Reason.INDEX_UNAVAILABLE, "the index cannot be reached")

    with monkeypatch.context() as patch:
        patch.setattr(index, "apply", down)
        broken = chain.run()
    assert not broken.success
    repaired = chain.run()
    assert repaired.success
    assert found(chain, "Text of document") == {"doc00.md", "doc01.md"}
