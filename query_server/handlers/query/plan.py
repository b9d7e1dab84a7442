"""A checked search: the request to the index, and what is done to its hits."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace

from query_server.handlers.query.curations import NO_CURATIONS, AppliedCurations
from rag_core.answering import in_documents
from rag_core.content.documents import All, AnyOf, Condition, In, Not
from rag_core.retrieval.curation import CurationAction
from rag_core.retrieval.index import SearchRequest
from rag_core.retrieval.search import NO_PREFERENCES, Preferences


@dataclass(frozen=True, slots=True)
class Plan:
    """A checked request. `request` has no vector yet; its limit is the size of one page, which starts at `offset`."""

    request: SearchRequest
    offset: int
    rerank: bool
    diversity: float
    context: bytes
    unranked_context: bytes
    """Context of further pages when the reranker failed for the first: they keep the order of retrieval."""
    named: bool = False
    """True when the caller named the generation, not a token."""
    curations: AppliedCurations = NO_CURATIONS
    preferences: Preferences = NO_PREFERENCES

    @property
    def reorders(self) -> bool:
        return self.rerank or self.diversity > 0 or bool(self.preferences)

    @property
    def pinned(self) -> bool:
        """True when it names a generation instead of using the active one."""
        return self.request.generation is not None

    @property
    def by_token(self) -> bool:
        """True when a token names it: the generation was there when the token was made."""
        return self.pinned and not self.named

    def asking(self, text: str, locators: Sequence[str] = ()) -> Plan:
        """The same request with another text, of documents with one of these locators when any are named."""
        within = in_documents(self.request.filter, locators)
        return replace(self, request=replace(self.request, text=text, filter=within))

    def curated(self, applied: AppliedCurations) -> Plan:
        """The same request with what editors decided for its text; hidden documents are not searched."""
        hidden = applied.documents(CurationAction.HIDE)
        request = self.request
        if hidden:
            request = replace(request, filter=narrowed(request.filter, Not(In("doc_id", hidden))))
        boosted = frozenset(map(uuid.UUID, applied.documents(CurationAction.BOOST)))
        preferences = replace(self.preferences, boosted=boosted)
        return replace(self, request=request, curations=applied, preferences=preferences)

    def of_documents(self, doc_ids: tuple[str, ...]) -> Plan:
        """The best passage of each of these documents, by the same request."""
        within = narrowed(self.request.filter, In("doc_id", doc_ids))
        request = replace(self.request, filter=within, per_document=1, limit=len(doc_ids))
        return replace(self, request=request, preferences=NO_PREFERENCES, rerank=False, diversity=0.0)

    def pinned_to(self, generation: str) -> Plan:
        """The same request to one generation."""
        return replace(self, request=replace(self.request, generation=generation))


def narrowed(condition: Condition | None, other: Condition) -> Condition:
    """Return a filter that both conditions must meet."""
    return other if condition is None else All((condition, other))


def fields_of(condition: Condition | None) -> set[str]:
    """The fields that a filter names."""
    match condition:
        case None:
            return set()
        case All(children) | AnyOf(children):
            return {field for child in children for field in fields_of(child)}
        case Not(child):
            return fields_of(child)
        case _:
            return {condition.field}
