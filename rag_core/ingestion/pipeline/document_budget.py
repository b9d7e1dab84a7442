"""The budget of stored documents in a run: new items for which the tenant has no room are left out."""

from __future__ import annotations

from sqlalchemy import Connection

from rag_core.content.sources import listing_store as listing
from rag_core.errors import Reason
from rag_core.governance.usage import store as budgets


class DocumentBudget:
    """Counts what was left out of one run."""

    def __init__(self, connection: Connection, tenant: str) -> None:
        self._connection = connection
        self._tenant = tenant
        self._stored: int | None = None
        self._limit = self.left_out = 0

    def leave_out(self, queue: listing.Queue, added: int) -> listing.Queue:
        """Take the new items out of the queue that are more than there is room for; returns what they were.

        Versions of stored documents stay in it. `queue` is what is still to be read, `added` the new documents that
        this run has stored: a long listing asks again every second, and the tenant's documents are counted once.
        """
        if not queue.new:
            return listing.Queue()
        limit = budgets.document_limit(self._connection, self._tenant)
        if limit is None:
            return listing.Queue()
        if self._stored is None:
            self._stored = budgets.count_documents(self._connection, self._tenant) - added
        self._limit = limit
        excess = queue.new - max(0, limit - self._stored - added)
        if excess <= 0:
            return listing.Queue()
        dropped = listing.drop_new(self._connection, excess)
        self.left_out += dropped.items
        return dropped

    def problem(self) -> tuple[str | None, str | None]:
        """The reason code and message of the run; `None` when nothing was left out."""
        if not self.left_out:
            return None, None
        message = f"the tenant's budget of {self._limit:,} stored documents is used up"
        return Reason.QUOTA_EXCEEDED, f"{self.left_out} new documents were not read: {message}"
