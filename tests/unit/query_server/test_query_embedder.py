"""Query embeddings are shared, batched while the model is busy, cached; one caller's failure is not another's."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import AsyncIterator, Sequence

import numpy as np
import pytest

from query_server.handlers.query.embedder import QueryEmbedder, StateLimits, parallel_queries
from query_server.runtime.metrics import Metrics
from rag_core.content.embedding import TokenStates, Vectors
from rag_core.content.embedding.fake import FakeEmbedder
from rag_core.errors import Reason, Unavailable
from rag_core.http_client import EgressPolicy, Use
from rag_core.settings import Settings


class GatedEmbedder(FakeEmbedder):
    """Waits for the test before each batch and records what it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[list[str]] = []
        self.entered = threading.Semaphore(0)
        self.gate = threading.Semaphore(0)
        self.error: Exception | None = None

    def embed_queries(self, texts: Sequence[str]) -> Vectors:
        self._wait(texts)
        return super().embed_queries(texts)

    def embed_passages(self, texts: Sequence[str]) -> Vectors:
        self._wait(texts)
        return super().embed_passages(texts)

    def _wait(self, texts: Sequence[str]) -> None:
        self.batches.append(list(texts))
        self.entered.release()
        assert self.gate.acquire(timeout=10)
        if self.error is not None:
            raise self.error

    async def wait_entered(self) -> None:
        assert await asyncio.to_thread(self.entered.acquire, timeout=10)


@pytest.fixture
async def model() -> AsyncIterator[GatedEmbedder]:
    model = GatedEmbedder()
    yield model
    for _ in range(100):
        model.gate.release()


@pytest.fixture
async def embedder(model: GatedEmbedder) -> AsyncIterator[QueryEmbedder]:
    embedder = QueryEmbedder(model, workers=1, batch=3, cache_entries=2, metrics=Metrics())
    yield embedder
    for _ in range(100):
        model.gate.release()
    await embedder.close()


def test_queries_are_batched_as_far_as_company_saves_work() -> None:
    model = FakeEmbedder()
    settings = Settings(embed_threads=3, query_batch=5)
    assert parallel_queries(settings, model) == (3, 1)
    model.texts_per_run = 8
    assert parallel_queries(settings, model) == (3, 5)
    assert parallel_queries(settings.model_copy(update={"query_batch": 64}), model) == (3, 8)


def start(embedder: QueryEmbedder, *texts: str) -> list[asyncio.Task[Vectors]]:
    return [asyncio.create_task(embedder.embed("acme", text)) for text in texts]


async def test_queries_that_arrive_while_the_model_is_busy_share_a_batch(
    model: GatedEmbedder, embedder: QueryEmbedder
) -> None:
    first = start(embedder, "a")
    await model.wait_entered()
    rest = start(embedder, "b", "c", "d", "e")
    await asyncio.sleep(0)
    for _ in range(3):
        model.gate.release()
    await asyncio.gather(*first, *rest)
    assert model.batches == [["a"], ["b", "c", "d"], ["e"]]


async def test_another_run_begins_beside_the_first_for_four_queries_and_for_none_fewer(model: GatedEmbedder) -> None:
    embedder = QueryEmbedder(model, workers=2, batch=8, cache_entries=0, metrics=Metrics())
    calls = start(embedder, "a")
    await model.wait_entered()
    calls += start(embedder, "b", "c", "d")
    await asyncio.sleep(0)
    assert model.batches == [["a"]]
    calls += start(embedder, "e")
    await model.wait_entered()
    assert model.batches == [["a"], ["b", "c", "d", "e"]]
    for _ in range(2):
        model.gate.release()
    await asyncio.gather(*calls)
    await embedder.close()


async def test_single_queries_start_at_once_on_half_of_the_cores(model: GatedEmbedder) -> None:
    embedder = QueryEmbedder(model, workers=4, batch=8, cache_entries=0, metrics=Metrics())
    calls = start(embedder, "a")
    await model.wait_entered()
    calls += start(embedder, "b")
    await model.wait_entered()
    calls += start(embedder, "c")
    await asyncio.sleep(0)
    assert model.batches == [["a"], ["b"]]
    for _ in range(3):
        model.gate.release()
    await asyncio.gather(*calls)
    await embedder.close()


