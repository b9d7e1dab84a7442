"""Answers written by a model behind an OpenAI-compatible chat endpoint, checked sentence by sentence before they leave.

What the model reads are sections of documents (`sections`), kept apart from instructions (`prompts`). What holds
whatever it writes is the check in `support`: a sentence that no passage supports is never sent.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Final

import httpx

from rag_core.answering.base import (
    Abstained,
    Abstention,
    Answered,
    AnsweredBy,
    AnswerEvent,
    Delta,
    Message,
    Question,
    Role,
    StandaloneBy,
    StandaloneQuestion,
    Tokens,
)
from rag_core.answering.citations import Citation
from rag_core.answering.conversation import carry_over
from rag_core.answering.evidence import coverage, question_units
from rag_core.answering.model.chat_endpoint import CONNECT_SECONDS, ChatEndpoint, ChatEvent, Finished, Text, unavailable
from rag_core.answering.model.prompts import MAX_REWRITE_TOKENS, answer_prompt, read_style, rewrite_prompt
from rag_core.answering.model.sections import Sections, read_sections
from rag_core.answering.model.support import SupportChecker
from rag_core.errors import DeadlineExceeded, Reason
from rag_core.http_client import Provenance, Use, check_endpoint, covered, endpoint_client, provenance
from rag_core.retrieval.index import SearchHit
from rag_core.retrieval.search import stems
from rag_core.settings import Settings
from rag_tracing import CLIENT, openinference, span

MIN_FROM_CONVERSATION = 0.5
"""Share of a rewritten question's words that conversation and question must contain."""
_LABEL: Final = re.compile(r"(?:user|(?:(?:last|rewritten|standalone) )?question)\s*:\s*", re.IGNORECASE)
"""Label that small models copy from the prompt before a rewritten question."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of an answer; times in seconds. Prices are for a million tokens."""

    seconds: float = 25
    first_token_seconds: float = 8
    rewrite_seconds: float = 4
    rewrite_messages: int = 6
    question_chars: int = 8192
    context_tokens: int = 3000
    sections: int = 8
    max_tokens: int = 800
    prices: tuple[float, float] | None = None
    currency: str = ""

    def charged(self, tokens: Tokens) -> Tokens:
        """The tokens with what they cost."""
        if self.prices is None:
            return tokens
        cost = (tokens.prompt * self.prices[0] + tokens.completion * self.prices[1]) / 1_000_000
        return replace(tokens, cost=round(cost, 12), currency=self.currency)


