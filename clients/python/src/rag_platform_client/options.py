"""Options of the methods."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypedDict

from rag_platform_client import types


class SearchOptions(TypedDict, total=False):
    """See `query.v2.SearchRequest`."""

    top_k: int
    mode: str
    filter: types.Filter
    page_token: str
    max_per_document: int
    highlight: bool
    diversity: float
    rerank: bool
    weights: types.LegWeights
    generation: str
    explain: bool


class AnswerOptions(TypedDict, total=False):
    """See `query.v2.AnswerRequest`."""

    top_k: int
    mode: str
    filter: types.Filter
    max_per_document: int
    rerank: bool
    messages: Sequence[types.Message]
    weights: types.LegWeights
    generation: str
    answerer: str
    no_fallback: bool


class DocumentOptions(TypedDict, total=False):
    """See `documents.v1.PutRequest`: `locator` names a document, `doc_id` one to replace."""

    doc_id: str
    source: str
    locator: str
    media_type: str
    title: str
    acl: Sequence[str]
    metadata: Mapping[str, str]
    source_version: str
    idempotency_key: str
    event_time: str
