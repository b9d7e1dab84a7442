"""Retrieval: check, search within what the caller may see, order, cut into pages."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

from query_server.auth.policies import OBSERVE, allows
from query_server.handlers.paging import MAX_RESULTS, PagePosition, PageTokens, context_of, invalid_token
from query_server.handlers.query.curations import NO_CURATIONS, AppliedCurations, Curations
from query_server.handlers.query.embedder import PolicyOf
from query_server.handlers.query.generation_search import GenerationSearch
from query_server.handlers.query.models import QueryModels
from query_server.handlers.query.ordering import Ordering
from query_server.handlers.query.plan import Plan, fields_of, narrowed
from query_server.handlers.query.searcher import Searcher
from query_server.handlers.query.suggestions import Suggestions
from query_server.handlers.query.surroundings import (
    ContextSize,
    Surroundings,
    check_context,
    places_around,
    surroundings,
)
from query_server.handlers.query.validation import (
    Query,
    check_diversity,
    check_filter,
    check_freshness,
    check_per_document,
    check_top_k,
    clean_text,
)
from query_server.runtime.gauges import Freshness
from query_server.runtime.traffic import Traffic
from rag_core.answering import Span, TokenMatches, highlights, in_reading_order, query_terms
from rag_core.content.embedding import Vectors
from rag_core.content.sources import Recency
from rag_core.errors import InvalidInput, NotFound, PermissionDenied, RagError, Reason, Unavailable
from rag_core.governance.access import Principal
from rag_core.http_client import EgressPolicy
from rag_core.retrieval.curation import CurationAction
from rag_core.retrieval.index import ChunkRange, SearchHit, SearchRequest, SearchResult, checks
from rag_core.retrieval.search import NO_PREFERENCES, WINDOW, Preferences, SuggestedFilter
from rag_core.settings import Settings


@dataclass(frozen=True, slots=True)
class ResultPage:
    """One page of results. `marks` has the highlights of each hit, or is empty when none were asked for.

    `explained` is the request, when an explanation was asked for.
    """

    result: SearchResult
    next_page_token: str
    as_of: datetime | None
    marks: tuple[list[Span], ...] = ()
    rerank_skipped: Reason | None = None
    explained: SearchRequest | None = None
    surroundings: tuple[Surroundings, ...] = ()
    curations: AppliedCurations = NO_CURATIONS
    suggested: tuple[SuggestedFilter, ...] = ()


class SearchHandler:
    """Finds passages. Tenant and ACL come from the principal and are put on every request to the index."""

    def __init__(
        self,
        settings: Settings,
        searcher: Searcher,
        models: QueryModels,
        *,
        ordering: Ordering,
        tokens: PageTokens,
        freshness: Freshness,
        traffic: Traffic,
        policy: PolicyOf,
        curations: Curations,
        freshness_of: Callable[[str], Mapping[str, Recency]],
        suggestions: Suggestions,
    ) -> None:
        """`freshness_of` is how much newer documents of a tenant are preferred, by source."""
        self._settings = settings
        self._curations = curations
        self._freshness_of = freshness_of
        self._suggestions = suggestions
        self._searcher = searcher
        self._models = models
        self._generations = GenerationSearch(searcher, models)
        self._ordering = ordering
        self._tokens = tokens
        self._freshness = freshness
        self._traffic = traffic
        self._policy = policy
        self._fields = settings.metadata_types

    async def search(self, principal: Principal, query: Query) -> ResultPage:
        """The passages for a query, best first.

        Raises `InvalidInput` before any work, `NotFound` (`SOURCE_NOT_FOUND`) when the filter names only sources that
        are absent or not visible, `Unavailable` (`INDEX_EMPTY`, `INDEX_UNAVAILABLE`).
        """
        plan = self.checked(principal, query, default_cap=self._settings.default_max_per_document)
        context = check_context(query.context)
        plan = await self.curated(principal, plan)
        as_of = self.as_of(principal)  # before the search: what is committed meanwhile may or may not be in it
        end = min(plan.offset + plan.request.limit, MAX_RESULTS)
        try:
            found, _ = await self.retrieve(plan, end if end == MAX_RESULTS else end + 1)
        except NotFound as error:
            if plan.by_token and error.reason is Reason.GENERATION_NOT_FOUND:
                raise invalid_token() from None  # it was retired between two pages
            raise
        skipped = self.rerank_skipped(plan, found.hits)
        if skipped is Reason.RERANKER_UNAVAILABLE and plan.offset:  # the pages before are in another order
            raise Unavailable(skipped, "the reranker that ordered the pages before does not answer; retry later")
        token = ""
        if len(found.hits) > end:
            token = self._tokens.issue(
                PagePosition(end, found.generation), plan.unranked_context if skipped else plan.context
            )
        result = SearchResult(found.generation, found.hits[plan.offset : end])
        self._traffic.record_found(principal.tenant, result.hits)
        marks = await self._marks(plan, result) if query.highlight else ()
        around = await self._surroundings(plan, result, context) if context else ()
        explained = plan.request if plan.request.explain else None
        suggested = () if plan.offset else await self.suggested(plan.pinned_to(found.generation))
        return ResultPage(result, token, as_of, marks, skipped, explained, around, plan.curations, suggested)

    async def search_in(self, generation: str, principal: Principal, query: Query) -> ResultPage:
        """The best passages of a generation that readers need not be on, without a further page.

        Raises what `search` raises, and `NotFound` (`GENERATION_NOT_FOUND`).
        """
        asked = replace(query, page_token="", highlight=False, generation=generation)
        page = await self.search(principal, asked)
        return replace(page, next_page_token="", as_of=None)

    def as_of(self, principal: Principal) -> datetime | None:
        """Up to when the index is known to hold what was committed for the caller's tenant."""
        return self._freshness.as_of(principal.tenant)

    def checked(self, principal: Principal, query: Query, *, default_cap: int = 0) -> Plan:
        """The request to the index, not yet with a vector.

        Raises `InvalidInput`, and `PermissionDenied` (`SCOPE_MISSING`) for a generation that the caller may not choose.
        """
        text = clean_text(query.text, limit=self._settings.max_query_chars)
        limit = check_top_k(query.top_k, default=self._settings.default_top_k)
        check_filter(query.filter, metadata_fields=self._fields)
        diversity = check_diversity(query.diversity)
        check_freshness(query.freshness)
        rerank = self._ordering.reranks(query.rerank)
        checks.check_weights(query.weights, query.mode)
        _check_generation(principal, query.generation)
        request = SearchRequest(
            tenant=principal.tenant,
            acl=principal.acl_entries,
            limit=limit,
            mode=query.mode,
            text=text,
            filter=query.filter,
            per_document=check_per_document(query.max_per_document, default=default_cap),
            generation=query.generation or None,
            with_vectors=diversity > 0,
            weights=query.weights,
            explain=query.explain,
        )
        preferences = Preferences((), query.freshness, self._freshness_of(principal.tenant))
        context_with = partial(context_of, request, diversity=diversity, freshness=query.freshness)
        context, unranked = context_with(rerank=rerank), context_with(rerank=False)
        named = bool(query.generation)
        plan = Plan(request, 0, rerank, diversity, context, unranked, named=named, preferences=preferences)
        if not query.page_token:
            return plan
        try:
            position = self._tokens.read(query.page_token, context)
        except InvalidInput:
            if not rerank:
                raise
            plan = replace(plan, rerank=False, context=unranked)
            position = self._tokens.read(query.page_token, unranked)
        return replace(plan, offset=position.offset).pinned_to(position.generation)

    async def curated(self, principal: Principal, plan: Plan) -> Plan:
        """The plan with what editors decided for its text."""
        applied = await self._curations.find(principal, plan.request.text)
        return plan.curated(applied) if applied.all else plan

    async def suggested(self, plan: Plan) -> tuple[SuggestedFilter, ...]:
        """Return the filters that the text of a plan names and that leave the caller something to see."""
        own = fields_of(plan.request.filter)
        named = await self._suggestions.find(plan.request.tenant, plan.request.text)
        found = []
        for one in named:
            if one.field in own:
                continue
            with suppress(RagError):  # a suggestion is no reason to fail
                within = replace(plan.request, filter=narrowed(plan.request.filter, one.condition), limit=1)
                seen, _ = await self._ordered(
                    replace(plan, request=within, preferences=NO_PREFERENCES, rerank=False), 1
                )
                found += [one] if seen.hits else []
        return tuple(found)

    async def retrieve(self, plan: Plan, limit: int) -> tuple[SearchResult, Vectors | None]:
        """The first `limit` hits of a plan in their final order, and the query's vector (a lexical search has none).

        Pinned documents come first. Raises `NotFound` (`GENERATION_NOT_FOUND`) when the generation that the plan names
        was retired.
        """
        found, vector = await self._ordered(plan, limit)
        pins = plan.curations.documents(CurationAction.PIN)
        if not pins:
            return found, vector
        try:
            first, _ = await self._ordered(plan.of_documents(pins).pinned_to(found.generation), len(pins))
        except NotFound:  # the generation was retired meanwhile
            return found, vector
        best = sorted(first.hits, key=lambda hit: pins.index(str(hit.payload.doc_id)))
        known = {hit.chunk_id for hit in best}
        hits = (*best, *(hit for hit in found.hits if hit.chunk_id not in known))
        return SearchResult(found.generation, hits[:limit]), vector

    async def _ordered(self, plan: Plan, limit: int) -> tuple[SearchResult, Vectors | None]:
        wide = max(limit, self._ordering.window) if plan.reorders else limit
        wide = max(wide, WINDOW) if plan.preferences else wide
        request = replace(plan.request, limit=wide)
        found, vector = await self._generations.search(request)
        if not plan.reorders:
            return found, vector
        hits = await self._ordering.order(
            request.text,
            found.hits,
            rerank=plan.rerank,
            diversity=plan.diversity,
            egress=self.egress(request.tenant),
            preferences=plan.preferences,
        )
        return SearchResult(found.generation, hits[:limit]), vector

    def egress(self, tenant: str) -> EgressPolicy:
        """Return where the text of a tenant may go."""
        return self._policy(tenant)

    def rerank_skipped(self, plan: Plan, hits: Sequence[SearchHit]) -> Reason | None:
        """Return why hits in their final order, from the first, are not reranked although they were to be."""
        if not plan.rerank or not hits or any(hit.reranked is not None for hit in hits[: self._ordering.window]):
            return None
        if not self._ordering.allowed(hits[: self._ordering.window], self.egress(plan.request.tenant)):
            return Reason.EGRESS_FORBIDDEN
        return Reason.RERANKER_UNAVAILABLE

    async def around(self, plan: Plan, places: Sequence[ChunkRange]) -> tuple[SearchHit, ...]:
        """The chunks at places, within what the caller of a plan may see, in reading order."""
        return in_reading_order(await self._searcher.around(plan.request, places))

    async def compares_tokens(self, generation: str) -> bool:
        """Return whether the model of a generation compares token by token. Raises `Unavailable` as a search does."""
        return (await self._models.embedder_of(generation)).compares_tokens

    async def compare(self, generation: str, tenant: str, question: str, passages: Sequence[str]) -> list[TokenMatches]:
        """Compare a question with passages by the model of a generation. Raises `Unavailable` as a search does."""
        embedder = await self._models.embedder_of(generation)
        return await embedder.compare(tenant, question, passages)

    async def _surroundings(self, plan: Plan, result: SearchResult, options: ContextSize) -> tuple[Surroundings, ...]:
        """The text around hits, within what the caller may see; none of a generation that was retired meanwhile."""
        if not result.hits:
            return ()
        try:
            around = await self.around(plan.pinned_to(result.generation), places_around(result.hits, options))
        except NotFound:
            return ()
        return surroundings(result.hits, around, options)

    async def _marks(self, plan: Plan, result: SearchResult) -> tuple[list[Span], ...]:
        texts = [hit.payload.text for hit in result.hits]

        def mark() -> tuple[list[Span], ...]:
            terms = query_terms(plan.request.text)
            return tuple(highlights(terms, text) for text in texts)

        return await asyncio.to_thread(mark)


def _check_generation(principal: Principal, name: str) -> None:
    if not name:
        return
    checks.check_name(name, "generation")
    if not allows(principal.scopes, OBSERVE):
        raise PermissionDenied(Reason.SCOPE_MISSING, f"generation: choosing one needs {OBSERVE}; leave it out")
