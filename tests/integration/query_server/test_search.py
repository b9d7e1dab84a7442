"""What `Search` and `BatchSearch` offer: modes, filters, pages, caps, highlights, variety, reranking, freshness."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
import pytest

from rag_core.content.embedding import Vectors
from rag_core.content.embedding.fake import FakeEmbedder
from rag_core.errors import Reason, Unavailable
from ragproto.query.v2 import query_pb2 as pb
from ragproto.query.v2 import query_pb2_grpc
from tests.support.query_server import Doc, RunningServer, failing, running

INVALID = grpc.StatusCode.INVALID_ARGUMENT
LONG = "\n\n".join(f"The bell of tower {number} rings at nine." for number in range(12))
DOCS = [
    Doc(LONG, locator="long.md", metadata={"year": "2019", "team": "bells"}),
    Doc("A bell rings in Lisbon.", locator="a.md", metadata={"year": "2024.5", "opened": "2024-05-01T00:00:00Z"}),
    Doc("A bell rang in Porto.", locator="b.md", metadata={"year": "-3", "opened": "2020-01-01T00:00:00Z"}),
    Doc("A bell of no year.", locator="c.md", metadata={"year": "unknown"}),
]
FIELDS = frozenset({"team", "year:number", "opened:time"})


class ByLength:
    """A reranker with a judgement of its own: shorter is better."""

    remote = False

    def score(self, query: str, texts: Sequence[str]) -> list[float]:
        return [1 / (1 + len(text)) for text in texts]

    def close(self) -> None:
        return


@pytest.fixture(scope="module")
def bells(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    dependencies = {"reranker": ByLength()}
    with running(
        tmp_path_factory.mktemp("bells"), docs=DOCS, metadata_fields=FIELDS, dependencies=dependencies
    ) as server:
        yield server


def stub(server: RunningServer) -> Any:
    return query_pb2_grpc.QueryServiceStub(server.channel)


def search(server: RunningServer, *, claims: dict[str, Any] | None = None, **fields: Any) -> pb.SearchResponse:
    wanted = {"query": "bell", "rerank": False} | fields
    response: pb.SearchResponse = stub(server).Search(
        pb.SearchRequest(**wanted), metadata=server.auth(**claims or {}), timeout=20
    )
    return response


def locators(response: pb.SearchResponse) -> set[str]:
    return {passage.locator for passage in response.passages}


def condition(**kinds: Any) -> pb.Filter:
    return pb.Filter(**kinds)


def year(**bounds: float) -> pb.Filter:
    return condition(range=pb.Filter.NumberRange(field="metadata.year", **bounds))


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (year(gte=2019), {"long.md", "a.md"}),
        (year(gt=2019), {"a.md"}),
        (year(lte=-3), {"b.md"}),
        (year(lt=-3), set()),
        (year(gte=-5, lt=2020), {"long.md", "b.md"}),
        (condition(**{"not": year(gte=-1000)}), {"c.md"}),
        (condition(eq=pb.Filter.Eq(field="metadata.team", value="bells")), {"long.md"}),
        (condition(exists=pb.Filter.Exists(field="metadata.opened")), {"a.md", "b.md"}),
    ],
)
@pytest.mark.parametrize("mode", [pb.SEARCH_MODE_HYBRID, pb.SEARCH_MODE_DENSE, pb.SEARCH_MODE_LEXICAL])
def test_typed_filters_hold_on_every_leg(bells: RunningServer, wanted: pb.Filter, found: set[str], mode: int) -> None:
    assert locators(search(bells, filter=wanted, mode=mode, top_k=50)) == found


def test_a_metadata_time_takes_a_range(bells: RunningServer) -> None:
    wanted = condition(time=pb.Filter.TimeRange(field="metadata.opened"))
    wanted.time.gte.FromDatetime(datetime(2022, 1, 1, tzinfo=UTC))
    assert locators(search(bells, filter=wanted)) == {"a.md"}


@pytest.mark.catalogue("B09")
@pytest.mark.parametrize(
    "wanted",
    [
        year(),
        year(gte=float("nan")),
        year(lt=float("inf")),
        condition(range=pb.Filter.NumberRange(field="metadata.team", gte=1)),
        condition(time=pb.Filter.TimeRange(field="metadata.year")),
        condition(eq=pb.Filter.Eq(field="metadata.opened", value="2024")),
    ],
)
def test_a_condition_that_does_not_fit_its_field_is_an_error(bells: RunningServer, wanted: pb.Filter) -> None:
    failure = failing(lambda: search(bells, filter=wanted))
    assert (failure.code, failure.reason) == (INVALID, "FILTER_TYPE")


@pytest.mark.catalogue("S15")
def test_one_document_fills_no_more_than_its_share(bells: RunningServer) -> None:
    counts = {
        cap: sum(p.locator == "long.md" for p in search(bells, top_k=20, **fields).passages)
        for cap, fields in {"default": {}, 2: {"max_per_document": 2}, 100: {"max_per_document": 100}}.items()
    }
    assert counts == {"default": 5, 2: 2, 100: 12}


@pytest.mark.parametrize(
    "fields",
    [
        {"max_per_document": 0},
        {"max_per_document": 101},
        {"diversity": 1.1},
        {"context": pb.ContextOptions(before=11)},
        {"context": pb.ContextOptions(after=-1)},
        {"context": pb.ContextOptions(section=True, before=1)},
    ],
    ids=str,
)
def test_options_out_of_range_are_errors(bells: RunningServer, fields: dict[str, Any]) -> None:
    assert failing(lambda: search(bells, **fields)).reason == "FIELD_INVALID"


@pytest.mark.parametrize(
    ("asked", "reach"),
    [(pb.ContextOptions(before=1, after=2), (1, 2)), (pb.ContextOptions(section=True), (10, 10)), (None, (0, 0))],
    ids=["pieces", "section", "none"],
)
def test_a_passage_brings_the_text_around_it(
    bells: RunningServer, asked: pb.ContextOptions | None, reach: tuple[int, int]
) -> None:
    pieces = LONG.split("\n\n")
    in_long = [
        one for one in search(bells, top_k=20, max_per_document=100, context=asked).passages if one.locator == "long.md"
    ]
    assert len(in_long) == len(pieces)
    for passage in in_long:
        at = pieces.index(passage.text)
        before, after = pieces[max(0, at - reach[0]) : at], pieces[at + 1 : at + 1 + reach[1]]
        assert (passage.context.before.split("\n"), passage.context.after.split("\n")) == (
            [*before, ""],
            ["", *after] if after else [""],
        )
        if asked is not None:
            assert LONG[passage.context.start : passage.context.end] == "\n\n".join((*before, passage.text, *after))


def test_highlights_mark_other_forms_of_the_words(bells: RunningServer) -> None:
    response = search(bells, query="ringing bells", highlight=True, max_per_document=1)
    marked = {
        passage.locator: [passage.text[span.start : span.end] for span in passage.highlights]
        for passage in response.passages
    }
    assert marked["a.md"] == ["bell", "rings"]
    assert not any(passage.highlights for passage in search(bells).passages)


def test_pages_follow_each_other_without_gap_or_repeat(bells: RunningServer) -> None:
    whole = search(bells, top_k=50, max_per_document=100)
    assert whole.next_page_token == ""
    chunks, token = [], ""
    for _ in range(10):
        page = search(bells, top_k=4, max_per_document=100, page_token=token)
        chunks += [passage.chunk_id for passage in page.passages]
        token = page.next_page_token
        if not token:
            break
    assert chunks == [passage.chunk_id for passage in whole.passages]


def tampered(token: str) -> str:
    return ("A" if token[5] != "A" else "B").join((token[:5], token[6:]))


@pytest.mark.catalogue("B13")
@pytest.mark.parametrize(
    "change",
    [
        {"page_token": "nonsense"},
        {"page_token": "é"},
        {"query": "bells of another kind"},
        {"mode": pb.SEARCH_MODE_DENSE},
        {"filter": year(gte=2000)},
        {"claims": {"tenant": "other"}},
        {"claims": {"subject": "bob"}},
        {"claims": {"groups": ["hr"]}},
    ],
)
def test_a_page_token_belongs_to_one_request_of_one_caller(bells: RunningServer, change: dict[str, Any]) -> None:
    token = search(bells, top_k=2).next_page_token
    assert search(bells, top_k=2, page_token=token).passages
    failure = failing(lambda: search(bells, **({"top_k": 2, "page_token": token} | change)))
    assert (failure.code, failure.reason) == (INVALID, "PAGE_TOKEN_INVALID")
    assert failing(lambda: search(bells, page_token=tampered(token))).reason == "PAGE_TOKEN_INVALID"


def test_reranking_decides_the_order_and_shows_both_scores(bells: RunningServer) -> None:
    ranked = search(bells, rerank=None, top_k=3, max_per_document=1).passages
    assert [passage.locator for passage in ranked] == ["c.md", "b.md", "a.md"]
    assert all(passage.score == pytest.approx(passage.rerank_score) for passage in ranked)
    assert all(passage.HasField("retrieval_score") for passage in ranked)
    assert not search(bells, rerank=False).passages[0].HasField("rerank_score")


def test_reranking_is_refused_where_there_is_no_model(tmp_path: Path) -> None:
    with running(tmp_path, docs=DOCS) as server:
        assert failing(lambda: search(server, rerank=True)).reason == "FIELD_INVALID"
        assert search(server, rerank=None).passages


class Failing:
    """A reranker whose endpoint does not answer while `down`."""

    remote = False

    def __init__(self) -> None:
        self.down = True

    def score(self, query: str, texts: Sequence[str]) -> list[float]:
        if self.down:
            raise Unavailable(Reason.RERANKER_UNAVAILABLE, "the reranker did not answer")
        return ByLength().score(query, texts)

    def close(self) -> None:
        return


def test_a_search_whose_reranker_fails_keeps_the_order_of_retrieval_and_says_so(tmp_path: Path) -> None:
    reranker = Failing()
    with running(tmp_path, docs=DOCS, dependencies={"reranker": reranker}) as server:
        plain = search(server, rerank=False, top_k=4)
        first = search(server, rerank=None, top_k=4)
        assert [one.chunk_id for one in first.passages] == [one.chunk_id for one in plain.passages]
        assert (first.rerank_skipped, plain.rerank_skipped) == ("RERANKER_UNAVAILABLE", "")
        assert not first.passages[0].HasField("rerank_score")
        *_, answer = stub(server).Answer(pb.AnswerRequest(query="bell"), metadata=server.auth(), timeout=20)
        assert answer.final.rerank_skipped == "RERANKER_UNAVAILABLE"
        reranker.down = False
        # Pages are cut from one order, whatever became of the reranker meanwhile.
        second = search(server, rerank=None, top_k=4, page_token=first.next_page_token)
        expected = search(server, rerank=False, top_k=4, page_token=plain.next_page_token)
        assert [one.chunk_id for one in second.passages] == [one.chunk_id for one in expected.passages]
        ranked = search(server, rerank=None, top_k=4)
        assert ranked.rerank_skipped == ""
        reranker.down = True
        failure = failing(lambda: search(server, rerank=None, top_k=4, page_token=ranked.next_page_token))
        assert (failure.code, failure.reason) == (grpc.StatusCode.UNAVAILABLE, "RERANKER_UNAVAILABLE")


class Away(FakeEmbedder):
    """A model whose endpoint does not answer."""

    def embed_queries(self, texts: Sequence[str]) -> Vectors:
        raise Unavailable(Reason.EMBEDDER_UNAVAILABLE, "the endpoint does not answer")


def test_a_search_for_words_needs_no_model(tmp_path: Path) -> None:
    with running(tmp_path, docs=DOCS, dependencies={"embedder": Away()}) as server:
        words: dict[str, Any] = {"mode": pb.SEARCH_MODE_LEXICAL}
        assert locators(search(server, query="Lisbon", **words)) == {"a.md"}
        visible, unknown = (condition(eq=pb.Filter.Eq(field="source", value=name)) for name in ("handbook", "none"))
        assert not search(server, query="zebra", filter=visible, **words).passages
        assert failing(lambda: search(server, query="zebra", filter=unknown, **words)).reason == "SOURCE_NOT_FOUND"
        assert failing(lambda: search(server, query="Lisbon")).reason == "EMBEDDER_UNAVAILABLE"


def test_diversity_brings_other_documents_forward(bells: RunningServer) -> None:
    query = {"query": "The bell of tower 3 rings at nine.", "top_k": 4, "max_per_document": 100}
    assert locators(search(bells, **query)) == {"long.md"}
    assert len(locators(search(bells, diversity=0.8, **query))) > 1


def test_a_batch_gives_each_search_its_own_outcome(bells: RunningServer) -> None:
    searches = [
        pb.SearchRequest(query="bell Lisbon", rerank=False),
        pb.SearchRequest(query=" "),
        pb.SearchRequest(query="bell", filter=pb.Filter()),
        pb.SearchRequest(query="bell", filter=condition(eq=pb.Filter.Eq(field="source", value="none"))),
    ]
    request = pb.BatchSearchRequest(searches=searches)
    outcomes = stub(bells).BatchSearch(request, metadata=bells.auth(), timeout=20).outcomes
    assert [outcome.error.reason for outcome in outcomes] == ["", "QUERY_EMPTY", "FILTER_TYPE", "SOURCE_NOT_FOUND"]
    alone = search(bells, query="bell Lisbon")
    assert [p.chunk_id for p in outcomes[0].response.passages] == [p.chunk_id for p in alone.passages]


@pytest.mark.parametrize("count", [0, 17])
def test_a_batch_has_a_size(bells: RunningServer, count: int) -> None:
    request = pb.BatchSearchRequest(searches=[pb.SearchRequest(query="bell")] * count)
    failure = failing(lambda: stub(bells).BatchSearch(request, metadata=bells.auth(), timeout=20))
    assert (failure.code, failure.reason) == (INVALID, "FIELD_INVALID")
