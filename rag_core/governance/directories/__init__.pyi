from .base import (
    DIRECTORY_NAME as DIRECTORY_NAME,
    MAX_REACHED as MAX_REACHED,
    DirectoryEntry as DirectoryEntry,
    DirectoryStatus as DirectoryStatus,
    GroupMembership as GroupMembership,
    Resolved as Resolved,
    SyncResult as SyncResult,
    normal_name as normal_name,
    principals as principals,
)
from .store import (
    list_directories as list_directories,
    purge_refused as purge_refused,
    remove_directory as remove_directory,
    resolve as resolve,
    revisions as revisions,
    sync as sync,
    token_entries as token_entries,
)
