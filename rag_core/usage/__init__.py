"""Usage by tenant and API key, and the budgets that limit it."""

from rag_core.usage import store
from rag_core.usage.base import DAY_SECONDS, Budget, Owner, Usage, key_of, out_of_budget, renewal
from rag_core.usage.meter import Meter

__all__ = ["DAY_SECONDS", "Budget", "Meter", "Owner", "Usage", "key_of", "out_of_budget", "renewal", "store"]
