"""The owners' questions at the promotion gate, and over the active generation. The judgements that need no database:
latency, size, and the pace of a build."""

from __future__ import annotations

import json
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from pytest_httpserver import HTTPServer
from sqlalchemy import text

from rag_core.answering.evaluation import Grade, run_store
from rag_core.errors import Conflict, Reason, Unavailable
from rag_core.ingestion.promotion import (
    GateEvaluation,
    QuestionRunner,
    build,
    declare,
    evaluate,
    evaluate_active,
    promote,
    rollback,
)
from rag_core.ingestion.promotion.checks import MAX_GROWTH, CheckedGeneration, CheckResult, size
from rag_core.ingestion.promotion.retrieval import SLACK_SECONDS, SLOWER, Scoring, compare_latency
from rag_core.ingestion.promotion.throttle import Throttle
from rag_core.retrieval.index import SearchMode, SearchRequest, VectorIndex
from rag_core.settings import Settings
from tests.support.generations import GenerationHarness, golden, key_of, word_transforms
from tests.unit.rag_core.ingestion.generations.conftest import TOPICS

TENANT = "acme"
QUESTIONS = [
    {"question": f"who inspects the {topic}?", "expected": f"{topic} crew", "source": f"handbook/{topic}.txt"}
    for topic in TOPICS
]


@pytest.fixture
def own(plant: GenerationHarness) -> Path:
    """The tenant's file of questions."""
    path = plant.settings.effective_questions_dir / TENANT / "manuals.jsonl"
    path.parent.mkdir(parents=True)
    path.write_text("\n".join(map(json.dumps, QUESTIONS)))
    return path


def here(plant: GenerationHarness, **changed: Any) -> QuestionRunner:
    settings = plant.settings.model_copy(update=changed)
    return QuestionRunner(plant.store, plant.index, plant.transform_registry, settings)


def candidate(
    plant: GenerationHarness, name: str, *, without: int = 0, golden_set: bool = True, **changed: Any
) -> GateEvaluation:
    """A generation without the documents of so many topics, built and evaluated."""
    transforms = word_transforms(version="2")
    declare(plant.store, plant.index, transforms, name=name, actor="ann")
    build(plant.store, plant.index, transforms, name, plant.settings)
    gone = [f"{topic}.txt" for topic in TOPICS[:without]]
    points = [point.chunk_id for page in plant.index.scroll(name) for point in page if point.payload.locator in gone]
    if points:
        plant.index.delete_points(name, points)
    plant.transform_registry._others[key_of(transforms.generation_config)] = transforms
    asked = golden({f"who inspects the {topic}": f"{topic}.txt" for topic in TOPICS})
    settings = plant.settings.model_copy(update=changed)
    sets = [asked] if golden_set else None
    return evaluate(plant.store, plant.index, plant.transform_registry, name, settings, golden=sets)


def answers(evaluation: GateEvaluation) -> CheckResult:
    return next(check for check in evaluation.checks if check.name == "answers")


def accepted(plant: GenerationHarness) -> run_store.Run | None:
    with plant.store.engine.connect() as connection:
        return run_store.accepted(connection, TENANT)


def test_without_questions_nothing_is_refused_and_it_says_so(plant: GenerationHarness) -> None:
    check = answers(candidate(plant, "green"))
    assert check.passed
    assert "no questions of your own" in check.detail
    assert evaluate_active(here(plant), actor="ann") == []


def test_an_equal_generation_passes_with_the_figures_of_each_tenant(plant: GenerationHarness, own: Path) -> None:
    check = answers(candidate(plant, "green"))
    assert check.passed, check
    assert check.detail.startswith("acme: no worse than the active generation ")
    figures = {"questions": len(TOPICS), "satisfied": 1, "wrong": 0, "recall": 1, "tenants": 1, "worse_tenants": 0}
    assert figures.items() <= check.figures.items()


def test_own_questions_that_name_a_source_measure_retrieval_without_a_golden_set(
    plant: GenerationHarness, own: Path
) -> None:
    checks = {check.name: check for check in candidate(plant, "green", without=7, golden_set=False).checks}
    assert not checks["retrieval"].passed
    assert checks["retrieval"].detail.startswith("worse than the active one: ")
    figures = {"questions": len(TOPICS), "hybrid_recall": 0.5, "baseline_hybrid_recall": 1}
    assert figures.items() <= {name: checks["retrieval"].figures[name] for name in figures}.items()


