"""Validation of a query, before any service is called."""

from __future__ import annotations

import unicodedata
import uuid
from dataclasses import dataclass

from query_server.handlers.query.surroundings import ContextSize
from rag_core.content.documents import (
    All,
    AnyOf,
    Condition,
    Exists,
    FieldTypes,
    In,
    Not,
    NumberRange,
    TimeRange,
    validate,
)
from rag_core.content.sources import Recency
from rag_core.errors import InvalidInput, Reason
from rag_core.retrieval.index import LegWeights, SearchMode

MAX_TOP_K = 100
MAX_HALF_LIFE_DAYS = 36_500
MAX_FILTER_VALUE_CHARS = 1024

# Letters by category, blank by appearance.
_BLANK_LETTERS = frozenset("\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
_KEPT_CONTROLS = frozenset("\t\n\r")
# Joiners shape words in several scripts and hold emoji together; the other format characters only hide or reorder text.
_KEPT_FORMATS = frozenset("\u200c\u200d")


@dataclass(frozen=True, slots=True)
class Query:
    """A request as it came, not yet checked. `top_k=None` asks for the default."""

    text: str
    top_k: int | None = None
    mode: SearchMode = SearchMode.HYBRID
    filter: Condition | None = None
    page_token: str = ""
    resume_token: str = ""
    max_per_document: int | None = None
    highlight: bool = False
    diversity: float = 0.0
    rerank: bool | None = None
    """`None` lets the server decide."""
    messages: tuple[tuple[str, str], ...] = ()
    """The conversation before it as (role, text), oldest first."""
    weights: LegWeights | None = None
    """`None`: computed from what the legs find."""
    generation: str = ""
    """Empty: the active one."""
    explain: bool = False
    answerer: str = ""
    """Empty: the default one."""
    fallback: bool = True
    """True when quotes may come instead of a model's words."""
    progress: bool = False
    """True when the caller takes events of a model that has not written yet."""
    context: ContextSize | None = None
    freshness: Recency | None = None
    """`None`: as the sources of the documents say."""


def clean_text(text: str, *, limit: int) -> str:
    """The query without characters that are not text.

    Raises `InvalidInput`: `TEXT_INVALID` for a lone surrogate, `QUERY_TOO_LONG`, or `QUERY_EMPTY` when nothing visible
    is left.
    """
    if len(text) > limit:
        raise InvalidInput(Reason.QUERY_TOO_LONG, f"query: {len(text)} > {limit} characters")
    check_text(text, "query")
    cleaned = only_text(text)
    if not cleaned:
        raise InvalidInput(Reason.QUERY_EMPTY, "query: must contain text")
    return cleaned


def only_text(text: str) -> str:
    """The text without characters that are not text; empty when nothing visible is left."""
    cleaned = (text if text.isprintable() else "".join(map(_visible, text))).strip()
    return cleaned if any(_is_text(char) for char in cleaned) else ""


def check_text(text: str, field: str) -> None:
    """Raise `InvalidInput` (`TEXT_INVALID`) when a string cannot be written as UTF-8."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise InvalidInput(Reason.TEXT_INVALID, f"{field}: contains a lone surrogate") from None


def check_storable(text: str, field: str) -> None:
    """Raise `InvalidInput` (`TEXT_INVALID`) for what PostgreSQL cannot hold as text."""
    check_text(text, field)
    if "\0" in text:
        raise InvalidInput(Reason.TEXT_INVALID, f"{field}: contains a NUL character")


def check_top_k(top_k: int | None, *, default: int) -> int:
    """The number of results. Raises `InvalidInput` (`TOP_K_RANGE`)."""
    if top_k is None:
        return default
    if not 1 <= top_k <= MAX_TOP_K:
        raise InvalidInput(Reason.TOP_K_RANGE, f"top_k: {top_k} is not in 1..{MAX_TOP_K}")
    return top_k


def check_per_document(wanted: int | None, *, default: int) -> int | None:
    """The limit of hits of one document, `None` for none. Raises `InvalidInput` (`FIELD_INVALID`)."""
    if wanted is None:
        return default or None
    if not 1 <= wanted <= MAX_TOP_K:
        raise InvalidInput(Reason.FIELD_INVALID, f"max_per_document: {wanted} is not in 1..{MAX_TOP_K}")
    return wanted


def check_diversity(wanted: float) -> float:
    """Raises `InvalidInput` (`FIELD_INVALID`) unless it is in [0, 1]."""
    if not 0 <= wanted <= 1:  # also refuses NaN
        raise InvalidInput(Reason.FIELD_INVALID, f"diversity: {wanted:g} is not in 0..1")
    return wanted


def check_freshness(wanted: Recency | None) -> None:
    """Raise `InvalidInput` (`FIELD_INVALID`) for a half-life or weight out of range."""
    if wanted is not None and not 0 < wanted.half_life_days <= MAX_HALF_LIFE_DAYS:  # also refuses NaN
        message = f"freshness.half_life_days: {wanted.half_life_days:g} is not above 0 and at most {MAX_HALF_LIFE_DAYS}"
        raise InvalidInput(Reason.FIELD_INVALID, message)
    if wanted is not None and not 0 <= wanted.weight <= 1:
        raise InvalidInput(Reason.FIELD_INVALID, f"freshness.weight: {wanted.weight:g} is not in 0..1")


def check_filter(condition: Condition | None, *, metadata_fields: FieldTypes) -> None:
    """Raise `InvalidInput` for a filter the index must not see; see `rag_core.content.documents.validate` and
    `_check_value`."""
    if condition is None:
        return
    validate(condition, metadata_fields=metadata_fields)
    _check_values(condition)


def _check_values(condition: Condition) -> None:
    match condition:
        case All(children) | AnyOf(children):
            for child in children:
                _check_values(child)
        case Not(child):
            _check_values(child)
        case In(field, values):
            for value in values:
                _check_value(field, value)
        case TimeRange(field, gte, lt):
            if gte is None and lt is None:
                raise InvalidInput(Reason.FILTER_TYPE, f"filter: {field} needs a bound")
        case NumberRange() | Exists():
            pass


def _check_value(field: str, value: str) -> None:
    check_text(value, f"filter: {field[:64]}")
    if len(value) > MAX_FILTER_VALUE_CHARS:
        raise InvalidInput(
            Reason.FILTER_TOO_COMPLEX, f"filter: values have at most {MAX_FILTER_VALUE_CHARS} characters"
        )
    if any(unicodedata.category(char) == "Cc" for char in value):
        raise InvalidInput(Reason.ID_CHARS, f"filter: a value of {field[:64]} has control characters")
    if field == "doc_id":
        _check_uuid(value)


def _check_uuid(value: str) -> None:
    try:
        canonical = str(uuid.UUID(value)) == value.lower()
    except ValueError:
        canonical = False
    if not canonical:
        raise InvalidInput(Reason.ID_CHARS, "filter: doc_id takes UUIDs such as 6ba7b810-9dad-51d1-80b4-00c04fd430c8")


def _visible(char: str) -> str:
    if char.isascii() and char.isprintable():
        return char
    category = unicodedata.category(char)
    if category == "Cc":
        return char if char in _KEPT_CONTROLS else " "
    if category == "Cf":
        return char if char in _KEPT_FORMATS else ""
    return char


def _is_text(char: str) -> bool:
    """Letters, numbers, symbols and punctuation count; marks, spaces and joiners alone do not."""
    return unicodedata.category(char)[0] in "LNSP" and char not in _BLANK_LETTERS
