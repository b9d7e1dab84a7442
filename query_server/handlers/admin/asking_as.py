"""Searches as another caller would do them: to see what a person finds, and what their permissions hide from them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from query_server.auth.directories import Directories
from query_server.auth.policies import ADMIN, OBSERVE
from query_server.handlers.admin.rules import check_groups, check_text_field
from query_server.handlers.query.search import ResultPage, SearchHandler
from query_server.handlers.query.validation import Query
from query_server.handlers.transactions import transact
from query_server.runtime.dependencies import LazyStore
from rag_core.governance import audit
from rag_core.governance.access import Principal, admits
from rag_core.retrieval.index import SearchHit

if TYPE_CHECKING:
    from sqlalchemy import Connection


@dataclass(frozen=True, slots=True)
class Person:
    """The person that a search is made for. Without a subject: nobody in particular, so only what groups and everyone
    may see."""

    tenant: str
    subject: str = ""
    groups: tuple[str, ...] = ()


class AskingAsHandler:
    """The one place where tenant and ACL of a search are not those of the token: its callers run the platform.

    Their scope opens no documents. So of what the person finds, they get text only where they may read it themselves.
    """

    def __init__(self, store: LazyStore, search: SearchHandler, directories: Directories) -> None:
        self._store, self._search, self._directories = store, search, directories

    async def search(
        self, principal: Principal, person: Person, why: str, query: Query
    ) -> tuple[ResultPage, frozenset[str]]:
        """Return what the person finds, and the ids of the chunks whose text the caller may not read.

        It is in the audit log of the person's tenant before anything is searched. Raises what a search raises,
        `InvalidInput` (`FIELD_INVALID`), and `Unavailable` (`DATABASE_UNAVAILABLE`).
        """
        _check(person, why)
        asked = replace(query, page_token="")
        asking = Principal(person.subject, person.tenant, person.groups, frozenset({OBSERVE}))
        self._search.checked(asking, asked)  # what is refused was not asked
        await self._record(principal, person, why)
        page = await self._search.search(await self._directories.resolve(asking), asked)
        hidden = frozenset(str(hit.chunk_id) for hit in page.result.hits if not _may_read(principal, hit))
        return replace(page, next_page_token=""), hidden

    async def _record(self, principal: Principal, person: Person, why: str) -> None:
        def write(connection: Connection) -> int:
            return audit.audit_store.record(
                connection,
                actor=principal.actor,
                action="search.as",
                target=f"{person.tenant}/{person.subject}",
                details={"tenant": person.tenant, "groups": list(person.groups), "reason": why},
            )

        await transact(self._store, write)


def _check(person: Person, why: str) -> None:
    check_text_field("tenant", person.tenant, required=True)
    check_text_field("subject", person.subject)
    check_text_field("reason", why, required=True)
    check_groups(person.groups)


def _may_read(principal: Principal, hit: SearchHit) -> bool:
    payload = hit.payload
    if payload.tenant != principal.tenant:
        return False
    return ADMIN in principal.scopes or admits(payload.acl, principal.acl_entries)
