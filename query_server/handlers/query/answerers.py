"""The answerers of the server: the configured one, and the quotes of the sources beside a model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from query_server.handlers.query.conversation import added
from query_server.handlers.query.fallback import FallbackAnswerer, InsteadAnswerer, with_fallback
from query_server.runtime.metrics import Metrics
from rag_core.answering import Answerer, AnswerEvent, Delta, Question, Tokens, Writing, open_answerer
from rag_core.errors import NotFound, QuotaExceeded, Reason
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

    def of(self, name: str, *, out_of_budget: QuotaExceeded | None = None, fallback: bool = True) -> Answerer:
        """The answerer of this name; the default for an empty one.

        With `out_of_budget` quotes come instead of a model's words, or without `fallback` that error. Raises `NotFound`
        (`ANSWERER_UNKNOWN`) and `QuotaExceeded`.
        """
        if name and name not in self._by_name:
            raise self._unknown()
        found = self._by_name[name] if name else self._default
        quotes = self._by_name.get(QUOTES, self._default)
        if found is quotes:
            return found
        if out_of_budget is not None:
            if not fallback:
                raise out_of_budget
            return InsteadAnswerer(quotes, out_of_budget.reason)
        return found.without_quotes() if isinstance(found, FallbackAnswerer) and not fallback else found

    def by_model(self, answerer: Answerer) -> bool:
        """Return whether a model is asked first."""
        return answerer is not self._by_name.get(QUOTES) and not isinstance(answerer, InsteadAnswerer)

    def _unknown(self) -> NotFound:
        return NotFound(Reason.ANSWERER_UNKNOWN, f"answerer: must be one of {', '.join(self._by_name)}")


_CHARS_PER_TOKEN = 3
"""Characters of a token, at least: of English about 4, of Chinese 1 to 2; an estimate must not be too small."""


class ModelTokens:
    """Model tokens that one answer has cost so far."""

    def __init__(self, before: Tokens | None, question: Question, *, by_model: bool) -> None:
        """`before` are the tokens that the question cost on its way to standing alone."""
        self._before = before
        self._question = question
        self._counted: Tokens | None = None
        self._by_model = by_model and bool(question.hits)
        self._chars = 0

    def saw(self, event: AnswerEvent) -> None:
        """Take note of an event before it goes to the caller."""
        if isinstance(event, Delta):
            self._chars += len(event.text)
            return
        if isinstance(event, Writing):
            return
        self._counted = event.tokens
        self._by_model = self._by_model and event.answered_by.answerer != QUOTES

    @property
    def tokens(self) -> Tokens:
        """All of it."""
        counted = self._counted
        if counted is None and self._by_model:
            counted = self._estimate()
        return added(self._before, counted) or Tokens(0, 0)

    def _estimate(self) -> Tokens:
        read = len(self._question.text) + sum(len(hit.payload.text) for hit in self._question.hits)
        return Tokens(read // _CHARS_PER_TOKEN, self._chars // _CHARS_PER_TOKEN)
