"""The first account of the console."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from ragctl.tokens import DEFAULT_TENANT

if TYPE_CHECKING:
    from rag_core.settings import Settings

ACTOR = f"{DEFAULT_TENANT}/rag-up"


def prepare_accounts(settings: Settings) -> str | None:
    """Make the account `admin` when there is none; returns its password."""
    from rag_core.database import open_store
    from rag_core.governance.access import create_first_account

    with closing(open_store(settings)) as store, store.engine.begin() as connection:
        return create_first_account(connection, tenant=DEFAULT_TENANT, actor=ACTOR)
