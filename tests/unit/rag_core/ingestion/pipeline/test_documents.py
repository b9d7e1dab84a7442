from __future__ import annotations

import pytest

from rag_core.content.documents import inspection_store
from rag_core.content.sources import Problem
from rag_core.errors import Conflict, NotFound, Reason
from rag_core.ingestion.pipeline import approve_deletions
from rag_core.ingestion.pipeline.base import DocumentCounts
from tests.support.pipeline import PipelineHarness, prose

POISON = b"\x7fELF" + bytes(range(256)) * 4


def _fill(flow: PipelineHarness, documents: int) -> None:
    for number in range(documents):
        flow.connector.put(f"{number}.txt", prose(number))


def test_a_first_run_indexes_every_document_and_a_second_reads_embeds_and_writes_nothing(flow: PipelineHarness) -> None:
    _fill(flow, 5)
    assert flow.run() == DocumentCounts(read=5, indexed=5)
    assert flow.indexed_text() == {f"{n}.txt": " ".join(prose(n).split()) for n in range(5)}
    flow.connector.fetched.clear()
    flow.embedder.texts = 0
    counts = flow.run()
    assert (counts.read, counts.unchanged, counts.balanced) == (5, 5, True)
    assert flow.connector.fetched == []
    assert flow.embedder.texts == 0
    assert flow.counts("index")["documents"] == 0


def test_an_edit_touches_only_its_document_and_embeds_only_its_paragraph(flow: PipelineHarness) -> None:
    _fill(flow, 5)
    flow.run()
    before = flow.row("3.txt").version
    flow.connector.put("3.txt", prose(3).replace("Paragraph 2", "Section 2"))
    flow.embedder.texts = 0
    counts = flow.run()
    assert (counts.indexed, counts.unchanged, counts.balanced) == (1, 4, True)
    assert flow.embedder.texts == 1
    assert flow.row("3.txt").version == before + 1
    assert "Section 2" in flow.indexed_text()["3.txt"]
    assert {point.payload.version for point in flow.points("3.txt")} == {before + 1}


def test_a_touched_file_is_unchanged_and_its_new_token_is_remembered(flow: PipelineHarness) -> None:
    _fill(flow, 2)
    flow.run()
    flow.connector.touch("1.txt")
    assert flow.run().unchanged == 2
    assert flow.connector.fetched[-1] == "1.txt"
    flow.connector.fetched.clear()
    assert flow.run().unchanged == 2
    assert flow.connector.fetched == []
    assert flow.row("1.txt").version == 1


def test_a_new_parser_reads_everything_again_and_changes_no_version_when_the_text_is_the_same(
    flow: PipelineHarness,
) -> None:
    _fill(flow, 2)
    flow.run()
    flow.parser = _Renamed(flow.parser)  # type: ignore[assignment]
    flow.connector.fetched.clear()
    assert flow.run().unchanged == 2
    assert len(flow.connector.fetched) == 2
    assert flow.row("1.txt").version == 1


class _Renamed:
    """The parser under another fingerprint."""

    def __init__(self, parser) -> None:  # type: ignore[no-untyped-def]
        self.parse, self.fingerprint = parser.parse, "newer"


@pytest.mark.catalogue("F23")
def test_a_document_that_shrinks_loses_exactly_its_stale_points(flow: PipelineHarness) -> None:
    flow.connector.put("a.txt", prose(1, sentences=5))
    flow.run()
    before = {point.chunk_id for point in flow.points("a.txt")}
    assert len(before) == 5
    flow.connector.put("a.txt", prose(1, sentences=2))
    flow.run()
    after = {point.chunk_id for point in flow.points("a.txt")}
    assert len(after) == 2
    assert after < before
    assert flow.counts("index")["removed"] == 3


