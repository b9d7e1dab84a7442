"""Conversations: the earlier messages of a question, checked, and the question that stands alone. Nothing is kept."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from query_server.handlers.query.validation import check_text, only_text
from query_server.runtime.metrics import Metrics
from rag_core.answering import Answerer, Message, Role, StandaloneQuestion, Tokens, carry_over
from rag_core.errors import InvalidInput, Reason
from rag_core.settings import Settings

MAX_SHARE = 1 / 3
"""Share of the caller's remaining time that understanding a follow-up may take."""


class Conversations:
    """Understands follow-ups by the answerer, or by their words when it takes too long."""

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self._settings = settings
        self._metrics = metrics

    def checked(self, messages: Sequence[tuple[str, str]]) -> tuple[Message, ...]:
        """The messages. Raises `InvalidInput`: `CONVERSATION_TOO_LONG`, `FIELD_INVALID` or `TEXT_INVALID`."""
        limits = self._settings
        if len(messages) > limits.conversation_messages:
            raise _too_long(f"{len(messages)} > {limits.conversation_messages} messages")
        if sum(len(text) for _, text in messages) > limits.conversation_chars:
            raise _too_long(f"more than {limits.conversation_chars} characters together")
        return tuple(self._message(number, role, text) for number, (role, text) in enumerate(messages))

    def _message(self, number: int, role: str, text: str) -> Message:
        if role not in set(Role):
            raise InvalidInput(Reason.FIELD_INVALID, f"messages[{number}].role: must be user or assistant")
        if len(text) > self._settings.conversation_message_chars:
            raise _too_long(f"message {number}: {len(text)} > {self._settings.conversation_message_chars} characters")
        check_text(text, f"messages[{number}].text")
        cleaned = only_text(text)
        if not cleaned:
            raise InvalidInput(Reason.FIELD_INVALID, f"messages[{number}].text: must contain text")
        return Message(Role(role), cleaned)

    async def understand(
        self, answerer: Answerer, text: str, earlier: Sequence[Message], deadline: float
    ) -> StandaloneQuestion:
        """The question as it stands alone; `deadline` is the caller's, by `time.monotonic`."""
        if not earlier:
            return StandaloneQuestion(text)
        try:
            async with asyncio.timeout((deadline - time.monotonic()) * MAX_SHARE):
                question = await answerer.standalone(text, earlier)
        except TimeoutError:
            question = carry_over(text, earlier)
            self._metrics.rewrites_failed.inc()
        self._metrics.follow_ups.labels(question.by).inc()
        count_tokens(self._metrics, question.tokens)
        cleaned = only_text(question.text)
        return question if cleaned == question.text else StandaloneQuestion(text, tokens=question.tokens)


def count_tokens(metrics: Metrics, tokens: Tokens | None) -> None:
    """Add what a model read and wrote to the metrics."""
    if tokens is None:
        return
    metrics.model_tokens.labels("prompt").inc(tokens.prompt)
    metrics.model_tokens.labels("completion").inc(tokens.completion)
    if tokens.cost is not None:
        metrics.model_cost.labels(tokens.currency).inc(tokens.cost)


def added(one: Tokens | None, other: Tokens | None) -> Tokens | None:
    """Tokens of two calls together."""
    if one is None or other is None:
        return one or other
    cost = None if one.cost is None or other.cost is None else one.cost + other.cost
    return Tokens(one.prompt + other.prompt, one.completion + other.completion, cost, one.currency)


def context_of(earlier: Sequence[Message]) -> bytes:
    """Return what resume tokens of an answer hold of its conversation."""
    return repr([(message.role.value, message.text) for message in earlier]).encode() if earlier else b""


def _too_long(what: str) -> InvalidInput:
    return InvalidInput(Reason.CONVERSATION_TOO_LONG, f"messages: {what}; send only the latest ones")
