"""Tokens that an answer cost, for the budgets: as the endpoint counts them, or estimated from the texts.

An endpoint that does not count, or a caller who leaves before the last event, must not make an answer free.
"""

from __future__ import annotations

from query_server.handlers.query.answerers import QUOTES
from query_server.handlers.query.conversation import added
from rag_core.answering import AnswerEvent, Delta, Question, Tokens, Writing

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