def test_a_generation_that_answers_worse_is_refused_unless_overridden_with_a_reason(
    plant: GenerationHarness, own: Path
) -> None:
    check = answers(candidate(plant, "green", without=7))
    assert not check.passed
    assert "worse than the active generation" in check.detail
    assert "satisfied 1.000 -> 0.500 (7 lost, 0 gained of 14; p 0.008)" in check.detail
    with pytest.raises(Conflict) as caught:
        promote(plant.store, plant.index, "green", plant.settings, actor="ann")
    assert caught.value.reason is Reason.GENERATION_REFUSED
    assert "7 lost" in caught.value.message
    assert accepted(plant) is None
    promote(plant.store, plant.index, "green", plant.settings, actor="ann", override="we know")
    with plant.store.engine.connect() as connection:
        statement = text("SELECT details FROM rag.audit WHERE action = 'index.promote' ORDER BY id DESC LIMIT 1")
        details = connection.scalar(statement)
    assert details["override"] == "we know"
    assert "7 lost" in details["refused"]


def test_where_the_active_generation_cannot_be_asked_any_more_the_accepted_run_is_what_counts(
    plant: GenerationHarness, own: Path
) -> None:
    [first] = evaluate_active(here(plant), actor="ann")
    with plant.store.engine.begin() as connection:
        connection.exec_driver_sql("""UPDATE rag.generations SET settings = settings || '{"embed_model": "gone"}'""")
    check = answers(candidate(plant, "green", without=7))
    assert not check.passed
    assert f"worse than the accepted run {first.id}: satisfied 1.000 -> 0.500" in check.detail


def test_a_few_losses_are_noise(plant: GenerationHarness, own: Path) -> None:
    check = answers(candidate(plant, "green", without=4))
    assert check.passed
    assert "4 lost, 0 gained" in check.detail


def test_what_readers_are_moved_to_is_what_later_runs_are_compared_with(plant: GenerationHarness, own: Path) -> None:
    [first] = evaluate_active(here(plant), actor="ann")
    assert first.accepted
    before = plant.index.alias()
    candidate(plant, "green")
    assert accepted(plant) == first, "a candidate is not what readers have"
    promote(plant.store, plant.index, "green", plant.settings, actor="ann")
    run = accepted(plant)
    assert run is not None
    assert (run.generation, run.origin) == ("green", "gate")
    rollback(plant.store, plant.index, plant.settings, actor="ann")
    run = accepted(plant)
    assert run is not None
    assert (run.generation, run.id) == (before, first.id)


def test_a_worse_answerer_is_found_over_the_same_generation_and_at_the_gate(
    plant: GenerationHarness, own: Path, httpserver: HTTPServer
) -> None:
    """An endpoint that cites nothing: every answer of it is an abstention."""
    [first] = evaluate_active(here(plant), actor="ann")
    words = json.dumps({"choices": [{"delta": {"content": "I would rather not say."}}]})
    body = f"data: {words}\n\ndata: [DONE]\n\n"
    httpserver.expect_request("/v1/chat/completions").respond_with_data(body, content_type="text/event-stream")
    worse = {"answerer": "openai", "answer_url": httpserver.url_for("/v1"), "answer_model": "m"}
    [second] = evaluate_active(here(plant, **worse), actor="ann")
    assert second.worse
    assert not second.accepted
    assert second.compared_with == first.id
    assert second.detail.startswith(f"worse than the accepted run {first.id}: satisfied 1.000 -> 0.000")
    with plant.store.engine.connect() as connection:
        results = run_store.results(connection, second.id)
    assert {one.grade for one in results} == {Grade.ABSTAINED}
    check = answers(candidate(plant, "green", **worse))
    assert not check.passed
    assert "the accepted run" in check.detail
    assert "of another answerer" in check.detail


def test_a_file_that_is_malformed_fails_the_check_with_its_line(plant: GenerationHarness, own: Path) -> None:
    own.write_text('{"question": "q"}')
    check = answers(candidate(plant, "green"))
    assert not check.passed
    assert "manuals.jsonl: line 1: expected: give this" in check.detail


def test_of_many_questions_the_same_ones_are_asked_every_time(plant: GenerationHarness, own: Path) -> None:
    small = here(plant, gate_max_questions=5)
    runs = [evaluate_active(small, actor="ann")[0] for _ in range(2)]
    with plant.store.engine.connect() as connection:
        asked = [[one.question for one in run_store.results(connection, run.id)] for run in runs]
    assert asked[0] == asked[1]
    assert len(asked[0]) == 5


