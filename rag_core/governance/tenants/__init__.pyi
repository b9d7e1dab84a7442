from . import export as export, place_store as place_store, store as store
from .base import CANARY_TENANT as CANARY_TENANT, Directory as Directory, Tenant as Tenant, TenantState as TenantState
