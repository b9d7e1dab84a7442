"""Usage and budgets as values: what is counted, for whom, and when a budget is used up."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from rag_core.errors import InvalidInput, QuotaExceeded, Reason
from rag_core.governance.access import Principal, require_identity_names

MAX_BUDGET = 10**15
_KEY = "key:"
_MAX_KEY_ID = 64


@dataclass(frozen=True, slots=True, order=True)
class Owner:
    """Holder of usage or of a budget: an API key, or with an empty `key_id` the whole tenant."""

    tenant: str
    key_id: str = ""


@dataclass(frozen=True, slots=True)
class Usage:
    """Usage in a day (UTC): calls that were answered, or failed by the caller's doing; calls refused by a budget;
    tokens that a model read and wrote."""

    calls: int = 0
    refused: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0

    @property
    def model_tokens(self) -> int:
        """Read and written together."""
        return self.prompt_tokens + self.completion_tokens

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.calls + other.calls,
            self.refused + other.refused,
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
        )


@dataclass(frozen=True, slots=True)
class Budget:
    """Limits: calls and model tokens in a day (UTC), and of a tenant stored documents. `None`: no limit."""

    calls_per_day: int | None = None
    model_tokens_per_day: int | None = None
    documents: int | None = None

    @property
    def empty(self) -> bool:
        """True when it limits nothing."""
        return self == Budget()


def require_budget(owner: Owner, budget: Budget) -> None:
    """Raise `InvalidInput` (`FIELD_INVALID`) for a budget that cannot be, or of nobody."""
    require_identity_names(owner.tenant, key_id=[owner.key_id] if owner.key_id else [])
    if len(owner.key_id) > _MAX_KEY_ID:
        raise InvalidInput(Reason.FIELD_INVALID, f"key_id: at most {_MAX_KEY_ID} characters")
    if owner.key_id and budget.documents is not None:
        raise InvalidInput(Reason.FIELD_INVALID, "documents: belong to a tenant, not to one of its keys")
    for name in ("calls_per_day", "model_tokens_per_day", "documents"):
        value = getattr(budget, name)
        if value is not None and not 0 <= value <= MAX_BUDGET:
            raise InvalidInput(Reason.FIELD_INVALID, f"{name}: must be 0 to {MAX_BUDGET}")


def key_of(principal: Principal) -> str:
    """The id of the API key that a caller came with; empty for a token."""
    return principal.subject.removeprefix(_KEY) if principal.subject.startswith(_KEY) else ""


def renewal(now: datetime) -> datetime:
    """Return when the budgets of a day are renewed: the next midnight in UTC."""
    return (now.astimezone(UTC) + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)


_WORDS = {"calls": "calls a day", "model_tokens": "model tokens a day", "documents": "stored documents"}


def out_of_budget(what: str, limit: int, used: int, owner: Owner, now: datetime) -> QuotaExceeded:
    """The error for a budget of `calls`, `model_tokens` or `documents` that is used up."""
    whose = "this API key's" if owner.key_id else "the tenant's"
    renews = None if what == "documents" else renewal(now)
    until = f"it renews at {renews:%Y-%m-%dT%H:%M:%SZ}" if renews else "delete documents, or ask for a larger one"
    metadata = {"budget": what, "limit": str(limit), "used": str(used), "scope": "key" if owner.key_id else "tenant"}
    if renews is not None:
        metadata["renews_at"] = f"{renews:%Y-%m-%dT%H:%M:%SZ}"
        metadata["retry_seconds"] = str(max(1, round((renews - now).total_seconds())))
    message = f"{whose} budget of {limit:,} {_WORDS[what]} is used up; {until}"
    return QuotaExceeded(Reason.QUOTA_EXCEEDED, message, **metadata)
