"""The page of documents: what it asks for, what it says of a document, and what it does with one."""

from __future__ import annotations

import csv
import io
from datetime import UTC, date, datetime, timedelta

import grpc
import pytest
from streamlit.testing.v1 import AppTest

from console.clients.errors import ServiceError
from console.components.document_list import exported
from console.presenters import documents as presenters
from ragproto.admin.v1 import operations_pb2 as ops
from ragproto.documents.v1 import documents_pb2
from ragproto.query.v2 import query_pb2 as v2
from tests.unit.console.conftest import Platform
from tests.unit.console.test_pages import button, opened, with_source

ROW = ops.DocumentRow(
    doc_id="d1", source="handbook", locator="a/plan.md", title="Plan", version=2, media_type="text/markdown",
    bytes=2048, state=ops.DOCUMENT_STATE_SEARCHABLE,
)  # fmt: skip
TEXT = "Before.\n\nBackups are taken at three.\n\nAfter."


def page_of(request: ops.FindDocumentsRequest) -> ops.FindDocumentsResponse:
    """Three pages of two documents each."""
    number = int(request.page_token or "0")
    rows = [ops.DocumentRow(doc_id=f"d{number}{n}", locator=f"{number}-{n}.md", version=1, state=1) for n in range(2)]
    counts = ops.DocumentCounts(documents=6, media_types=[ops.MediaTypeCount(media_type="text/html", documents=6)])
    following = str(number + 1) if number < 2 else ""
    return ops.FindDocumentsResponse(
        documents=rows, next_page_token=following, counts=counts if request.count else None
    )  # fmt: skip


def asked(platform: Platform, name: str) -> list[ops.FindDocumentsRequest]:
    return [request for method, request in platform.gateway.peer.asked if method == name]


def inspected(**fields: object) -> ops.InspectDocumentResponse:
    known: dict[str, object] = {
        "document": ROW,
        "text": TEXT,
        "acl": ["everyone"],
        "chunks": [ops.ChunkSpan(ordinal=0, start=9, end=36, tokens=6, embedded=True, headings=["Operations"])],
        "generations": [ops.GenerationVersion(generation="g1", state="active", indexed_version=2)],
    }
    return ops.InspectDocumentResponse(**(known | fields))  # type: ignore[arg-type]


def show(app: AppTest, platform: Platform, found: ops.InspectDocumentResponse) -> AppTest:
    with_source(platform)
    platform.gateway.peer.operations |= {
        "FindDocuments": ops.FindDocumentsResponse(documents=[ROW]), "InspectDocument": found,
    }  # fmt: skip
    app.query_params["doc"] = "d1"
    opened(app, "documents")
    assert not app.exception
    return app


def said(app: AppTest) -> str:
    return " ".join(item.value.replace("\\", "") for item in (*app.markdown, *app.success, *app.warning, *app.caption))


def test_every_page_of_the_list_can_be_reached_and_left_again(app: AppTest, platform: Platform) -> None:
    with_source(platform)
    platform.gateway.peer.operations["FindDocuments"] = page_of
    opened(app, "documents")
    seen = [list(app.dataframe[0].value["locator"])]
    for _ in range(2):
        button(app, "Next page").click().run()
        seen.append(list(app.dataframe[0].value["locator"]))
    assert seen == [[f"{page}-{n}.md" for n in range(2)] for page in range(3)]
    assert button(app, "Next page").disabled
    button(app, "Previous page").click().run()
    assert list(app.dataframe[0].value["locator"]) == seen[1]
    requests = [request for request in asked(platform, "FindDocuments") if request.page_size > 1]
    assert [request.page_token for request in requests] == ["", "1", "2", "1"]
    assert [request.count for request in requests] == [True, False, False, False]  # counted once
    assert not app.exception