def test_a_rename_is_a_deletion_and_a_new_document_whose_texts_are_not_embedded_again(flow: PipelineHarness) -> None:
    _fill(flow, 2)
    # Named by the source; a title taken from the file name would be part of what is embedded.
    flow.connector.put("2.txt", prose(2), title="Pumps")
    flow.run()
    flow.connector.items["renamed.txt"] = flow.connector.items.pop("2.txt")
    flow.embedder.texts = 0
    counts = flow.run()
    assert (counts.read, counts.indexed, counts.deleted, counts.unchanged) == (4, 1, 1, 2)
    assert counts.balanced
    assert flow.points("2.txt") == []
    assert flow.points("renamed.txt")
    assert flow.embedder.texts == 0


def test_a_deleted_document_becomes_a_tombstone_without_content_and_comes_back_as_a_newer_version(
    flow: PipelineHarness,
) -> None:
    _fill(flow, 3)
    flow.run()
    item = flow.connector.items.pop("1.txt")
    assert flow.run().deleted == 1
    row = flow.row("1.txt")
    assert (row.deleted_at is not None, row.text, row.title, row.version) == (True, "", "", 2)
    assert flow.one("SELECT count(*) AS n FROM rag.chunks WHERE doc_id = :id", id=row.doc_id).n == 0
    assert flow.points("1.txt") == []
    flow.connector.items["1.txt"] = item
    assert flow.run().indexed == 1
    assert flow.row("1.txt").version == 3
    assert flow.points("1.txt")


@pytest.mark.catalogue("A30")
def test_copies_are_all_indexed_and_the_run_and_each_document_say_so(flow: PipelineHarness) -> None:
    for name, number in (("a.txt", 1), ("b.txt", 1), ("c.txt", 2)):
        flow.connector.put(name, prose(number))
    assert flow.run().indexed == 3
    assert flow.counts("documents")["copies"] == 2
    with flow.store.engine.connect() as connection:
        copies = [inspection_store.inspect(connection, "acme", flow.doc_id(name)) for name in ("a.txt", "c.txt")]
    assert [found.copies for found in copies if found] == [("handbook/b.txt",), ()]
    flow.run()
    assert "copies" not in flow.counts("documents"), "a run speaks of what it has written"


@pytest.mark.catalogue("F22")
def test_a_listing_that_stops_early_deletes_nothing_and_says_so(flow: PipelineHarness) -> None:
    _fill(flow, 6)
    flow.run()
    flow.connector.put("0.txt", prose(100))
    flow.connector.stop_after = 3
    counts = flow.run()
    report = flow.reports["documents"]
    assert report.problem == Reason.LISTING_INCOMPLETE
    assert "page 3 of 5" in (report.message or "")
    assert (counts.read, counts.indexed, counts.unchanged, counts.deleted) == (6, 1, 5, 0)
    assert counts.balanced
    assert len(flow.indexed_text()) == 6


@pytest.mark.catalogue("F22")
def test_an_empty_listing_of_a_source_that_had_documents_is_held(flow: PipelineHarness) -> None:
    _fill(flow, 2)
    flow.run()
    flow.connector.items.clear()
    counts = flow.run()
    assert flow.reports["documents"].problem == Reason.MASS_DELETE_HELD
    assert (counts.read, counts.unchanged, counts.held, counts.deleted) == (2, 2, 2, 0)
    assert counts.balanced
    assert len(flow.indexed_text()) == 2
    assert flow.one("SELECT held_deletions FROM rag.sources").held_deletions == 2


@pytest.mark.catalogue("F22")
def test_a_mass_deletion_is_held_while_the_rest_continues_and_an_approval_releases_it_once(
    flow: PipelineHarness,
) -> None:
    flow.settings = flow.settings.model_copy(update={"delete_guard_minimum": 4})
    _fill(flow, 10)
    flow.run()
    for number in range(4):
        del flow.connector.items[f"{number}.txt"]
    flow.connector.put("new.txt", prose(77))
    counts = flow.run()
    assert (counts.held, counts.indexed, counts.unchanged, counts.balanced) == (4, 1, 10, True)

    assert approve_deletions(flow.store, "acme", "handbook", "operator@acme") == 4
    counts = flow.run()
    assert (counts.deleted, counts.held, counts.balanced) == (4, 0, True)
    assert flow.one("SELECT actor, action FROM rag.audit WHERE action LIKE 'source%'") == (
        "operator@acme",
        "source.approve_deletions",
    )

    for number in range(4, 9):
        del flow.connector.items[f"{number}.txt"]
    assert flow.run().held == 5
    with pytest.raises(NotFound):
        approve_deletions(flow.store, "other", "handbook", "operator@acme")


