"""An index that is asked as the query server asks it: the same retrieval, corrected search, neighbours and embedder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rag_core.answering import IndexReader, Question
from rag_core.content.documents import Condition
from rag_core.content.embedding import Vectors
from rag_core.governance.access import EVERYONE
from rag_core.http_client import UNRESTRICTED, EgressPolicy
from rag_core.retrieval.index import SearchRequest, VectorIndex

SHOWN = 10

Embed = Callable[[Sequence[str]], Vectors]


@dataclass(frozen=True, slots=True)
class Corpus:
    """What one tenant of an index may see. `queries` embeds texts, as `egress` allows; `tokens` is the model, which may
    give the states of tokens."""

    index: VectorIndex
    tenant: str
    queries: Embed
    tokens: object
    egress: EgressPolicy = UNRESTRICTED

    def ask(self, text: str, condition: Condition | None = None) -> Question:
        """The question with what was retrieved, as an answerer is given it."""
        request = SearchRequest(self.tenant, (EVERYONE,), SHOWN, text=text, filter=condition)
        return IndexReader(self.index, request, self.queries, self.tokens, egress=self.egress).question()
