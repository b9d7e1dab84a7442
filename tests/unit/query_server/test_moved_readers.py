"""Readers are moved to another generation between embedding and search: vector and search stay of one generation."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from prometheus_client import CollectorRegistry, Gauge

from query_server.handlers.paging import PageTokens
from query_server.handlers.query.curations import Curations
from query_server.handlers.query.embedder import QueryEmbedder
from query_server.handlers.query.models import QueryModels
from query_server.handlers.query.ordering import Ordering
from query_server.handlers.query.search import SearchHandler
from query_server.handlers.query.suggestions import Suggestions
from query_server.handlers.query.validation import Query
from query_server.runtime.blocking import BlockingPool
from query_server.runtime.dependencies import LazyStore
from query_server.runtime.gauges import Freshness
from query_server.runtime.metrics import Metrics
from query_server.runtime.traffic import Traffic
from rag_core.content.embedding import Embedder
from rag_core.content.embedding.fake import FakeEmbedder
from rag_core.errors import InvalidInput, NotFound, RagError, Reason
from rag_core.governance.access import Principal
from rag_core.http_client import UNRESTRICTED
from rag_core.retrieval.index import ChunkRange, GenerationSpec, IndexPoint, SearchHit, SearchRequest, SearchResult
from tests.support.query_server import Doc, no_store, settings_of, update_of

ANN = Principal("ann", "acme", (), frozenset({"query.read"}))
TEXT = "when do the bells ring"
MODELS = {
    "old": FakeEmbedder(),
    "new": FakeEmbedder(version="2"),
    "wide": FakeEmbedder(version="3", dimensions=96),
    "foreign": FakeEmbedder(version="4"),
}
"""One model for each generation; this server never gets hold of the foreign one."""


@dataclass
class Index:
    """An index that checks whose vector it is given, and a searcher over it. `before` runs ahead of each search."""

    active: str | None = "old"
    names: list[str] = field(default_factory=lambda: list(MODELS))
    before: Callable[[Index], None] = lambda index: None
    searched: list[str] = field(default_factory=list)

    def alias(self) -> str | None:
        return self.active

    def generations(self) -> list[GenerationSpec]:
        return [GenerationSpec(name, MODELS[name].dimensions, MODELS[name].fingerprint, "c") for name in self.names]

    async def search(self, request: SearchRequest) -> SearchResult:
        self.before(self)
        name = request.generation or self.active
        if name not in self.names:
            raise NotFound(Reason.GENERATION_NOT_FOUND, "no such generation")
        assert request.vector is not None
        if len(request.vector) != MODELS[name].dimensions:
            raise InvalidInput(Reason.FIELD_INVALID, "vector: of another size")
        own = MODELS[name].embed_queries([request.text])[0]
        score = 1.0 if np.array_equal(own, request.vector) else 0.0
        points = [update_of(Doc(TEXT, f"{number}.txt"), MODELS["old"]).points[0] for number in range(request.limit)]
        self.searched.append(name)
        return SearchResult(name, tuple(SearchHit(point.chunk_id, score, point.payload) for point in points))

    async def around(self, request: SearchRequest, places: Sequence[ChunkRange]) -> list[IndexPoint]:
        raise NotImplementedError

    async def close(self) -> None:
        return


@dataclass
class Served:
    """A search handler over the index."""

    index: Index
    handler: SearchHandler

    async def ask(self, page_token: str = "") -> tuple[str, float, str]:
        """The generation that answered, the score (0 means: another model's vector), and the next page's token."""
        page = await self.handler.search(ANN, Query(TEXT, top_k=2, page_token=page_token))
        return page.result.generation, page.result.hits[0].score, page.next_page_token


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    index, settings, store = Index(), settings_of(tmp_path), LazyStore(no_store)
    pool = BlockingPool(1, name="test", stuck=Gauge("stuck", "stuck", registry=CollectorRegistry()))

    def make(embedder: Embedder) -> QueryEmbedder:
        return QueryEmbedder(embedder, workers=1, batch=1, cache_entries=0, metrics=Metrics())

    embedders = {name: make(MODELS[name]) for name in ("old", "new", "wide")}
    models = QueryModels(settings, index, embedders["old"], MODELS["old"].fingerprint, store, pool, make)  # type: ignore[arg-type]
    # With the database down these are all it has: what it loaded for the generations that follow.
    models._loaded |= {MODELS[name].fingerprint: embedder for name, embedder in embedders.items()}
    ordering = Ordering(None, Metrics(), window=10)
    handler = SearchHandler(
        settings,
        index,
        models,
        ordering=ordering,
        tokens=PageTokens(b"secret"),
        freshness=Freshness(store, Metrics(), seconds=1),
        traffic=Traffic(store, settings),
        policy=lambda _: UNRESTRICTED,
        curations=Curations(store, models, similarity=1),
        freshness_of=lambda _: {},
        suggestions=Suggestions(store, {}),
    )
    yield Served(index, handler)
    for embedder in embedders.values():
        await embedder.close()
    ordering.close()
    pool.close()


def promote(name: str) -> Callable[[Index], None]:
    """Move readers ahead of the next search."""

    def move(index: Index) -> None:
        index.active, index.before = name, lambda _: None

    return move


@pytest.mark.parametrize("asked_before", [True, False])
@pytest.mark.parametrize("target", ["new", "wide"])
async def test_a_query_follows_a_promotion_with_a_vector_of_the_new_model(
    served: Served, target: str, asked_before: bool
) -> None:
    if asked_before:
        assert (await served.ask())[:2] == ("old", 1.0)
    served.index.before = promote(target)
    assert (await served.ask())[:2] == (target, 1.0)
    served.index.before = promote("old")
    assert (await served.ask())[:2] == ("old", 1.0)


async def test_a_query_on_the_first_promotion_is_of_its_model_too(served: Served) -> None:
    served.index.active = None
    served.index.before = promote("new")
    assert (await served.ask())[:2] == ("new", 1.0)


async def test_a_first_generation_without_its_model_is_an_error_and_no_mixture(served: Served) -> None:
    served.index.active = None
    served.index.before = promote("foreign")
    with pytest.raises(RagError) as failed:
        await served.ask()
    assert failed.value.reason is Reason.EMBEDDER_UNAVAILABLE


async def test_a_server_without_the_new_model_stays_on_the_old_generation(served: Served) -> None:
    assert (await served.ask())[:2] == ("old", 1.0)
    served.index.before = promote("foreign")
    assert (await served.ask())[:2] == ("old", 1.0)
    assert served.index.searched[-1] == "old"


async def test_a_server_that_nobody_asked_during_a_promotion_answers_after_the_old_generation_is_gone(
    served: Served,
) -> None:
    assert (await served.ask())[:2] == ("old", 1.0)
    served.index.active = "new"
    served.index.names.remove("old")
    await served.handler._models.refresh()
    assert (await served.ask())[:2] == ("new", 1.0)


async def test_readiness_follows_readers_although_nobody_asks(served: Served) -> None:
    models = served.handler._models
    assert await models.problem("old") is None
    served.index.active = "new"
    assert await models.problem("new") is None
    assert models.served == "new"
    assert await models.problem("foreign") is Reason.EMBEDDER_UNAVAILABLE
    served.index.names.remove("new")
    await models.refresh()
    assert await models.problem("new") is Reason.GENERATION_NOT_FOUND


@pytest.mark.parametrize("noticed", [True, False], ids=["known to be gone", "gone since the last look"])
async def test_without_the_new_model_and_without_the_old_generation_the_error_is_typed(
    served: Served, noticed: bool
) -> None:
    assert (await served.ask())[:2] == ("old", 1.0)
    served.index.active = "foreign"
    served.index.names.remove("old")
    if noticed:
        await served.handler._models.refresh()
    with pytest.raises(RagError) as failed:
        await served.ask()
    assert failed.value.reason is Reason.EMBEDDER_UNAVAILABLE


async def test_a_further_page_comes_from_the_generation_of_the_first(served: Served) -> None:
    _, _, token = await served.ask()
    served.index.active = "wide"
    assert (await served.ask())[0] == "wide"
    assert (await served.ask(token))[:2] == ("old", 1.0)


@pytest.mark.parametrize("noticed", [True, False], ids=["known to be gone", "gone since the last look"])
async def test_a_page_token_of_a_retired_generation_is_invalid(served: Served, noticed: bool) -> None:
    _, _, token = await served.ask()
    served.index.active = "new"
    served.index.names.remove("old")
    if noticed:
        await served.handler._models.refresh()
    with pytest.raises(InvalidInput) as refused:
        await served.ask(token)
    assert refused.value.reason is Reason.PAGE_TOKEN_INVALID


async def test_a_further_page_while_the_index_is_away_is_no_invalid_token(served: Served) -> None:
    _, _, token = await served.ask()

    def fail(index: Index) -> None:
        raise RagError(Reason.INDEX_UNAVAILABLE, "away")

    served.index.before = fail
    with pytest.raises(RagError) as failed:
        await served.ask(token)
    assert failed.value.reason is Reason.INDEX_UNAVAILABLE
