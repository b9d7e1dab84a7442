"""Sources: connector protocol, listings, cursors, deletion detection, item memory and secret references."""

from rag_core.sources import (
    deletion_store,
    listing_store,
    listings,
    operation_store,
    problem_store,
    removal_store,
    shared_listing_store,
    store,
)
from rag_core.sources.base import (
    Changes,
    Closeable,
    Connector,
    FetchedItem,
    Incremental,
    Listing,
    Problem,
    Removed,
    Scope,
    Shard,
    Source,
    SourceItem,
    SourceMemory,
    TransientMemory,
    UntouchedMemory,
)
from rag_core.sources.listing_store import FetchTask
from rag_core.sources.listings import ListingResult, close_shared, load_listing, load_whole_listing
from rag_core.sources.operation_store import Action, Operation
from rag_core.sources.problem_store import SourceProblem
from rag_core.sources.removal_store import SourceContents
from rag_core.sources.secrets import SecretRef
from rag_core.sources.store import StoredMemory
