"""`open_answerer`: the answerer that the settings name."""

from __future__ import annotations

from rag_core.answering.base import Answerer
from rag_core.settings import Settings


def open_answerer(settings: Settings) -> Answerer:
    """The configured answerer; close it when done. Nothing is called before the first question."""
    if settings.answerer == "openai":
        from rag_core.answering.model import open_openai_answerer

        return open_openai_answerer(settings)
    from rag_core.answering.extractive import ExtractiveAnswerer

    return ExtractiveAnswerer(settings.answer_strictness)