def test_an_approval_does_not_cover_more_than_was_seen(flow: PipelineHarness) -> None:
    flow.settings = flow.settings.model_copy(update={"delete_guard_minimum": 2})
    _fill(flow, 10)
    flow.run()
    for number in range(3):
        del flow.connector.items[f"{number}.txt"]
    flow.run()
    approve_deletions(flow.store, "acme", "handbook", "operator")
    flow.connector.items.clear()
    counts = flow.run()
    assert (counts.held, counts.deleted) == (10, 0)


def test_a_held_deletion_is_over_when_the_documents_come_back(flow: PipelineHarness) -> None:
    _fill(flow, 2)
    flow.run()
    items = dict(flow.connector.items)
    flow.connector.items.clear()
    flow.run()
    flow.connector.items.update(items)
    assert flow.run().unchanged == 2
    assert flow.reports["documents"].problem is None
    with pytest.raises(Conflict, match="no deletions are held"):
        approve_deletions(flow.store, "acme", "handbook", "operator")


@pytest.mark.catalogue("F07")
def test_poison_is_quarantined_and_given_up_after_its_attempts_while_the_rest_succeeds(flow: PipelineHarness) -> None:
    _fill(flow, 2)
    flow.connector.put("poison.txt", POISON)
    for attempt in range(1, 4):
        counts = flow.run()
        assert (counts.quarantined, counts.read, counts.balanced) == (1, 3, True)
        assert flow.quarantined()["poison.txt"].attempts == attempt
    flow.connector.fetched.clear()
    assert flow.run().quarantined == 1
    assert flow.connector.fetched == []
    row = flow.quarantined()["poison.txt"]
    assert (row.stage, row.attempts) == ("parse", 3)
    assert row.reason in set(Reason)


@pytest.mark.catalogue("F07")
def test_poison_that_is_repaired_or_deleted_leaves_the_quarantine(flow: PipelineHarness) -> None:
    for name in ("repaired.txt", "deleted.txt"):
        flow.connector.put(name, POISON)
    flow.run()
    flow.connector.put("repaired.txt", prose(1))
    del flow.connector.items["deleted.txt"]
    counts = flow.run()
    assert (counts.read, counts.indexed, counts.quarantined, counts.deleted) == (1, 1, 0, 0)
    assert counts.balanced
    assert flow.quarantined() == {}


def test_a_document_whose_new_content_cannot_be_parsed_keeps_its_old_version_and_gets_its_new_acl(
    flow: PipelineHarness,
) -> None:
    flow.connector.put("a.txt", prose(1), acl=("group:hr",))
    flow.run()
    old = flow.indexed_text()["a.txt"]
    flow.connector.put("a.txt", POISON, acl=("group:board",))
    counts = flow.run()
    assert (counts.quarantined, counts.balanced) == (1, True)
    assert flow.indexed_text()["a.txt"] == old
    assert {point.payload.acl for point in flow.points("a.txt")} == {("group:board",)}


@pytest.mark.parametrize(("content", "outcome"), [(b"", "skipped"), (b"   \n", "quarantined")])
def test_what_a_document_without_text_any_more_said_is_withdrawn(
    flow: PipelineHarness, content: bytes, outcome: str
) -> None:
    flow.connector.put("a.txt", prose(1))
    flow.connector.put("b.txt", prose(2))
    flow.run()
    flow.connector.put("a.txt", content)
    counts = flow.run()
    assert (getattr(counts, outcome), counts.unchanged, counts.deleted, counts.balanced) == (1, 1, 0, True)
    assert flow.points("a.txt") == []
    flow.connector.fetched.clear()
    assert getattr(flow.run(), outcome) == 1
    assert flow.connector.fetched == ([] if outcome == "skipped" else ["a.txt"])
    flow.connector.put("a.txt", prose(3))
    assert flow.run().indexed == 1


