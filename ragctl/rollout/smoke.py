"""The smoke suite: checks of a new release before it gets any user traffic."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from itertools import cycle, islice

import grpc
import numpy as np

from rag_core.answering.evaluation import CUT, ndcg
from rag_core.database import Store
from rag_core.errors import Reason
from rag_core.ingestion.promotion import load_golden
from rag_core.settings import Settings
from ragctl.rollout import metrics as watch
from ragctl.rollout.calls import CallCredentials, Client, SmokeQuery, TimedCall, reads_all
from ragctl.rollout.policy import AnalysisResult
from ragctl.rollout.targets.base import Server

_CALLERS = 8
_PASSAGES, _SENTENCE = 5, 200
_TIMEOUT_SECONDS = 5.0
"""Multiple of the objective after which a call is cancelled and counts as slow."""
_GENERAL = SmokeQuery("What is this about?")
Check = tuple[str, Callable[[], AnalysisResult]]


class Smoke:
    """Checks of one colour's servers, the cheap ones first. The serving colour is the measure of right answers."""

    def __init__(self, settings: Settings, store: Store) -> None:
        self._settings, self._store = settings, store
        self._credentials = CallCredentials(settings)
        self._seconds = max(1.0, settings.deploy_latency_seconds * _TIMEOUT_SECONDS)

    def checks(self, candidate: Sequence[Server], serving: Sequence[Server]) -> Iterator[Check]:
        """The checks with their names; take the next one only when the last passed."""
        golden = self._golden()
        query = golden or [_GENERAL]
        yield "smoke.health", lambda: self._on_each(candidate, _health)
        yield "smoke.v1", lambda: self._on_each(candidate, lambda client: _v1(client, query[0]))
        yield "smoke.v2", lambda: self._on_each(candidate, lambda client: _v2(client, query[0]))
        yield "smoke.golden", lambda: self._compare(candidate, serving, golden)
        yield "smoke.burst", lambda: self._burst(candidate, query)
        yield "smoke.metrics", lambda: _metrics(candidate)

    def _golden(self) -> list[SmokeQuery]:
        bound = [one.bind(self._store) for one in load_golden(self._settings)]
        questions = [
            SmokeQuery(question.text, question.tenant, reads_all(one.acl[question.tenant]), question.gains)
            for one in bound
            for question in one.questions
        ]
        return questions[: self._settings.deploy_golden_questions]

    def _on_each(self, servers: Sequence[Server], check: Callable[[Client], AnalysisResult]) -> AnalysisResult:
        with ExitStack() as opened:
            for client in self._clients(opened, servers):
                try:
                    result = check(client)
                except grpc.RpcError as error:
                    return _failed(client.server, error)
                if not result.passed:
                    return result
        return AnalysisResult.good(f"{len(servers)} server(s)")

    def _compare(
        self, candidate: Sequence[Server], serving: Sequence[Server], golden: list[SmokeQuery]
    ) -> AnalysisResult:
        if not golden:
            return AnalysisResult.good("no golden question asks for documents that are here", questions=0)
        ours = self._score(candidate, golden)
        figures = {"questions": len(golden), "ndcg": ours}
        if not serving:
            return AnalysisResult.good(f"nDCG@{CUT} {ours:.3f}; nothing serves to compare with", **figures)
        theirs = self._score(serving, golden)
        message = f"nDCG@{CUT} {theirs:.3f} -> {ours:.3f} on {len(golden)} golden questions"
        figures["serving_ndcg"] = theirs
        if ours < theirs - self._settings.gate_tolerance:
            return AnalysisResult.bad(Reason.GREEN_WRONG, f"worse than the release that serves: {message}", **figures)
        return AnalysisResult.good(message, **figures)

    def _score(self, servers: Sequence[Server], golden: list[SmokeQuery]) -> float:
        with ExitStack() as opened:
            clients = cycle(self._clients(opened, servers))
            return float(np.mean([_gain(client, asked) for client, asked in zip(clients, golden, strict=False)]))

    def _burst(self, servers: Sequence[Server], query: list[SmokeQuery]) -> AnalysisResult:
        count = self._settings.deploy_burst_requests
        with ExitStack() as opened, ThreadPoolExecutor(_CALLERS) as pool:
            clients = cycle(self._clients(opened, servers))
            calls = islice(zip(clients, cycle(query), strict=False), count)
            timed = list(pool.map(lambda call: call[0].timed_search(call[1]), calls))
        return analyse_calls(self._settings, timed)

    def _clients(self, opened: ExitStack, servers: Sequence[Server]) -> list[Client]:
        return [opened.enter_context(closing(Client(one, self._credentials, self._seconds))) for one in servers]