class OpenAIAnswerer:
    """See `Answerer`. `style` is the operator's system prompt, empty for ours; `use` as in `endpoint_client`."""

    def __init__(
        self, endpoint: ChatEndpoint, limits: Limits, style: str = "", *, use: Use | None = Use.ANSWER
    ) -> None:
        self._endpoint = endpoint
        self._use = use
        self._limits = limits
        self._style = style

    async def answer(self, question: Question) -> AsyncGenerator[AnswerEvent, None]:
        if not question.hits:
            yield Abstained(Abstention.NO_RESULTS, answered_by=self._answered_by())
            return
        limits = self._limits
        hits, whose = self._sendable(question)
        read = await read_sections(question, hits, limit=limits.sections, tokens=limits.context_tokens)
        checker = SupportChecker(read.passages, [section.members for section in read.sections])
        chat = answer_prompt(question.text, read.sections, self._style)
        tokens, first, cut, separator = None, None, False, ""
        started = asyncio.get_running_loop().time()
        async with aclosing(
            self._traced(self._endpoint.stream(chat, max_tokens=limits.max_tokens, whose=whose))
        ) as events:
            async for event in events:
                match event:
                    case Text(text):
                        first = first or asyncio.get_running_loop().time() - started
                        for sentence in checker.feed(text):
                            yield Delta(f"{separator}{sentence}")
                            separator = " "
                    case Finished():
                        cut = event.cut
                    case Tokens():
                        tokens = limits.charged(event)
        # The sentence in which a model was stopped may say the opposite of the whole one.
        for sentence in () if cut else checker.finish():
            yield Delta(f"{separator}{sentence}")
            separator = " "
        by = replace(self._answered_by(), first_token=first)
        if not checker.citations:
            yield Abstained(Abstention.NOT_SUPPORTED, tokens, by, dropped=checker.dropped)
            return
        citations, evidence = _with_evidence(checker.citations, read, len(question.hits))
        yield Answered(citations, tokens, markdown=checker.markdown, evidence=evidence, answered_by=by)

    def _sendable(self, question: Question) -> tuple[list[SearchHit], Provenance]:
        """The hits that the endpoint may read, best first, and whose they are."""
        policy = question.egress
        sent = [hit for hit in question.hits if self._use is None or policy.allows(self._use, hit.payload.source)]
        whose = Provenance(policy, frozenset(hit.payload.source for hit in sent or question.hits[:1]))
        if not sent and self._use is not None:
            whose.require(self._use)
        return sent, whose

    async def standalone(self, question: str, earlier: Sequence[Message]) -> StandaloneQuestion:
        """Written by the model; by words when what it writes is no question on this conversation.

        What an assistant said quotes documents of any source: it is left out where one may not go to the endpoint.

        Raises `Unavailable` (`ANSWERER_UNAVAILABLE`), also when it takes longer than its limit.
        """
        if not earlier:
            return StandaloneQuestion(question)
        whose = provenance()
        if self._use is not None and not whose.policy.allows_every_source(self._use):
            earlier = [message for message in earlier if message.role is Role.USER]
        recent = earlier[-self._limits.rewrite_messages :]
        try:
            async with asyncio.timeout(self._limits.rewrite_seconds):
                written, tokens = await self._whole(rewrite_prompt(question, recent), whose)
        except TimeoutError:
            raise unavailable(f"did not rewrite the question within {self._limits.rewrite_seconds:g} seconds") from None
        text = self._usable(written, question, recent)
        if text is None or stems(text) <= stems(question):
            # Small models repeat a question that leans on the one before it.
            return replace(carry_over(question, earlier), tokens=tokens)
        return StandaloneQuestion(text, StandaloneBy.MODEL, tokens)

    async def close(self) -> None:
        await self._endpoint.close()

    def _answered_by(self) -> AnsweredBy:
        return AnsweredBy("openai", self._endpoint.model)

    async def _traced(self, events: AsyncGenerator[ChatEvent, None]) -> AsyncGenerator[ChatEvent, None]:
        """The events within their limits, as one span."""
        known = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai"}
        known |= {"gen_ai.request.model": self._endpoint.model, **openinference.llm(self._endpoint.model)}
        with span(f"chat {self._endpoint.model}", known, CLIENT, current=False) as block:
            async with aclosing(self._timed(events)) as timed:
                async for event in timed:
                    if isinstance(event, Tokens):
                        used = {"gen_ai.usage.input_tokens": event.prompt}
                        used |= {"gen_ai.usage.output_tokens": event.completion}
                        block.set(used | openinference.tokens(event.prompt, event.completion))
                    yield event

    async def _timed(self, events: AsyncGenerator[ChatEvent, None]) -> AsyncGenerator[ChatEvent, None]:
        """The events, the first text within its limit and all within theirs."""
        limits, begun = self._limits, False
        start = asyncio.get_running_loop().time()
        end, first = start + limits.seconds, start + limits.first_token_seconds
        async with aclosing(events):
            while True:
                try:
                    async with asyncio.timeout_at(end if begun else min(end, first)):
                        event = await anext(events, None)
                except TimeoutError:
                    if not begun and first < end:
                        raise unavailable(f"did not begin within {limits.first_token_seconds:g} seconds") from None
                    message = f"the model took longer than {limits.seconds:g} seconds"
                    raise DeadlineExceeded(Reason.DEADLINE, message) from None
                if event is None:
                    return
                begun = begun or isinstance(event, Text)
                yield event

    async def _whole(self, chat: list[dict[str, str]], whose: Provenance) -> tuple[str, Tokens | None]:
        """The whole text of a short chat; empty when it was cut."""
        parts, tokens = [], None
        async with aclosing(self._endpoint.stream(chat, max_tokens=MAX_REWRITE_TOKENS, whose=whose)) as events:
            async for event in events:
                match event:
                    case Text(text):
                        parts.append(text)
                    case Finished(cut=True):
                        parts = []
                    case Tokens():
                        tokens = self._limits.charged(event)
        return "".join(parts), tokens

    def _usable(self, written: str, question: str, earlier: Sequence[Message]) -> str | None:
        """The rewritten question; `None` when it is none, or is about something that nobody mentioned."""
        text = written.strip()
        if label := _LABEL.match(text):
            text = text[label.end() :]
        text = text.strip("\"'“”`").strip()
        if not text or "\n" in text or len(text) > self._limits.question_chars:
            return None
        said = stems("\n".join((question, *(message.text for message in earlier))))
        return text if coverage(question_units(text), said) >= MIN_FROM_CONVERSATION else None


def open_openai_answerer(settings: Settings) -> OpenAIAnswerer:
    """The answerer that the `answer_…` settings describe. Raises `ConfigError`."""
    address, authorization = check_endpoint("RAG_ANSWER", settings.answer_url, settings.answer_api_key)
    headers = {"accept": "text/event-stream", "accept-encoding": "identity", **authorization}
    prices = (settings.answer_price_prompt, settings.answer_price_completion)
    limits = Limits(
        seconds=settings.answer_timeout_seconds,
        first_token_seconds=settings.answer_first_token_seconds,
        rewrite_seconds=settings.answer_rewrite_seconds,
        rewrite_messages=settings.answer_rewrite_messages,
        question_chars=settings.max_query_chars,
        context_tokens=settings.answer_context_tokens,
        sections=settings.answer_sections,
        max_tokens=settings.answer_max_tokens,
        prices=None if prices[0] is None or prices[1] is None else (prices[0], prices[1]),
        currency=settings.answer_currency,
    )
    style = read_style(settings)
    # Where the documents go is decided by the settings, not by a proxy variable or a redirect.
    url = f"{address.rstrip('/')}/"
    use = covered(Use.ANSWER, url, settings)
    timeout = httpx.Timeout(settings.answer_timeout_seconds, connect=CONNECT_SECONDS)
    client = endpoint_client(url, use=use, headers=headers, timeout=timeout)
    return OpenAIAnswerer(ChatEndpoint(client, str(settings.answer_model)), limits, style, use=use)


def _with_evidence(
    citations: Sequence[Citation], read: Sections, hits: int
) -> tuple[tuple[Citation, ...], tuple[SearchHit, ...]]:
    """The citations with ranks that count through the hits and then through the cited neighbours, and those."""
    places: dict[int, int] = {}
    for citation in citations:
        if citation.rank >= hits:
            places.setdefault(citation.rank, hits + len(places))
    moved = tuple(replace(one, rank=places.get(one.rank, one.rank)) for one in citations)
    return moved, tuple(read.passages[rank] for rank in places)