PROGRAM = b"\x7fELF" + bytes(64)
PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(64)
OLD_OFFICE_FILE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600)


def test_what_is_no_document_is_left_out_of_a_listing_and_is_no_failure(flow: PipelineHarness) -> None:
    _fill(flow, 2)
    for name, content in {"tool": PROGRAM, "icon.png": PICTURE, "letter.doc": OLD_OFFICE_FILE}.items():
        flow.connector.put(name, content)
    for fetched in (["0.txt", "1.txt", "icon.png", "letter.doc", "tool"], ["letter.doc"]):
        flow.connector.fetched.clear()
        counts = flow.run()
        assert (counts.skipped, counts.quarantined, counts.balanced) == (2, 1, True)
        assert sorted(flow.connector.fetched) == fetched
    assert flow.quarantined()["letter.doc"].reason == Reason.OFFICE_FORMAT_OLD
    assert len(flow.indexed_text()) == 2


def test_a_document_that_becomes_a_program_is_a_failure_and_keeps_its_old_version(flow: PipelineHarness) -> None:
    flow.connector.put("notes", prose(1))
    flow.run()
    before = flow.indexed_text()
    flow.connector.put("notes", PROGRAM)
    assert (flow.run().quarantined, flow.indexed_text()) == (1, before)


def test_problems_of_the_listing_are_quarantined_or_skipped_and_delete_nothing(flow: PipelineHarness) -> None:
    _fill(flow, 2)
    flow.run()
    del flow.connector.items["0.txt"]
    flow.connector.problems = [
        Problem("0.txt", Reason.UNREADABLE, "permission denied"),
        Problem("pipe", Reason.NOT_A_REGULAR_FILE, "a pipe", skipped=True),
    ]
    counts = flow.run()
    assert (counts.quarantined, counts.skipped, counts.unchanged, counts.balanced) == (1, 1, 1, True)
    assert flow.points("0.txt")
    assert set(flow.quarantined()) == {"0.txt"}
    flow.connector.problems = []
    flow.connector.put("0.txt", prose(0))
    assert flow.run().quarantined == 0
    assert flow.quarantined() == {}


def test_an_item_the_source_cannot_give_now_is_tried_in_every_run(flow: PipelineHarness) -> None:
    flow.connector.put("a.txt", prose(1))
    flow.connector.unreachable.add("a.txt")
    for _ in range(5):
        assert flow.run().quarantined == 1
    flow.connector.unreachable.clear()
    assert flow.run().indexed == 1


def test_an_item_that_vanishes_during_the_run_is_skipped_and_an_indexed_one_is_kept(flow: PipelineHarness) -> None:
    flow.connector.put("old.txt", prose(1))
    flow.run()
    flow.connector.put("old.txt", prose(2))
    flow.connector.put("new.txt", prose(3))
    flow.connector.vanishing |= {"old.txt", "new.txt"}
    counts = flow.run()
    assert (counts.skipped, counts.unchanged, counts.balanced) == (1, 1, True)
    assert flow.points("old.txt")


def test_an_update_without_an_acl_keeps_the_old_one_and_an_acl_alone_is_a_new_version_that_embeds_nothing(
    flow: PipelineHarness,
) -> None:
    flow.connector.put("a.txt", prose(1), acl=("group:hr",))
    flow.run()
    flow.connector.put("a.txt", prose(2))
    flow.run()
    assert flow.row("a.txt").acl == ["group:hr"]
    assert {point.payload.acl for point in flow.points("a.txt")} == {("group:hr",)}
    flow.embedder.texts = 0
    flow.connector.put("a.txt", prose(2), acl=("user:eve",))
    assert flow.run().indexed == 1
    assert flow.embedder.texts == 0
    assert {point.payload.acl for point in flow.points("a.txt")} == {("user:eve",)}


