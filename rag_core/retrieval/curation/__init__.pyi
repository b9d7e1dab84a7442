from . import store as store
from .base import (
    MAX_PER_TENANT as MAX_PER_TENANT,
    Applied as Applied,
    Curation as Curation,
    CurationAction as CurationAction,
    CurationDraft as CurationDraft,
    PhrasedCurations as PhrasedCurations,
    check_draft as check_draft,
)