def test_what_is_chosen_narrows_the_list_begins_it_anew_and_stays_in_the_address(
    app: AppTest, platform: Platform
) -> None:
    with_source(platform)
    platform.gateway.peer.operations["FindDocuments"] = page_of
    opened(app, "documents")
    button(app, "Next page").click().run()
    app.selectbox(key="documents-state").set_value("pending")
    app.selectbox(key="documents-source").set_value("handbook")
    app.selectbox(key="documents-type").set_value("text/html")
    app.selectbox(key="documents-changed").set_value("day")
    app.selectbox(key="documents-order").set_value("size")
    app.text_input(key="documents-q").input(" 100% ").run()
    request = asked(platform, "FindDocuments")[-1]
    assert (request.text, request.source, request.media_type) == ("100%", "handbook", "text/html")
    assert (request.state, request.order) == (ops.DOCUMENT_STATE_PENDING, ops.DOCUMENT_ORDER_LARGEST)
    age = datetime.now(UTC) - request.changed_from.ToDatetime(tzinfo=UTC)
    assert timedelta(hours=24) <= age < timedelta(hours=25)
    assert (request.page_token, request.HasField("changed_before")) == ("", False)
    address = {name: app.query_params[name] for name in ("q", "state", "source", "type", "changed", "order")}
    assert {name: value if isinstance(value, str) else value[0] for name, value in address.items()} == {
        "q": "100%", "state": "pending", "source": "handbook", "type": "text/html", "changed": "day", "order": "size",
    }  # fmt: skip


def test_deleted_documents_are_listed_for_who_asks_for_them(app: AppTest, platform: Platform) -> None:
    with_source(platform)
    platform.gateway.peer.operations["FindDocuments"] = page_of
    opened(app, "documents")
    assert asked(platform, "FindDocuments")[-1].exclude_deleted
    app.selectbox(key="documents-state").set_value("any").run()
    assert not asked(platform, "FindDocuments")[-1].exclude_deleted


def test_an_input_that_was_never_stored_says_why_and_is_tried_again_where_it_is_found(
    app: AppTest, platform: Platform
) -> None:
    with_source(platform)
    lost = ops.DocumentRow(doc_id="d9", source="handbook", locator="bundle.zip", state=5, quarantine_id=9)
    entry = ops.QuarantineEntry(id=9, source="handbook", locator="bundle.zip", reason="ARCHIVE_UNSUPPORTED",
                                message="the document is a zip archive", remedy="Unpack it.")  # fmt: skip
    platform.gateway.peer.operations |= {
        "FindDocuments": ops.FindDocumentsResponse(documents=[lost]),
        "GetQuarantineEntry": ops.GetQuarantineEntryResponse(entry=entry),
    }
    opened(app, "documents")
    app.text_input(key="documents-q").input("bundle").run()
    shown = [item.value for item in app.text]
    place = shown.index("bundle.zip\nARCHIVE_UNSUPPORTED")
    assert shown[place + 1 : place + 3] == ["the document is a zip archive", "Unpack it."]
    app.button(key="document-redrive-do").click().run()
    [request] = asked(platform, "RedriveQuarantine")
    assert list(request.ids) == [9]  # type: ignore[attr-defined]
    app.button(key="document-close").click().run()
    assert "entry" not in app.query_params
    assert not app.header


def test_an_address_opens_the_list_it_names(app: AppTest, platform: Platform) -> None:
    with_source(platform)
    for name, value in (("q", "plan"), ("state", "quarantined"), ("source", "handbook"), ("order", "nonsense")):
        app.query_params[name] = value
    opened(app, "documents")
    request = asked(platform, "FindDocuments")[-1]
    assert (request.text, request.source, request.state) == ("plan", "handbook", ops.DOCUMENT_STATE_QUARANTINED)
    assert request.order == ops.DOCUMENT_ORDER_UNSPECIFIED


