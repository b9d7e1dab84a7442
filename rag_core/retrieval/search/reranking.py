"""The reranker interface: cross-encoders that rank retrieved passages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from rag_core.http_client import Use, provenance, sending
from rag_core.retrieval.index import SearchHit
from rag_core.settings import Settings

# --------------------------------------------------------------------------------------------------------------------
# The reranker interface. Implementations: `onnx`, a cross-encoder from disk; `http`, an endpoint.


class Reranker(Protocol):
    """Scores how well each text answers a query, from both texts together. Thread-safe."""

    @property
    def remote(self) -> bool:
        """True when texts go to an endpoint that the egress policy covers."""
        ...

    def score(self, query: str, texts: Sequence[str]) -> list[float]:
        """A score in [0, 1] for each text, in order and independent of the other texts. Blocking.

        Raises `Unavailable` (`RERANKER_UNAVAILABLE`) when an endpoint fails or exceeds its limit, and
        `PermissionDenied` (`EGRESS_FORBIDDEN`) for texts that may not go there (`rag_core.http_client.sending`).
        """
        ...

    def close(self) -> None: ...


def reranked(reranker: Reranker, query: str, hits: Sequence[SearchHit]) -> list[SearchHit]:
    """The hits by what the reranker says of them, which each then carries. Blocking; raises as `Reranker.score`.

    A hit whose text may not go to the reranker's endpoint keeps its place and has no score.
    """
    whose = provenance()
    sent = [hit for hit in hits if not reranker.remote or whose.policy.allows(Use.RERANK, hit.payload.source)]
    if not sent:
        return list(hits)
    with sending(whose.of({hit.payload.source for hit in sent})):
        scores = reranker.score(query, [_text(hit) for hit in sent])
    judged = [replace(hit, reranked=score) for hit, score in zip(sent, scores, strict=True)]
    ordered = iter(sorted(judged, key=lambda hit: -(hit.reranked or 0.0)))
    kept = {id(hit) for hit in sent}
    return [next(ordered) if id(hit) in kept else hit for hit in hits]


def _text(hit: SearchHit) -> str:
    """Title and headings belong to the passage: a section on X need not repeat X."""
    payload = hit.payload
    return "\n".join(part for part in (payload.title, *payload.headings, payload.text) if part)


def open_reranker(settings: Settings) -> Reranker | None:
    """The configured reranker, or `None`. Raises `ConfigError` or `DataCorruption` (`MODEL_CORRUPT`)."""
    if settings.reranker_url is not None:
        from rag_core.retrieval.search.reranking_http import open_http_reranker

        return open_http_reranker(settings)
    if settings.reranker_dir is None:
        return None
    from rag_core.retrieval.search.reranking_onnx import OnnxReranker

    return OnnxReranker(settings.reranker_dir, max_tokens=settings.rerank_max_tokens, threads=settings.embed_threads)