def test_a_document_whose_acl_was_never_known_is_stored_and_not_searchable(flow: PipelineHarness) -> None:
    flow.source = type(flow.source)("handbook", "acme", "memory", acl=None)
    flow.connector.put("a.txt", prose(1))
    counts = flow.run()
    assert (counts.indexed, counts.balanced) == (1, True)
    assert flow.points() == []
    flow.source = type(flow.source)("handbook", "acme", "memory", acl=("everyone",))
    flow.connector.fetched.clear()
    assert flow.run().indexed == 1
    assert flow.connector.fetched == []
    assert {point.payload.acl for point in flow.points("a.txt")} == {("everyone",)}


def test_a_new_default_acl_reaches_the_documents_that_inherit_it_without_reading_them(flow: PipelineHarness) -> None:
    flow.connector.put("inherits.txt", prose(1))
    flow.connector.put("own.txt", prose(2), acl=("group:hr",))
    flow.run()
    flow.connector.fetched.clear()
    flow.source = type(flow.source)("handbook", "acme", "memory", acl=("group:staff",))
    counts = flow.run()
    assert (counts.indexed, counts.unchanged, counts.balanced) == (1, 1, True)
    assert flow.connector.fetched == []
    assert {point.payload.acl for point in flow.points("inherits.txt")} == {("group:staff",)}
    assert {point.payload.acl for point in flow.points("own.txt")} == {("group:hr",)}


def test_metadata_of_the_source_is_part_of_every_document(flow: PipelineHarness) -> None:
    flow.connector.put("a.txt", prose(1), metadata={"team": "pumps"})
    flow.source = type(flow.source)("handbook", "acme", "memory", acl=("everyone",), metadata={"area": "plant"})
    flow.run()
    assert flow.row("a.txt").metadata["area"] == "plant"
    flow.source = type(flow.source)("handbook", "acme", "memory", acl=("everyone",), metadata={"area": "office"})
    assert flow.run().indexed == 1
    assert {point.payload.metadata["area"] for point in flow.points("a.txt")} == {"office"}


def test_an_entry_listed_twice_counts_once(flow: PipelineHarness) -> None:
    flow.connector.put("a.txt", prose(1))
    flow.connector.problems = [Problem("a.txt", Reason.UNREADABLE, "seen twice")]
    counts = flow.run()
    assert (counts.read, counts.indexed, counts.balanced) == (1, 1, True)
    assert flow.counts("documents")["duplicates"] == 1


def test_a_locator_that_cannot_be_stored_is_quarantined(flow: PipelineHarness) -> None:
    flow.connector.put("bad\udcff.txt", prose(1))
    flow.connector.put("nul\x00.txt", prose(2))
    counts = flow.run()
    assert (counts.quarantined, counts.balanced) == (2, True)
    assert {row.reason for row in flow.quarantined().values()} == {Reason.ID_CHARS}


def test_shards_together_hold_the_source_once_and_follow_another_number_of_shards(flow: PipelineHarness) -> None:
    source = type(flow.source)
    _fill(flow, 20)
    flow.source = source("handbook", "acme", "memory", acl=("everyone",), shards=3)
    counts = [flow.run(shard=shard) for shard in range(3)]
    assert sum(count.indexed for count in counts) == 20
    assert all(count.balanced for count in counts)
    flow.source = source("handbook", "acme", "memory", acl=("everyone",), shards=2)
    flow.connector.fetched.clear()
    counts = [flow.run(shard=shard) for shard in range(2)]
    assert sum(count.unchanged for count in counts) == 20
    assert sum(count.deleted for count in counts) == 0
    assert flow.connector.fetched == []
    assert len(flow.indexed_text()) == 20


def test_the_run_is_on_record_stage_by_stage(flow: PipelineHarness) -> None:
    _fill(flow, 2)
    flow.run("run-x")
    stages = {row.stage: row for row in flow.all("SELECT * FROM rag.run_stages WHERE run_id = 'run-x'")}
    assert set(stages) == {"documents", "chunks", "embeddings", "index"}
    assert stages["documents"].counts["added"] == 2
    assert all(row.complete for row in stages.values())