def test_what_an_answer_quotes_is_kept_with_its_documents(plant: GenerationHarness, own: Path) -> None:
    [run] = evaluate_active(here(plant), actor="ann")
    with plant.store.engine.connect() as connection:
        results = run_store.results(connection, run.id)
        hidden = run_store.only_visible(connection, TENANT, ["user:nobody"], results)
    [pump] = [one for one in results if "pump" in one.question]
    assert "pump crew" in pump.answer
    assert plant.pipeline.doc_id("pump.txt") in pump.doc_ids
    assert {one.answer for one in hidden} == {""}


_USUAL = 0.02


class Index:
    """Searches and points of two generations, `new` and `old`."""

    def __init__(self, *, seconds: float = 0.0, points: int = 0) -> None:
        self._seconds = {"new": seconds, "old": _USUAL}
        self._points = {"new": points, "old": 1000}

    def search(self, request: SearchRequest) -> None:
        time.sleep(self._seconds[request.generation or ""])

    def count(self, generation: str) -> int:
        return self._points[generation]


def index(**facts: Any) -> VectorIndex:
    return cast("VectorIndex", Index(**facts))


def scoring(name: str) -> Scoring:
    request = SearchRequest("acme", ("everyone",), 10, SearchMode.LEXICAL, "pump", generation=name)
    return Scoring(name, 2, 0, {}, [request, request])


@pytest.mark.parametrize(
    ("seconds", "passed"), [(_USUAL, True), (SLOWER * _USUAL + SLACK_SECONDS + 0.03, False)], ids=["alike", "slower"]
)
def test_a_generation_with_slow_searches_is_refused(seconds: float, passed: bool) -> None:
    check = compare_latency(index(seconds=seconds), scoring("new"), scoring("old"))
    assert (check.name, check.passed) == ("latency", passed)
    assert check.figures["p95_ms"] >= seconds * 1000
    assert check.figures["baseline_p95_ms"] >= _USUAL * 1000


def test_latency_without_an_active_generation_is_reported_and_passes() -> None:
    assert compare_latency(index(), scoring("new"), None).passed


@pytest.mark.parametrize(
    ("points", "dimensions", "passed"),
    [(1000, 64, True), (int(1000 * MAX_GROWTH), 64, True), (1000, int(64 * MAX_GROWTH) + 1, False), (0, 64, False)],
)
def test_a_generation_that_is_empty_or_many_times_as_large_is_refused(
    points: int, dimensions: int, passed: bool
) -> None:
    new, old = (cast("Any", SimpleNamespace(name=name, dimensions=n)) for name, n in (("new", dimensions), ("old", 64)))
    check = size(CheckedGeneration(cast("Any", None), index(points=points), new, Settings()), old)
    assert (check.name, check.passed) == ("size", passed)


class Clients:
    """Clients, a clock, and a search of the throttle's own that takes `seconds` of it."""

    def __init__(self) -> None:
        self.now, self.calls, self.seconds, self.searches = 0.0, 0, 0.0, 0
        self.waited: list[float] = []
        self.throttle = Throttle(
            self.search, lambda: self.calls, slowdown=2, max_pause=0.5, active_seconds=5, wait=self.waited.append,
            clock=lambda: self.now,
        )  # fmt: skip

    def search(self) -> None:
        self.searches += 1
        self.now += self.seconds

    def pause(self, seconds: float, *, calls: int) -> float:
        """The pause after a slice of twenty seconds with searches of that length and so many calls of clients."""
        self.seconds = seconds
        for _ in range(20):
            self.calls += calls
            self.now += 1
            self.throttle.observe()
        return self.throttle.pause()


def test_a_build_pauses_longer_while_searches_are_slow_and_ends_it_when_they_are_not() -> None:
    clients = Clients()
    just_usual, slow = 1.9 * clients.throttle.usual, 3 * clients.throttle.usual
    pauses = [clients.pause(seconds, calls=1) for seconds in (just_usual, *[slow] * 5, *[just_usual] * 4)]
    assert pauses == [0, 0.1, 0.2, 0.4, 0.5, 0.5, 0.25, 0.125, 0.0625, 0]
    assert clients.throttle.paused_seconds == pytest.approx(sum(clients.waited))


def test_a_build_that_slows_only_the_throttles_own_search_runs_at_full_speed() -> None:
    clients = Clients()
    slow = 100 * clients.throttle.usual
    assert [clients.pause(slow, calls=0) for _ in range(3)] == [0, 0, 0]
    assert clients.searches == 0
    assert clients.pause(slow, calls=2) > 0
    assert clients.pause(slow, calls=0) == 0, "they have left"
    assert clients.waited == [0.1]


def test_a_probe_that_fails_slows_no_build() -> None:
    def away() -> None:
        raise Unavailable(Reason.INDEX_UNAVAILABLE, "away")

    with Throttle(away) as throttle:
        assert throttle.pause() == 0