def test_documents_are_found_by_what_they_say_one_passage_of_each(app: AppTest, platform: Platform) -> None:
    with_source(platform)
    platform.gateway.peer.passages = [v2.Passage(doc_id="d1", locator="a/plan.md", score=0.5, text="at three")]
    app.query_params["by"] = "content"
    opened(app, "documents")
    assert not asked(platform, "Search")  # nothing was asked yet
    app.selectbox(key="documents-source").set_value("handbook")
    app.text_input(key="documents-q").input("backups").run()
    [request] = asked(platform, "Search")
    assert (request.query, request.max_per_document) == ("backups", 1)  # type: ignore[attr-defined]
    assert list(app.dataframe[0].value["text"]) == ["at three"]
    assert "handbook" in str(request.filter)  # type: ignore[attr-defined]


class Caller:
    """Stands where a session's client stands; the last page fails when it should."""

    def __init__(self, *, fails: bool = False) -> None:
        self.fails = fails

    def documents(self, **wanted: object) -> ops.FindDocumentsResponse:
        if self.fails and wanted["page_token"] == "2":
            raise ServiceError("query server", "UNAVAILABLE")
        return page_of(ops.FindDocumentsRequest(page_token=str(wanted["page_token"])))


@pytest.mark.parametrize("fails", [False, True])
def test_the_export_has_every_page_and_says_where_it_broke_off(fails: bool) -> None:
    text = exported(Caller(fails=fails), presenters.DocumentSearch())  # type: ignore[arg-type]
    rows = list(csv.DictReader(io.StringIO(text)))
    assert len(rows) == (5 if fails else 6)
    assert [row["locator"] for row in rows[:4]] == ["0-0.md", "0-1.md", "1-0.md", "1-1.md"]
    assert ("UNAVAILABLE" in rows[-1]["doc_id"]) is fails


def test_a_document_shows_its_chunks_in_its_text_its_readers_and_its_history(app: AppTest, platform: Platform) -> None:
    events = [
        ops.DocumentEvent(kind=ops.DOCUMENT_EVENT_KIND_INDEXED, detail="g1", version=2),
        ops.DocumentEvent(kind=ops.DOCUMENT_EVENT_KIND_CHANGED, version=2, run_id="0a1b2c3d-0000"),
        ops.DocumentEvent(kind=99),
    ]
    show(app, platform, inspected(history=events, acl=["group:hr", "user:ann"], acl_inherited=True, cited=3))
    texts = [item.value for item in app.text]
    place = texts.index("Backups are taken at three.")
    assert texts[place - 2 : place + 2] == ["Before.", "Operations", "Backups are taken at three.", "After."]
    assert "Chunk 1: characters 9 to 36, 6 tokens, with vector" in said(app)
    assert {"Everyone in the group hr", "The user ann"} <= set(texts)
    assert "default of its source" in said(app)
    [history] = [frame.value for frame in app.dataframe if "event" in frame.value]
    assert list(history["event"]) == ["Version 2 was written to the generation g1", "Changed: version 2"]
    assert history["run"][1].endswith("/runs/0a1b2c3d-0000")


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({}, "The active generation g1 has version 2, the newest."),
        ({"acl": []}, "nobody may read it"),
        ({"revocation_pending": True}, "A permission ended."),
        ({"change_pending": True}, "A newer change was pushed"),
        ({"generations": []}, "No generation is active"),
        ({"generations": [ops.GenerationVersion(generation="g1", state="active", indexed_version=1)]},
         "still has version 1; 2 waits for the next run"),
        ({"generations": [ops.GenerationVersion(generation="g1", state="active")]}, "Version 2 waits for the next run"),
        ({"chunks": [ops.ChunkSpan(end=3)]}, "1 chunks have no vector yet."),
        ({"quarantine": ops.QuarantineEntry(id=1, reason="ENCRYPTED", attempts=3)}, "(ENCRYPTED, 3 attempts)"),
        ({"quarantine": ops.QuarantineEntry(id=1, reason="ENCRYPTED", skipped=True)}, "was discarded (ENCRYPTED)"),
        ({"copies": ["wiki/b.md"]}, "The same text is in wiki/b.md too"),
    ],
)  # fmt: skip
def test_why_a_document_can_be_found_or_not_is_said_in_words(fields: dict[str, object], sentence: str) -> None:
    found = presenters.reasons(inspected(**fields))
    words = [reason.sentence.format(**dict(reason.values)) for reason in found]
    assert any(sentence in word for word in words), words
    assert [reason.good for reason in found] == sorted(reason.good for reason in found)  # what stands in the way first