async def test_requests_to_an_endpoint_do_not_wait_for_each_other(model: GatedEmbedder) -> None:
    model.remote = True
    everything = EgressPolicy(frozenset(Use))
    embedder = QueryEmbedder(model, workers=2, batch=8, cache_entries=0, metrics=Metrics(), policy=lambda _: everything)
    calls = start(embedder, "a")
    await model.wait_entered()
    calls += start(embedder, "b")
    await model.wait_entered()
    assert model.batches == [["a"], ["b"]]
    for _ in range(2):
        model.gate.release()
    await asyncio.gather(*calls)
    await embedder.close()


async def test_vectors_come_back_to_their_texts(model: GatedEmbedder, embedder: QueryEmbedder) -> None:
    for _ in range(5):
        model.gate.release()
    texts = ["alpha", "beta", "gamma", "delta"]
    vectors = await asyncio.gather(*start(embedder, *texts))
    expected = FakeEmbedder().embed_queries(texts)
    assert all((vector == row).all() for vector, row in zip(vectors, expected, strict=True))


async def test_equal_queries_in_flight_are_computed_once(model: GatedEmbedder, embedder: QueryEmbedder) -> None:
    calls = start(embedder, "a", "a", "a")
    await model.wait_entered()
    calls += start(embedder, "a")
    model.gate.release()
    await asyncio.gather(*calls)
    assert model.batches == [["a"]]


async def test_known_queries_come_from_a_bounded_cache(model: GatedEmbedder, embedder: QueryEmbedder) -> None:
    for _ in range(10):
        model.gate.release()
    for text in ("a", "a", "b", "a", "c", "a", "b"):
        await embedder.embed("acme", text)
    assert model.batches == [["a"], ["b"], ["c"], ["b"]]


@pytest.mark.catalogue("F34")
async def test_a_caller_that_leaves_does_not_take_the_vector_from_the_others(
    model: GatedEmbedder, embedder: QueryEmbedder
) -> None:
    leaver, stayer = start(embedder, "a", "a")
    await model.wait_entered()
    leaver.cancel()
    model.gate.release()
    assert (await stayer).shape == (FakeEmbedder.dimensions,)
    with pytest.raises(asyncio.CancelledError):
        await leaver


@pytest.mark.catalogue("F34")
async def test_a_query_that_nobody_waits_for_is_not_computed(model: GatedEmbedder, embedder: QueryEmbedder) -> None:
    first = start(embedder, "a")
    await model.wait_entered()
    gone = start(embedder, "b")[0]
    await asyncio.sleep(0)
    gone.cancel()
    await asyncio.sleep(0)
    model.gate.release()
    await asyncio.gather(*first)
    for _ in range(3):
        model.gate.release()
    await embedder.embed("acme", "c")
    assert model.batches == [["a"], ["c"]]


async def test_a_failure_reaches_every_caller_of_the_batch_and_is_not_cached(
    model: GatedEmbedder, embedder: QueryEmbedder
) -> None:
    model.error = Unavailable(Reason.EMBEDDER_UNAVAILABLE, "down")
    calls = start(embedder, "a", "a")
    model.gate.release()
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert all(isinstance(result, Unavailable) for result in results)
    model.error = None
    model.gate.release()
    assert (await embedder.embed("acme", "a")).shape == (FakeEmbedder.dimensions,)


async def test_several_workers_each_take_a_query_of_their_own() -> None:
    model = GatedEmbedder()
    embedder = QueryEmbedder(model, workers=2, batch=1, cache_entries=0, metrics=Metrics())
    calls = start(embedder, "a", "b", "c")
    for _ in range(2):
        await model.wait_entered()
    assert sorted(model.batches) == [["a"], ["b"]]
    for _ in range(3):
        model.gate.release()
    await asyncio.gather(*calls)
    assert sorted(model.batches) == [["a"], ["b"], ["c"]]
    await embedder.close()


