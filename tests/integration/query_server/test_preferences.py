"""What decides beside relevance: curations, freshness, and filters that a question names."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from rag_core.database import Store, open_store
from rag_core.database.tables import documents
from rag_core.database.tables.content import sources
from rag_core.governance.audit import AuditQuery, find
from rag_core.settings import Settings
from ragproto.query.v2 import curation_pb2 as pb
from ragproto.query.v2 import curation_pb2_grpc as rpc
from ragproto.query.v2 import query_pb2, query_pb2_grpc
from tests.support.query_server import Doc, RunningServer, failing, running
from tests.support.waiting import eventually

DOCS = [
    Doc("Parental leave lasts 16 weeks. It is paid in full.", locator="leave.md", title="Leave",
        metadata={"date": "2016-05-01", "team": "People-Ops", "year": "2016", "issued": "2016-05-01T00:00:00Z"}),
    Doc("Parental leave of the old contract: parental leave lasts 12 weeks.", locator="old.md", title="Old leave",
        metadata={"Last-Modified": "Tue, 01 May 2012 10:00:00 GMT"}),
    Doc("The office in Lisbon opens at nine.", locator="office.md", title="Office"),
    Doc("Parental leave of the board.", locator="board.md", title="Board", acl=("group:hr",),
        metadata={"team": "Board"}),
]  # fmt: skip
QUESTION = "How long is parental leave?"
EDITOR: dict[str, Any] = {"scopes": ["query.read", "ops.write"], "subject": "eva"}
ANSWER, PIN, BOOST, HIDE = (getattr(pb, f"CURATION_ACTION_{name}") for name in ("ANSWER", "PIN", "BOOST", "HIDE"))


def row(doc: Doc) -> dict[str, Any]:
    return {"doc_id": doc.doc_id, "tenant": doc.tenant, "source": doc.source, "locator": doc.locator, "version": 1,
            "text_version": 1, "source_version": 1, "token": "", "parsed_as": "", "content_hash": b"", "text_hash": b"",
            "bytes": 1, "media_type": "text/plain", "text": doc.text, "acl": list(doc.acl), "run_id": "r",
            "metadata": doc.metadata}  # fmt: skip


class Desk:
    """Editors and readers of one server."""

    def __init__(self, server: RunningServer, store: Store) -> None:
        self.server, self.store = server, store
        self._editing = rpc.CurationServiceStub(server.channel)
        self._asking = query_pb2_grpc.QueryServiceStub(server.channel)

    def save(self, by: dict[str, Any] = EDITOR, **fields: Any) -> pb.Curation:
        wanted = {"questions": [QUESTION]} | fields
        request = pb.SaveCurationRequest(curation=pb.Curation(**wanted), reason="asked every week")
        return self._editing.SaveCuration(request, metadata=self.server.auth(**by), timeout=20).curation

    def listed(self, **who: Any) -> list[pb.Curation]:
        auth = self.server.auth(**EDITOR | who)
        return list(self._editing.ListCurations(pb.ListCurationsRequest(), metadata=auth, timeout=20).curations)

    def remove(self, number: int, **who: Any) -> None:
        request = pb.RemoveCurationRequest(id=number, reason="no more")
        self._editing.RemoveCuration(request, metadata=self.server.auth(**EDITOR | who), timeout=20)

    def search(self, query: str = QUESTION, **fields: Any) -> query_pb2.SearchResponse:
        who = fields.pop("who", {})
        request = query_pb2.SearchRequest(query=query, **fields)
        return self._asking.Search(request, metadata=self.server.auth(**who), timeout=20)

    def answer(
        self, query: str = QUESTION, who: dict[str, Any] | None = None, **fields: Any
    ) -> tuple[str, query_pb2.AnswerFinal]:
        request = query_pb2.AnswerRequest(query=query, **fields)
        events = list(self._asking.Answer(request, metadata=self.server.auth(**who or {}), timeout=20))
        return "".join(event.delta.text for event in events), events[-1].final

    def locators(self, query: str = QUESTION, **fields: Any) -> list[str]:
        return list(dict.fromkeys(one.locator for one in self.search(query, **fields).passages))

    def applied(self, query: str = QUESTION, who: dict[str, Any] | None = None) -> list[int]:
        return [one.id for one in self.search(query, who=who or {}).curations]


@pytest.fixture(scope="module")
def module_desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    home = tmp_path_factory.mktemp("curations")
    fields = frozenset({"team", "year:number", "issued:time"})
    with running(home, docs=DOCS, curation_similarity=0.8, metadata_fields=fields) as server:
        store = open_store(Settings(home=home, database_url=server.database_url))
        with closing(store):
            with store.engine.begin() as connection:
                connection.execute(documents.insert(), [row(doc) for doc in DOCS])
            yield Desk(server, store)


@pytest.fixture
def desk(module_desk: Desk) -> Iterator[Desk]:
    yield module_desk
    for one in module_desk.listed(scopes=["query.read", "ops.write", "admin"]):
        module_desk.remove(one.id, scopes=["query.read", "ops.write", "admin"])
    assert eventually(lambda: not module_desk.applied(who={"groups": ["hr"]}))


def test_a_written_answer_is_given_and_shown_as_an_editors_until_it_is_removed_on_record(desk: Desk) -> None:
    saved = desk.save(action=ANSWER, answer="**16 weeks**, from the first day.")
    assert (saved.owner, list(saved.acl), saved.changed_by) == ("acme/eva", ["everyone"], "acme/eva")
    assert eventually(lambda: desk.applied() == [saved.id])
    text, final = desk.answer()
    assert (text, final.answer_markdown) == (saved.answer, saved.answer)
    assert final.answer_outcome == query_pb2.ANSWER_OUTCOME_ANSWERED
    assert (final.answered_by.answerer, len(final.answered.citations), len(final.excerpts)) == ("curated", 0, 0)
    [applied] = final.curations
    assert (applied.owner, applied.question, applied.action) == ("acme/eva", QUESTION, ANSWER)
    changed = desk.save(id=saved.id, action=ANSWER, answer="18 weeks.", owner="people team")
    assert changed.id == saved.id
    assert eventually(lambda: desk.answer()[0] == "18 weeks.")
    desk.remove(saved.id)
    assert eventually(lambda: desk.answer()[1].answered_by.answerer == "extractive")
    with desk.store.engine.connect() as connection:
        entries = find(connection, AuditQuery(tenant="acme", target=str(saved.id)))
    assert [entry.action for entry in reversed(entries)] == ["curation.create", "curation.change", "curation.remove"]
    assert {entry.details["reason"] for entry in entries} == {"asked every week", "no more"}
    assert not any("weeks" in str(entry.details) for entry in entries)  # an audit entry holds no text


@pytest.mark.parametrize(
    ("query", "counts"),
    [
        ("how long is PARENTAL leave", True),
        ("How long is the parental leave?", True),
        ("When does the office in Lisbon open?", False),
    ],
)
def test_a_curation_counts_for_questions_that_mean_the_same(desk: Desk, query: str, counts: bool) -> None:
    saved = desk.save(action=ANSWER, answer="16 weeks.")
    assert eventually(lambda: desk.applied() == [saved.id])
    assert desk.applied(query) == ([saved.id] if counts else [])


def test_a_pinned_document_is_first_in_searches_and_answers_and_a_page_does_not_repeat_it(desk: Desk) -> None:
    assert desk.locators()[0] != "office.md"
    desk.save(action=PIN, doc_id=str(DOCS[2].doc_id))
    assert eventually(lambda: desk.locators()[0] == "office.md")
    [first, *_] = found = desk.search().passages
    assert first.curated == PIN
    assert len({one.chunk_id for one in found}) == len(found)
    page = desk.search(page_size=1)
    following = desk.search(page_size=1, page_token=page.next_page_token)
    assert [one.locator for one in (*page.passages, *following.passages)] == [one.locator for one in found[:2]]
    _, final = desk.answer()
    assert final.excerpts[0].locator == "office.md"
    assert "office.md" not in desk.locators(filter={"in": {"field": "locator", "values": ["leave.md"]}})


def test_a_hidden_document_is_left_out_and_a_boosted_one_explains_what_was_added(desk: Desk) -> None:
    best, second = desk.locators()[:2]
    by_name = {doc.locator: str(doc.doc_id) for doc in DOCS}
    hidden = desk.save(action=HIDE, doc_id=by_name[best])
    assert eventually(lambda: best not in desk.locators())
    assert best not in [one.locator for one in desk.answer()[1].excerpts]
    assert best in desk.locators("parental leave of the old contract")  # another question
    desk.remove(hidden.id)
    desk.save(action=BOOST, doc_id=by_name[second])
    assert eventually(lambda: desk.search().passages[0].curated == BOOST)
    first, *others = desk.search(explain=True).passages
    assert first.locator == second
    assert first.score == pytest.approx(first.retrieval_score + first.explanation.curated_part, abs=1e-5)
    assert first.explanation.curated_part > 0
    assert not any(one.explanation.curated_part for one in others)


def test_a_curation_counts_only_for_whom_its_acl_admits_and_opens_no_document(desk: Desk) -> None:
    hr = {"groups": ["hr"]}
    own = desk.save(EDITOR | hr, action=ANSWER, answer="For the board: 20 weeks.", acl=["group:hr"])
    pinned = desk.save(EDITOR | hr, action=PIN, doc_id=str(DOCS[3].doc_id))
    assert eventually(lambda: set(desk.applied(who=hr)) == {own.id, pinned.id})
    assert desk.applied() == [pinned.id]
    assert desk.answer(who=hr)[0] == "For the board: 20 weeks."
    assert "board" not in desk.answer()[0]
    assert "board.md" not in desk.locators()
    assert desk.locators(who=hr)[0] == "board.md"
    assert desk.applied(who={"tenant": "other"}) == []
    assert desk.listed() == []  # neither a question for others nor the name of their document
    assert len(desk.listed(**hr)) == 2
    refused = failing(lambda: desk.remove(own.id))
    assert refused.reason == "CURATION_NOT_FOUND"
    assert failing(lambda: desk.remove(own.id, tenant="other")).reason == "CURATION_NOT_FOUND"


def test_a_curation_ends_at_its_date(desk: Desk) -> None:
    end = datetime.now(UTC) + timedelta(seconds=4)
    saved = desk.save(action=ANSWER, answer="16 weeks.", ends_at=end)
    assert eventually(lambda: desk.applied() == [saved.id] or datetime.now(UTC) >= end)
    assert eventually(lambda: desk.applied() == [])
    assert datetime.now(UTC) >= end
    assert [one.id for one in desk.listed()] == [saved.id]


@pytest.mark.parametrize(
    ("fields", "reason", "about"),
    [
        ({"action": ANSWER}, "FIELD_INVALID", "action"),
        ({"action": ANSWER, "answer": "x", "doc_id": str(DOCS[0].doc_id)}, "FIELD_INVALID", "action"),
        ({"action": PIN}, "FIELD_INVALID", "action"),
        ({"action": PIN, "doc_id": "leave.md"}, "FIELD_INVALID", "doc_id"),
        ({"action": PIN, "doc_id": str(uuid.UUID(int=1))}, "DOCUMENT_NOT_FOUND", "doc_id"),
        ({"action": HIDE, "doc_id": str(DOCS[3].doc_id)}, "DOCUMENT_NOT_FOUND", "doc_id"),
        ({"action": 99, "answer": "x"}, "FIELD_INVALID", "action"),
        ({"action": ANSWER, "answer": "x", "questions": []}, "FIELD_INVALID", "questions"),
        ({"action": ANSWER, "answer": "x", "questions": ["?!"]}, "FIELD_INVALID", "questions"),
        ({"action": ANSWER, "answer": "x", "questions": [f"q{n}" for n in range(21)]}, "FIELD_INVALID", "questions"),
        ({"action": ANSWER, "answer": "x", "questions": ["q" * 501]}, "FIELD_INVALID", "questions"),
        ({"action": ANSWER, "answer": "x" * 8001}, "FIELD_INVALID", "answer"),
        ({"action": ANSWER, "answer": "a\0b"}, "TEXT_INVALID", "answer"),
        ({"action": ANSWER, "answer": "x", "acl": ["hr"]}, "FIELD_INVALID", "acl"),
        ({"action": ANSWER, "answer": "x", "ends_at": datetime(2020, 1, 1, tzinfo=UTC)}, "FIELD_INVALID", "ends_at"),
        ({"action": ANSWER, "answer": "x", "id": 99_999}, "CURATION_NOT_FOUND", "curation"),
    ],
)  # fmt: skip
def test_what_cannot_be_saved_says_which_field_is_wrong(
    desk: Desk, fields: dict[str, Any], reason: str, about: str
) -> None:
    refused = failing(lambda: desk.save(**fields))
    assert (refused.reason, refused.message.partition(":")[0].removeprefix("curation.")) == (reason, about)
    assert desk.listed() == []


def test_newer_documents_are_preferred_as_a_request_asks_and_the_scores_say_by_how_much(desk: Desk) -> None:
    plain = desk.search(explain=True).passages
    assert not any(one.explanation.freshness_part for one in plain)  # off by default
    wanted = query_pb2.Freshness(half_life_days=2000, weight=0.97)
    found = {one.locator: one for one in desk.search(explain=True, freshness=wanted).passages}
    assert list(found) == ["office.md", "leave.md", "old.md"]  # one without a date counts as 2,000 days old
    assert found["leave.md"].explanation.dated_at.ToDatetime().year == 2016
    assert found["old.md"].explanation.dated_at.ToDatetime().year == 2012
    assert not found["office.md"].explanation.HasField("dated_at")
    for one in found.values():
        assert one.score == pytest.approx(one.retrieval_score + one.explanation.freshness_part, abs=1e-5)
    whole = query_pb2.Freshness(half_life_days=30_000, weight=1)
    assert desk.locators(freshness=whole)[:2] == ["leave.md", "old.md"]


def test_the_file_of_a_source_prefers_its_newer_documents_until_a_request_says_otherwise(desk: Desk) -> None:
    before = desk.locators()
    row = {"tenant": "acme", "name": "handbook", "kind": "folder", "freshness": {"half_life_days": 365, "weight": 0.9}}
    with desk.store.engine.begin() as connection:
        connection.execute(sources.insert(), [row])
    assert eventually(lambda: desk.locators()[0] == "office.md")
    assert desk.locators(freshness=query_pb2.Freshness(half_life_days=1, weight=0)) == before
    with desk.store.engine.begin() as connection:
        connection.execute(sources.delete())
    assert eventually(lambda: desk.locators() == before)


def test_an_answer_prefers_the_newer_of_two_documents_that_answer(desk: Desk) -> None:
    order = [[one.locator for one in desk.answer("parental leave", **more)[1].excerpts]
             for more in ({}, {"freshness": query_pb2.Freshness(half_life_days=2000, weight=0.97)})]  # fmt: skip
    assert [places[0] for places in order] == ["old.md", "leave.md"]


@pytest.mark.parametrize(
    ("half_life_days", "weight", "field"),
    [
        (0, 0.5, "freshness.half_life_days"),
        (-1, 0.5, "freshness.half_life_days"),
        (float("nan"), 0.5, "freshness.half_life_days"),
        (40_000, 0.5, "freshness.half_life_days"),
        (30, 1.5, "freshness.weight"),
        (30, -0.1, "freshness.weight"),
        (30, float("nan"), "freshness.weight"),
    ],
)
def test_a_freshness_out_of_range_is_refused(desk: Desk, half_life_days: float, weight: float, field: str) -> None:
    wanted = query_pb2.Freshness(half_life_days=half_life_days, weight=weight)
    for ask in (desk.search, desk.answer):
        refused = failing(lambda ask=ask: ask(freshness=wanted))
        assert (refused.reason, refused.message.partition(":")[0]) == ("FIELD_INVALID", field)


@pytest.mark.parametrize(
    ("query", "field", "value"),
    [
        ("How long is parental leave in the handbook?", "source", "handbook"),
        ("parental leave from people ops", "metadata.team", "People-Ops"),
        ("来自People-Ops的假期", "metadata.team", "People-Ops"),
        ("parental leave of 2016", "metadata.year", "2016"),
    ],
)
def test_a_value_that_a_question_names_is_suggested_as_a_filter_and_not_applied(
    desk: Desk, query: str, field: str, value: str
) -> None:
    found = desk.search(query)
    one = next(one for one in found.suggested_filters if one.field == field)
    assert (one.value, one.words in query) == (value, True)
    assert len(found.passages) > 1  # not applied
    narrowed = desk.search(query, filter=one.filter)
    assert {"leave.md"} <= {passage.locator for passage in narrowed.passages}
    assert field not in [other.field for other in narrowed.suggested_filters]
    _, final = desk.answer(query)
    assert (field, value) in [(other.field, other.value) for other in final.suggested_filters]


@pytest.mark.parametrize(
    ("query", "who"),
    [
        ("What is parental leave?", {}),
        ("parental leave from the board", {}),  # a value of documents that the caller may not see
        ("parental leave from finance", {}),
        ("parental leave of 1999", {}),
        ("parental leave of last month", {}),  # no document is of last month
        ("parental leave from people ops", {"tenant": "other"}),
    ],
)
def test_nothing_is_suggested_that_leaves_the_caller_nothing(desk: Desk, query: str, who: dict[str, Any]) -> None:
    assert not desk.search(query, who=who).suggested_filters
    if not who:
        board = desk.search("parental leave from the board", who={"groups": ["hr"]}).suggested_filters
        assert [one.value for one in board] == ["Board"]
