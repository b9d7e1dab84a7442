from . import export as export, place_store as place_store, store as store
from .base import Directory as Directory, Tenant as Tenant, TenantState as TenantState