def test_who_manages_access_is_told_why_a_person_finds_it_or_not(app: AppTest, platform: Platform) -> None:
    platform.gateway.peer.operations["ExplainAccess"] = documents_pb2.ExplainAccessResponse(
        checks=[documents_pb2.AccessCheck(kind=documents_pb2.ACCESS_CHECK_KIND_NOT_REFUSED, detail="deny:user:ann")],
        entries=[documents_pb2.AccessEntry(entry="user:ann", origin=documents_pb2.ACCESS_ORIGIN_TOKEN, matches=True)],
        acl=[documents_pb2.AccessEntry(entry="deny:user:ann", origin=documents_pb2.ACCESS_ORIGIN_SOURCE)],
    )
    show(app, platform, inspected(acl=["everyone", "deny:user:ann", "corp/gid:100"]))
    assert {"But not user:ann", "Whom a directory knows as corp/gid:100"} <= {item.value for item in app.text}
    assert not asked(platform, "ExplainAccess")  # each question is on record
    next(item for item in app.text_input if item.label.startswith("User, account")).input("ann")
    next(item for item in app.text_area if item.label.startswith("Groups of")).input("hr\nsales")
    button(app, "Explain").click().run()
    [request] = asked(platform, "ExplainAccess")
    assert (request.doc_id, request.user, list(request.groups)) == ("d1", "ann", ["hr", "sales"])  # type: ignore[attr-defined]
    assert "No search of this person finds it." in said(app)
    assert "✖ Its ACL does not refuse the person: deny:user:ann" in {item.value for item in app.text}
    [entries] = [frame.value for frame in app.dataframe if "origin" in frame.value]
    assert list(entries["origin"]) == ["the token", "the default of its source"]


def test_a_text_that_is_withheld_shows_where_chunks_are_and_nothing_of_it(app: AppTest, platform: Platform) -> None:
    show(app, platform, inspected(text="", text_withheld=True))
    assert any("You may not read the text" in item.value for item in app.info)
    assert [list(frame.value["start"]) for frame in app.dataframe if "start" in frame.value] == [[9]]


def test_indexing_again_is_on_record_and_starts_the_run_that_does_it(app: AppTest, platform: Platform) -> None:
    platform.gateway.peer.operations["ReindexDocument"] = ops.ReindexDocumentResponse(
        source="handbook", generations=["g1"]
    )
    show(app, platform, inspected())
    app.text_input(key="document-reindex-why").input("looks odd")
    app.button(key="document-reindex-do").click().run()
    [request] = asked(platform, "ReindexDocument")
    assert (request.doc_id, request.reason) == ("d1", "looks odd")  # type: ignore[attr-defined]
    [record] = asked(platform, "RecordAction")
    assert (record.action, record.target) == ("dagster.launch", "handbook_sync")  # type: ignore[attr-defined]
    assert platform.mutations == ["launchRun"]
    assert "It will be written again to: g1. Started: 0a1b2c3d" in said(app)


def test_what_cannot_be_started_is_said_and_still_done_by_the_next_run(app: AppTest, platform: Platform) -> None:
    show(app, platform, inspected())
    platform.data["launchRun"] = {"__typename": "PythonError", "message": "no"}
    app.button(key="document-reindex-do").click().run()
    assert "No run was started (DAGSTER_REFUSED): the next one does it." in said(app)


