from . import (
    deletion_store as deletion_store,
    listing_store as listing_store,
    listings as listings,
    operation_store as operation_store,
    problem_store as problem_store,
    removal_store as removal_store,
    shared_listing_store as shared_listing_store,
    store as store,
)
from .base import (
    Changes as Changes,
    Closeable as Closeable,
    Connector as Connector,
    FetchedItem as FetchedItem,
    Incremental as Incremental,
    Listing as Listing,
    Problem as Problem,
    Recency as Recency,
    Removed as Removed,
    Scope as Scope,
    Shard as Shard,
    Source as Source,
    SourceItem as SourceItem,
    SourceMemory as SourceMemory,
    TransientMemory as TransientMemory,
    UntouchedMemory as UntouchedMemory,
)
from .listing_store import FetchTask as FetchTask
from .listings import (
    ListingResult as ListingResult,
    close_shared as close_shared,
    load_listing as load_listing,
    load_whole_listing as load_whole_listing,
)
from .operation_store import Action as Action, Operation as Operation
from .problem_store import SourceProblem as SourceProblem
from .removal_store import SourceContents as SourceContents
from .secrets import (
    MAX_SECRET_BYTES as MAX_SECRET_BYTES,
    SecretRef as SecretRef,
    full_name as full_name,
    remove_secret as remove_secret,
    reseal_secrets as reseal_secrets,
    sealing_key_path as sealing_key_path,
    store_secret as store_secret,
    stored_names as stored_names,
)
from .store import StoredMemory as StoredMemory
