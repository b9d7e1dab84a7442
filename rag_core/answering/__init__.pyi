from .base import (
    CURATED as CURATED,
    Abstained as Abstained,
    Abstention as Abstention,
    Answered as Answered,
    AnsweredBy as AnsweredBy,
    Answerer as Answerer,
    AnswerEvent as AnswerEvent,
    Delta as Delta,
    Excerpt as Excerpt,
    Message as Message,
    Outcome as Outcome,
    Question as Question,
    Role as Role,
    StandaloneBy as StandaloneBy,
    StandaloneQuestion as StandaloneQuestion,
    AnswerSpan as AnswerSpan,
    Tokens as Tokens,
    Writing as Writing,
)
from .citations import Citation as Citation, check_citations as check_citations, check_evidence as check_evidence
from .conversation import carry_over as carry_over, last_answer as last_answer
from .evidence import Span as Span, highlights as highlights, query_terms as query_terms
from .fingerprint import answerer_fingerprint as answerer_fingerprint
from .late_interaction import Compare as Compare, TokenMatches as TokenMatches, match_tokens as match_tokens
from .opening import open_answerer as open_answerer
from .pages import PageKind as PageKind, page_kind as page_kind
from .retrieval import (
    MIN_RETRIEVED as MIN_RETRIEVED,
    IndexReader as IndexReader,
    in_documents as in_documents,
    in_reading_order as in_reading_order,
)
