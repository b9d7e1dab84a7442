"""Who can write answers: the configured answerer, and the quotes of the sources beside a model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from query_server.handlers.query.fallback import with_fallback
from query_server.runtime.metrics import Metrics
from rag_core.answering import Answerer, open_answerer
from rag_core.errors import NotFound, Reason
from rag_core.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping

QUOTES = "extractive"


@dataclass(frozen=True, slots=True)
class Named:
    """An answerer by its name. `model` is empty for quotes."""

    name: str
    model: str


class Answerers:
    """The answerers of a server, the default first. The caller closes the configured one; the others hold nothing."""

    def __init__(self, answerers: Mapping[Named, Answerer]) -> None:
        self.listed = tuple(answerers)
        self._by_name = {named.name: answerer for named, answerer in answerers.items()}
        self._default = answerers[self.listed[0]]

    @classmethod
    def of_settings(cls, settings: Settings, configured: Answerer, metrics: Metrics) -> Answerers:
        """The configured answerer and, where that is a model, quotes for callers who want no model."""
        if settings.answerer == QUOTES:
            return cls({Named(QUOTES, ""): configured})
        written = with_fallback(settings, configured, metrics)
        quotes = open_answerer(settings.model_copy(update={"answerer": QUOTES}))
        return cls({Named(settings.answerer, settings.answer_model or ""): written, Named(QUOTES, ""): quotes})

    def of(self, name: str) -> Answerer:
        """The answerer of this name; the default for an empty one. Raises `NotFound` (`ANSWERER_UNKNOWN`)."""
        if not name:
            return self._default
        if name in self._by_name:
            return self._by_name[name]
        raise NotFound(Reason.ANSWERER_UNKNOWN, f"answerer: must be one of {', '.join(self._by_name)}")