def cited(settings: Settings, servers: Sequence[Server]) -> AnalysisResult:
    """Check that an answer cites a document, for a question made of a passage that the caller may read."""
    credentials = CallCredentials(settings)
    with ExitStack() as opened:
        client = opened.enter_context(closing(Client(servers[0], credentials, settings.deploy_latency_seconds * 10)))
        try:
            passages = client.search(_GENERAL).passages[:_PASSAGES]
            for passage in passages:
                final = list(client.answer(SmokeQuery(_sentence(passage.text))))[-1].final
                if final.answered.citations:
                    first = final.answered.citations[0]
                    return AnalysisResult.good(f"an answer cites {first.source}/{first.locator}")
        except grpc.RpcError as error:
            return _failed(client.server, error)
    if not passages:
        return AnalysisResult.bad(Reason.GREEN_WRONG, "there is no document that the credential may read")
    return AnalysisResult.bad(
        Reason.GREEN_WRONG, f"no answer cites a document, asked for what {len(passages)} passages say"
    )


def _sentence(text: str) -> str:
    """The longest line of a passage, which is rather a sentence than a heading."""
    return max(text.splitlines(), key=len)[:_SENTENCE]


def analyse_calls(settings: Settings, timed: Sequence[TimedCall]) -> AnalysisResult:
    """Success and latency of a burst against the objectives. A call that was given up counts as slow first."""
    p95 = float(np.percentile([one.seconds for one in timed], 95))
    failures = [one.failure for one in timed if one.failure]
    good = 100 * (1 - len(failures) / len(timed))
    message = f"{good:.1f} % of {len(timed)} calls succeeded, p95 {p95 * 1000:.0f} ms"
    figures = {"calls": len(timed), "success_percent": round(good, 2), "p95_seconds": round(p95, 4)}
    if p95 > settings.deploy_latency_seconds:
        return AnalysisResult.bad(
            Reason.GREEN_SLOW, f"{message}; the objective is {settings.deploy_latency_seconds:g} s", **figures
        )
    if good < settings.deploy_success_percent:
        worst = max(set(failures), key=failures.count)
        return AnalysisResult.bad(Reason.GREEN_FAILING, f"{message}; mostly {worst}", **figures)
    return AnalysisResult.good(message, **figures)


def _health(client: Client) -> AnalysisResult:
    if client.is_serving():
        return AnalysisResult.good()
    return AnalysisResult.bad(Reason.CANDIDATE_UNHEALTHY, f"{client.server.query}: its health service says NOT_SERVING")


def _v1(client: Client, query: SmokeQuery) -> AnalysisResult:
    response = client.query_v1(query)
    if query.gains and not response.sources:
        return AnalysisResult.bad(
            Reason.GREEN_WRONG, f"{client.server.query}: v1 finds no source for a golden question"
        )
    return AnalysisResult.good()


def _v2(client: Client, query: SmokeQuery) -> AnalysisResult:
    found = client.search(query)
    if query.gains and not found.passages:
        return AnalysisResult.bad(
            Reason.GREEN_WRONG, f"{client.server.query}: v2 finds no passage for a golden question"
        )
    events = list(client.answer(query))
    if not events or not events[-1].HasField("final") or events[-1].final.HasField("failed"):
        return AnalysisResult.bad(Reason.GREEN_FAILING, f"{client.server.query}: an answer broke off")
    return AnalysisResult.good()


def _gain(client: Client, query: SmokeQuery) -> float:
    try:
        passages = client.search(query).passages
    except grpc.RpcError:
        return 0.0
    ranking = list(dict.fromkeys(f"{passage.source}/{passage.locator}" for passage in passages))
    return ndcg(ranking, query.gains or {})


def _metrics(servers: Sequence[Server]) -> AnalysisResult:
    found = watch.read(servers)
    if isinstance(found, AnalysisResult):
        return found
    calls = sum(counts.calls for counts in found.values())
    if not calls:
        return AnalysisResult.bad(Reason.GREEN_SILENT, "its metrics do not count the calls that were just made")
    return AnalysisResult.good(f"{calls:.0f} calls counted")


def _failed(server: Server, error: grpc.RpcError) -> AnalysisResult:
    slow = error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    reason = Reason.GREEN_SLOW if slow else Reason.GREEN_FAILING
    return AnalysisResult.bad(reason, f"{server.query}: {error.code().name} {error.details() or ''}".strip())
