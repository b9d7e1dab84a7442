"""People and groups that an identity provider pushes with the key of a directory."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, TypeVar
from weakref import WeakValueDictionary

from query_server.handlers.admin.rules import check_text_field
from query_server.handlers.transactions import transact
from query_server.runtime.dependencies import LazyStore
from rag_core.errors import InvalidInput, Reason
from rag_core.governance import directories
from rag_core.governance.access import Principal

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from rag_core.governance.directories import DirectoryResource, MemberChange, PushedEntry, ScimDirectory

T = TypeVar("T")
MAX_CHARS: Final = 256
MAX_EMAILS: Final = 20
MAX_ATTRIBUTES: Final = 65_536


class DirectoriesHandler:
    """Works on the directory of the caller's key. Raises `NotFound` (`DIRECTORY_NOT_FOUND`) for other credentials, and
    `Unavailable` (`DATABASE_UNAVAILABLE`) while the database is down."""

    def __init__(self, store: LazyStore) -> None:
        self._store = store
        self._turns = WeakValueDictionary[str, asyncio.Lock]()

    async def page(
        self, principal: Principal, kind: str, by: tuple[str, str], *, offset: int, limit: int, members: bool
    ) -> tuple[int, list[DirectoryResource]]:
        """The number of entries, and a page of them. Raises `InvalidInput` (`FIELD_INVALID`, `TEXT_INVALID`)."""
        check_text_field("value", by[1])
        if not 0 <= limit <= directories.MAX_PAGE or offset < 0:
            raise InvalidInput(
                Reason.FIELD_INVALID, f"limit: must be 0 to {directories.MAX_PAGE}, and offset not negative"
            )
        return await self._work(
            principal,
            lambda db, at: directories.list_resources(db, at, kind, by, offset=offset, limit=limit, members=members),
        )

    async def get(self, principal: Principal, kind: str, entry_id: str, *, members: bool) -> DirectoryResource:
        """An entry. Raises `NotFound` (`DIRECTORY_ENTRY_NOT_FOUND`)."""
        return await self._work(
            principal, lambda db, at: directories.get_resource(db, at, kind, entry_id, members=members)
        )

    async def save(
        self,
        principal: Principal,
        kind: str,
        entry_id: str,
        pushed: PushedEntry | None,
        members: MemberChange,
        expected: int,
    ) -> DirectoryResource:
        """Create or change an entry. Raises as `save_resource`, and `InvalidInput` (`TEXT_INVALID`)."""
        if pushed is not None:
            _check(pushed)
        elif not entry_id:
            raise InvalidInput(Reason.FIELD_INVALID, "entry: a new one needs attributes")
        if kind != "group" and (members.add or members.remove or members.replace):
            raise InvalidInput(Reason.FIELD_INVALID, "add_members: a person has none")
        if len(members.add) + len(members.remove) > directories.MAX_MEMBERS:
            raise InvalidInput(Reason.FIELD_INVALID, f"add_members: at most {directories.MAX_MEMBERS} in one change")
        return await self._change(
            principal,
            lambda db, at: directories.save_resource(
                db, at, kind, entry_id, pushed, members, expected=expected, actor=principal.actor
            ),
        )

    async def delete(self, principal: Principal, kind: str, entry_id: str) -> None:
        """Delete an entry. Raises `NotFound` (`DIRECTORY_ENTRY_NOT_FOUND`)."""
        await self._change(
            principal, lambda db, at: directories.delete_resource(db, at, kind, entry_id, actor=principal.actor)
        )

    async def _change(self, principal: Principal, work: Callable[[Connection, ScimDirectory], T]) -> T:
        # One change of a tenant at a time: those that wait for the directory hold no thread of the database.
        async with self._turns.setdefault(principal.tenant, asyncio.Lock()):
            return await self._work(principal, work, lock=True)

    async def _work(
        self, principal: Principal, work: Callable[[Connection, ScimDirectory], T], *, lock: bool = False
    ) -> T:
        def run(connection: Connection) -> T:
            key_id = principal.subject.removeprefix("key:")
            return work(connection, directories.scim_directory(connection, principal.tenant, key_id, lock=lock))

        return await transact(self._store, run)


def _check(pushed: PushedEntry) -> None:
    check_text_field("entry.name", pushed.name, limit=MAX_CHARS, required=True)
    check_text_field("entry.external_id", pushed.external_id, limit=MAX_CHARS)
    if len(pushed.emails) > MAX_EMAILS:
        raise InvalidInput(Reason.FIELD_INVALID, f"entry.emails: at most {MAX_EMAILS}")
    for one in pushed.emails:
        check_text_field("entry.emails", one, limit=MAX_CHARS, required=True)
    check_text_field("entry.attributes", pushed.attributes, limit=MAX_ATTRIBUTES)
    try:
        read = json.loads(pushed.attributes)
        plain = json.dumps(read, ensure_ascii=False)
    except (ValueError, RecursionError):
        raise InvalidInput(Reason.FIELD_INVALID, "entry.attributes: must be a JSON object") from None
    check_text_field("entry.attributes", plain, limit=MAX_ATTRIBUTES)
    if not isinstance(read, dict) or "\\u0000" in plain:
        raise InvalidInput(Reason.FIELD_INVALID, "entry.attributes: must be a JSON object without NUL characters")
