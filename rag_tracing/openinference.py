"""Attributes of OpenInference's semantic conventions, by which viewers of LLM applications (Arize Phoenix) read spans.

They stand beside those of OpenTelemetry and hold no text either.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

_KIND = "openinference.span.kind"
CHAIN: Final = {_KIND: "CHAIN"}
RETRIEVER: Final = {_KIND: "RETRIEVER"}
RERANKER: Final = {_KIND: "RERANKER"}
MAX_DOCUMENTS: Final = 20
"""Of one span: viewers show the first few, and a search may return hundreds."""


def embedding(model: str) -> dict[str, str]:
    """Attributes of a span that embeds texts."""
    return {_KIND: "EMBEDDING", "embedding.model_name": model}


def llm(model: str) -> dict[str, str]:
    """Attributes of a span that asks a language model."""
    return {_KIND: "LLM", "llm.model_name": model, "llm.system": "openai"}


def tokens(prompt: int, completion: int) -> dict[str, int]:
    """What a language model used."""
    known = {"prompt": prompt, "completion": completion, "total": prompt + completion}
    return {f"llm.token_count.{name}": count for name, count in known.items()}


def question(text: str) -> dict[str, str]:
    """The text of a question: for spans that may hold content alone."""
    return {"input.value": text, "input.mime_type": "text/plain"}


def documents(found: Iterable[tuple[object, float]]) -> dict[str, Any]:
    """Id and score of each retrieved passage, best first."""
    known: dict[str, Any] = {}
    for number, (one, score) in zip(range(MAX_DOCUMENTS), found, strict=False):
        known[f"retrieval.documents.{number}.document.id"] = str(one)
        known[f"retrieval.documents.{number}.document.score"] = float(score)
    return known