def test_a_pushed_document_is_deleted_and_others_where_they_come_from(app: AppTest, platform: Platform) -> None:
    show(app, platform, inspected())
    assert "document-delete-do" not in {item.key for item in app.button}
    assert "delete it at its source" in said(app)
    platform.gateway.peer.operations |= {
        "InspectDocument": inspected(pushed=True), "Delete": documents_pb2.DeleteResponse(sequence=7),
    }  # fmt: skip
    platform.gateway.peer.status.sources[0].streamed = True
    app.run()
    app.button(key="document-delete-do").click().run()
    [request] = asked(platform, "Delete")
    assert request.doc_id == "d1"  # type: ignore[attr-defined]
    assert "The deletion was accepted as change 7" in said(app)
    app.button(key="document-reindex-do").click().run()
    assert "The stream worker does it in its next round." in said(app)
    assert platform.mutations == []


def test_a_quarantined_document_is_tried_again_or_discarded(app: AppTest, platform: Platform) -> None:
    show(app, platform, inspected(quarantine=ops.QuarantineEntry(id=5, reason="ZERO_CHUNKS")))
    app.button(key="document-redrive-do").click().run()
    app.button(key="document-discard-do").click().run()
    assert [list(request.ids) for name in ("RedriveQuarantine", "DiscardQuarantine")
            for request in asked(platform, name)] == [[5], [5]]  # type: ignore[attr-defined]  # fmt: skip


def test_a_refused_action_is_reported_and_a_viewer_is_offered_none(app: AppTest, platform: Platform) -> None:
    show(app, platform, inspected())
    platform.gateway.peer.failure = grpc.StatusCode.NOT_FOUND
    app.button(key="document-reindex-do").click().run()
    assert not app.exception
    assert platform.mutations == []


def test_the_only_match_is_opened_by_itself_and_stays_closed_once_closed(app: AppTest, platform: Platform) -> None:
    with_source(platform)
    platform.gateway.peer.operations |= {
        "FindDocuments": ops.FindDocumentsResponse(documents=[ROW]), "InspectDocument": inspected(),
    }  # fmt: skip
    opened(app, "documents")
    assert not app.header
    app.text_input(key="documents-q").input("plan").run()
    assert [item.value for item in app.header] == ["Document"]
    app.button(key="document-close").click().run()
    assert not app.header


def test_a_closed_document_leaves_the_address(app: AppTest, platform: Platform) -> None:
    show(app, platform, inspected())
    app.button(key="document-close").click().run()
    assert "doc" not in app.query_params
    assert [item.value for item in app.header] == []


def test_the_page_speaks_chinese(app: AppTest, platform: Platform) -> None:
    app.session_state["language"] = "zh"
    show(app, platform, inspected())
    assert "当前索引代 g1 中是最新版本 2。" in said(app)


def test_days_are_whole_days_of_the_persons_time_zone() -> None:
    since, until = presenters.span_of("dates", [date(2026, 3, 1), date(2026, 3, 2)], datetime.now(UTC), UTC)
    assert (since, until) == (datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 3, tzinfo=UTC))
    assert presenters.span_of("dates", [date(2026, 3, 1)], datetime.now(UTC), UTC) == (
        datetime(2026, 3, 1, tzinfo=UTC),
        None,
    )
    assert presenters.span_of("any", [], datetime.now(UTC), UTC) == (None, None)


def test_a_searched_span_of_time_and_type_narrow_the_search_too() -> None:
    since = datetime(2026, 3, 1, tzinfo=UTC)
    request = presenters.DocumentSearch("x", media_type="text/html", since=since).as_search(5)
    fields = {part.WhichOneof("condition") for part in request.filter.all.conditions}
    assert fields == {"eq", "time"}
    assert not presenters.DocumentSearch("x").as_search(5).HasField("filter")


def test_pieces_cover_the_text_once_in_order_and_chunks_that_overlap_whole() -> None:
    chunks = [ops.ChunkSpan(start=2, end=5), ops.ChunkSpan(start=4, end=8)]
    found = presenters.pieces(ops.InspectDocumentResponse(text="0123456789", chunks=chunks))
    assert [(piece.text, piece.chunk is not None) for piece in found] == [
        ("01", False), ("234", True), ("4567", True), ("89", False),
    ]  # fmt: skip
