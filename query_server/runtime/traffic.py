"""Traffic for the history: number, latency and outcome of calls, and the sources they found."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from query_server.runtime.dependencies import LazyStore
from rag_core.governance.access import NameHash
from rag_core.governance.history import QUERY_SERVER, HistoryRecorder, StoredSeries, measure_memory
from rag_core.retrieval.index import SearchHit
from rag_core.settings import Settings

_KINDS = {
    "/ragproto.query.v2.QueryService/Search": "search",
    "/ragproto.query.v2.QueryService/BatchSearch": "search",
    "/ragproto.query.v2.QueryService/Answer": "answer",
    "/ragproto.query.v1.QueryService/Query": "answer",
    "/ragproto.documents.v1.DocumentService/Put": "documents",
    "/ragproto.documents.v1.DocumentService/Get": "documents",
    "/ragproto.documents.v1.DocumentService/Delete": "documents",
    "/ragproto.documents.v1.DocumentService/List": "documents",
}
"""Kinds of calls by method. What operators and the console ask is no traffic."""
FAILED = "failed"


class Traffic:
    """Counts calls of one server. Neither text nor subject is kept, but for questions when that is switched on."""

    def __init__(self, store: LazyStore, settings: Settings) -> None:
        self._recorder = HistoryRecorder(store.get, service=QUERY_SERVER, measure=measure_memory(QUERY_SERVER))
        self._tally = self._recorder.tally
        self._hashes = NameHash(settings.rotating("hash_secret"))
        self._questions = settings.unanswered_questions
        self._records = settings.history_days > 0

    def start(self) -> None:
        """Write what is counted from now on, unless it is switched off."""
        if self._records:
            self._recorder.start()

    def close(self) -> None:
        """Write what is left. Waits a few seconds at most."""
        self._recorder.close()

    def record_call(self, tenant: str, method: str, seconds: float, reason: str) -> None:
        """Count a call; `reason` is empty when it succeeded."""
        kind = _KINDS.get(method)
        if kind is not None:
            self._tally.record_call(tenant, kind, seconds, reason)

    def record_found(self, tenant: str, hits: Iterable[SearchHit]) -> None:
        """Count the sources of a search's passages."""
        self._tally.record_sources(StoredSeries.FOUND, tenant, (hit.payload.source for hit in hits))

    def record_answer(self, tenant: str, question: str, outcome: str, cited: Sequence[SearchHit]) -> None:
        """Count an answer by its outcome, the sources it cites, and the question when it got none."""
        outcome = outcome.lower()
        self._tally.count(StoredSeries.ANSWERS, tenant=tenant, label=outcome)
        self._tally.record_sources(StoredSeries.CITED, tenant, (hit.payload.source for hit in cited))
        if outcome not in ("answered", FAILED) and self._questions != "off":
            digest, plain = self._hashes.question(tenant, question), self._questions == "plain"
            self._tally.record_unanswered(tenant, digest, question, outcome, plain=plain)
