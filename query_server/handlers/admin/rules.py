"""Validation of an operator's requests, before the database is touched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from query_server.auth.policies import ADMIN, PLATFORM_READ, allows
from query_server.handlers.query.validation import check_storable
from rag_core.errors import InvalidInput, PermissionDenied, Reason
from rag_core.governance.access import Principal

if TYPE_CHECKING:
    from rag_core.answering.evaluation import Judgement

MAX_IDS = 500
MAX_FIELD_CHARS = 1024
MAX_QUESTION_CHARS = 8192
MAX_ANSWER_CHARS = 100_000
MAX_CITATIONS = 100
MAX_DETAILS = 16
MAX_GROUPS = 200
ACTIONS = frozenset(
    {"dagster.launch", "dagster.terminate", "dagster.retry", "dagster.pause", "dagster.resume", "dagster.check"}
)


def check_text_field(name: str, value: str, *, limit: int = MAX_FIELD_CHARS, required: bool = False) -> None:
    """Raise `InvalidInput`: `TEXT_INVALID` for what is no text, `FIELD_INVALID` when too long or missing."""
    check_storable(value, name)
    if len(value) > limit:
        raise InvalidInput(Reason.FIELD_INVALID, f"{name}: {len(value)} > {limit} characters")
    if required and not value.strip():
        raise InvalidInput(Reason.FIELD_INVALID, f"{name}: must not be empty")


def check_groups(groups: Sequence[str]) -> None:
    """Raise `InvalidInput` for too many groups of a person, and as `check_text_field`."""
    if len(groups) > MAX_GROUPS:
        raise InvalidInput(Reason.FIELD_INVALID, f"groups: at most {MAX_GROUPS}")
    for group in groups:
        check_text_field("groups", group, required=True)


def tenant_of(principal: Principal, tenant: str, scope: str = PLATFORM_READ) -> str:
    """Return the tenant that a request is about; empty: the caller's own.

    Raises `PermissionDenied` (`SCOPE_MISSING`) for another one without the scope.
    """
    check_text_field("tenant", tenant)
    if tenant and tenant != principal.tenant and not allows(principal.scopes, scope):
        raise PermissionDenied(Reason.SCOPE_MISSING, f"tenant: another tenant than yours needs {scope}")
    return tenant or principal.tenant


def editable_acl(principal: Principal) -> Sequence[str] | None:
    """Return the entries of which a record must admit one to be edited; `None`: an admin edits all."""
    return None if ADMIN in principal.scopes else principal.acl_entries


def check_ids(ids: Sequence[int]) -> None:
    """Raise `InvalidInput` (`FIELD_INVALID`) unless there are 1 to 500 distinct entries."""
    if not 1 <= len(ids) <= MAX_IDS or len(set(ids)) != len(ids):
        raise InvalidInput(Reason.FIELD_INVALID, f"ids: give 1 to {MAX_IDS} different entries")


def check_limit(limit: int | None, *, default: int, most: int, field: str = "limit") -> int:
    """The number of rows. Raises `InvalidInput` (`FIELD_INVALID`)."""
    if limit is None:
        return default
    if not 1 <= limit <= most:
        raise InvalidInput(Reason.FIELD_INVALID, f"{field}: must be 1 to {most}")
    return limit


def check_action(action: str) -> None:
    """Raise `InvalidInput` (`FIELD_INVALID`) for an action that is not done elsewhere."""
    if action not in ACTIONS:
        raise InvalidInput(Reason.FIELD_INVALID, f"action: must be one of {', '.join(sorted(ACTIONS))}")


def check_details(details: Mapping[str, str]) -> None:
    """Raise `InvalidInput` for facts that are too many or too long, or that name a field of the record itself."""
    if len(details) > MAX_DETAILS:
        raise InvalidInput(Reason.FIELD_INVALID, f"details: at most {MAX_DETAILS} entries")
    for name, value in details.items():
        if name in {"tenant", "reason"}:
            raise InvalidInput(Reason.RESERVED_FIELD, f"details: {name} is not yours to set")
        check_text_field("details", name, limit=64, required=True)
        check_text_field("details", value)


def check_judgement(judgement: Judgement) -> None:
    """Raise `InvalidInput` for a rating without a question or with more text than is stored."""
    check_text_field("question", judgement.question, limit=MAX_QUESTION_CHARS, required=True)
    check_text_field("answer", judgement.answer, limit=MAX_ANSWER_CHARS)
    check_text_field("comment", judgement.comment, limit=MAX_QUESTION_CHARS)
    check_text_field("generation", judgement.generation)
    if len(judgement.citations) > MAX_CITATIONS:
        raise InvalidInput(Reason.FIELD_INVALID, f"citations: at most {MAX_CITATIONS}")
