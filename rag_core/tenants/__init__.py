"""Tenants: their state (active, suspended, erased), and the endpoints that their text may go to."""

from rag_core.tenants import export, place_store, store
from rag_core.tenants.base import Directory, Tenant, TenantState