async def test_closing_is_a_typed_error_for_those_who_wait_and_those_who_come() -> None:
    model = GatedEmbedder()
    embedder = QueryEmbedder(model, workers=1, batch=1, cache_entries=0, metrics=Metrics())
    calls = start(embedder, "a", "b")
    await model.wait_entered()
    model.gate.release()
    await embedder.close()
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert isinstance(results[1], Unavailable)
    with pytest.raises(Unavailable) as refused:
        await embedder.embed("acme", "c")
    assert refused.value.reason is Reason.EMBEDDER_UNAVAILABLE


@pytest.mark.catalogue("A13")
async def test_what_another_tenant_asked_is_computed_as_if_it_were_new(
    model: GatedEmbedder, embedder: QueryEmbedder
) -> None:
    for _ in range(3):
        model.gate.release()
    await embedder.embed("acme", "a")
    await asyncio.gather(embedder.embed("other", "a"), embedder.embed("third", "a"), embedder.embed("acme", "a"))
    assert sum(batch.count("a") for batch in model.batches) == 3


class TokenModel(FakeEmbedder):
    """Gives one state for each word of a text; counts the passages."""

    def __init__(self) -> None:
        super().__init__()
        self.passages: list[str] = []

    def token_states(self, queries: Sequence[str], passages: Sequence[str]) -> list[TokenStates]:
        self.passages += passages
        return [self._states(text) for text in (*queries, *passages)]

    def _states(self, text: str) -> TokenStates:
        spans = [match.span() for match in re.finditer(r"\w+", text)]
        vectors = self.embed_passages([text[start:end] for start, end in spans])
        return TokenStates(vectors.astype(np.float16), np.array(spans, np.int32))


ONE_PASSAGE = TokenModel()._states("one").nbytes


@pytest.mark.parametrize(
    "limits", [StateLimits(2, 1_000_000), StateLimits(100, 2 * ONE_PASSAGE)], ids=["count", "bytes"]
)
async def test_states_of_passages_are_made_once_for_a_tenant_and_forgotten_when_they_are_too_many(
    limits: StateLimits,
) -> None:
    model = TokenModel()
    embedder = QueryEmbedder(model, workers=1, batch=1, cache_entries=0, metrics=Metrics(), states=limits)
    assert embedder.compares_tokens
    one, two = await embedder.compare("acme", "one", ["one", "two"])
    assert one.whole() == pytest.approx(1, abs=1e-2)
    assert one.whole() > two.whole()
    again = await embedder.compare("acme", "one", ["two", "one"])
    assert [found.whole() for found in again] == [two.whole(), one.whole()]
    assert model.passages == ["one", "two"]

    await embedder.compare("other", "one", ["one"])
    assert model.passages == ["one", "two", "one"]

    model.passages.clear()
    await embedder.compare("acme", "one", ["one", "six"])
    await embedder.compare("acme", "one", ["two"])
    assert model.passages == ["six", "two"]
    await embedder.close()


async def test_answers_at_the_same_time_make_the_states_of_the_same_passages_once() -> None:
    model = TokenModel()
    limits = StateLimits(10, 1_000_000)
    embedder = QueryEmbedder(model, workers=1, batch=1, cache_entries=0, metrics=Metrics(), states=limits)
    compared = await asyncio.gather(*(embedder.compare("acme", f"one {n}", ["one", "two"]) for n in range(5)))
    assert [len(found) for found in compared] == [2] * 5
    assert model.passages == ["one", "two"]
    await embedder.close()


class SlowStates(TokenModel):
    """Makes states once the test lets it."""

    def __init__(self) -> None:
        super().__init__()
        self.begun, self.go_on = threading.Event(), threading.Event()

    def token_states(self, queries: Sequence[str], passages: Sequence[str]) -> list[TokenStates]:
        self.begun.set()
        assert self.go_on.wait(60)
        return super().token_states(queries, passages)


async def test_a_query_does_not_wait_for_the_passages_of_an_answer() -> None:
    model = SlowStates()
    embedder = QueryEmbedder(model, workers=1, batch=1, cache_entries=0, metrics=Metrics())
    comparison = asyncio.create_task(embedder.compare("acme", "one", ["one"]))
    try:
        assert await asyncio.to_thread(model.begun.wait, 60)
        async with asyncio.timeout(60):
            assert (await embedder.embed("other", "two")).any()
        assert not comparison.done()
    finally:
        model.go_on.set()
    assert len(await comparison) == 1
    await embedder.close()
