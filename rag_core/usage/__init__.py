"""Usage by tenant and API key, and the budgets that limit it."""

from rag_core.usage import store
from rag_core.usage.base import Budget, Owner, Usage, key_of, renewal, require_budget
from rag_core.usage.meter import Meter
from rag_core.usage.room import DocumentRoom
from rag_core.usage.store import Day
