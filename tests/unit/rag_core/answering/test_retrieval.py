"""What an answerer is given of a real index, in the process that holds it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing

import numpy as np
import pytest
from pytest_httpserver import HTTPServer

from rag_core.answering import MIN_RETRIEVED, IndexReader, Question
from rag_core.answering.retrieval import place_around
from rag_core.content.documents import Condition, In, Not
from rag_core.content.embedding import Vectors
from rag_core.governance.access import EVERYONE
from rag_core.retrieval.engines.edge import EdgeIndex
from rag_core.retrieval.index import SearchHit, SearchRequest
from rag_core.retrieval.search import Reranker, open_reranker
from rag_core.settings import Settings
from tests.support.index_points import document, filled, vector_of
from tests.support.rerank_server import KEY, MODEL, RerankServer

BELL = "office 29 has a bell"
OFFICES = [document(f"{number}.md", [f"office {number} opens at nine"]) for number in range(30)]
BOOK = document("book.md", [f"office chapter {number}" for number in range(9)])


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EdgeIndex]:
    with closing(EdgeIndex(tmp_path_factory.mktemp("edge"))) as opened:
        filled(opened, *OFFICES, BOOK, document("bell.md", [BELL]))
        yield opened


def embed(texts: Sequence[str]) -> Vectors:
    return np.stack([vector_of(text) for text in texts])


def reader(
    index: EdgeIndex, limit: int = 5, condition: Condition | None = None, reranker: Reranker | None = None
) -> IndexReader:
    request = SearchRequest("acme", (EVERYONE,), limit, text="office", filter=condition)
    return IndexReader(index, request, embed, None, reranker, 50)


def locators(hits: Sequence[SearchHit]) -> list[str]:
    return [hit.payload.locator for hit in hits]


async def again(question: Question, text: str, named: Sequence[str] = ()) -> tuple[SearchHit, ...]:
    assert question.search is not None
    return await question.search(text, named)


def test_as_many_passages_are_compared_however_few_are_shown(index: EdgeIndex) -> None:
    question = reader(index, limit=5).question()
    assert (len(question.hits), len(question.contrast)) == (5, MIN_RETRIEVED - 5)


async def test_a_second_search_stays_within_the_filter_and_the_named_documents(index: EdgeIndex) -> None:
    own = Not(In("locator", ("1.md",)))
    question = reader(index, condition=own).question()
    assert locators(await again(question, "nine", ["1.md", "2.md"])) == ["2.md"]
    found = locators(await again(question, "nine"))
    assert len(found) == MIN_RETRIEVED
    assert "1.md" not in found
    assert locators(await again(reader(index).question(), "nine", ["1.md"])) == ["1.md"]


async def test_neighbours_come_in_reading_order_and_count_as_given(index: EdgeIndex) -> None:
    asked = reader(index, condition=In("locator", ("2.md",)))
    question = asked.question()
    (middle,) = (hit for hit in reader(index, 40).question().hits if hit.payload.text == "office chapter 4")
    assert question.around is not None
    found = await question.around([place_around(middle)])
    assert [hit.payload.ordinal for hit in found] == [2, 3, 4, 5, 6]
    assert asked.read == {hit.chunk_id for hit in (*question.hits, *question.contrast, *found)}


def test_a_search_shows_as_many_of_a_document_as_is_allowed(index: EdgeIndex) -> None:
    asked = reader(index, 40)
    assert locators(asked.listed(2)).count("book.md") == 2
    assert locators(asked.listed(None)).count("book.md") == 9


def test_the_reranker_orders_more_than_is_shown(index: EdgeIndex, httpserver: HTTPServer) -> None:
    server = RerankServer(httpserver, "tei")
    reranker = open_reranker(
        Settings(reranker_url=server.url, reranker_api_key=KEY, reranker_model=MODEL, rerank_timeout_seconds=30)
    )
    assert reranker is not None
    with closing(reranker):
        question = reader(index, limit=1, reranker=reranker).question()
    assert [hit.payload.text for hit in question.hits] == [BELL]
    assert len(question.contrast) == MIN_RETRIEVED - 1
    sent = [text for body in server.seen for text in body.get("texts", ())]
    assert f"About bell.md\nTop\nSection\n{BELL}" in sent
    assert len(sent) == len(OFFICES) + 10
