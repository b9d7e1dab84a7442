"""Explain why a person finds a document or not: the scope of a search of theirs, traced on the document's row.

Whether they find it is not computed here: the index is asked, through the filter that every search passes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING
from uuid import UUID

from query_server.auth.directories import resolved
from query_server.auth.policies import READ, allows
from query_server.auth.revocations import PendingRevocationCache
from query_server.handlers.admin.rules import check_groups, check_text_field
from query_server.handlers.documents.rules import check_doc_id
from query_server.handlers.query.searcher import Searcher
from query_server.handlers.transactions import transact
from query_server.runtime.dependencies import LazyStore
from rag_core.content import documents
from rag_core.errors import InvalidInput, NotFound, Reason
from rag_core.governance import access, audit
from rag_core.governance.access import DENY, EVERYONE, Principal
from rag_core.retrieval.index import ChunkRange, ScopeCheck, SearchRequest, Visibility, trace_scope

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from rag_core.content.documents import AccessRow

_KEY = "key:"


class CheckKind(StrEnum):
    """A condition that must hold; the names of `ragproto.documents.v1.AccessCheckKind`."""

    CREDENTIALS = "credentials"
    TENANT = "tenant"
    STORED = "stored"
    ADMITTED = "admitted"
    NOT_REFUSED = "not_refused"
    NOT_REVOKED = "not_revoked"
    INDEXED = "indexed"


class EntryOrigin(StrEnum):
    """Origin of an ACL entry; the names of `ragproto.documents.v1.AccessOrigin`."""

    TENANT = "tenant"
    TOKEN = "token"  # noqa: S105  no secret
    ACCOUNT = "account"
    API_KEY = "api_key"
    DIRECTORY = "directory"
    DOCUMENT = "document"
    SOURCE = "source"


@dataclass(frozen=True, slots=True)
class AccessCheck:
    """Something that must hold, and whether it does."""

    kind: CheckKind
    passed: bool
    detail: str = ""
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class AccessEntry:
    """An ACL entry of a person or a document; `matches`: they meet in it."""

    entry: str
    origin: EntryOrigin
    detail: str = ""
    since: datetime | None = None
    matches: bool = False


@dataclass(frozen=True, slots=True)
class Explanation:
    """The answer to whether a search finds the document, and everything that decides it."""

    allowed: bool
    checks: tuple[AccessCheck, ...]
    entries: tuple[AccessEntry, ...]
    acl: tuple[AccessEntry, ...]

    @property
    def coherent(self) -> bool:
        """False when the checks, of rows, say something else than the index, which was asked a moment later."""
        return self.allowed == all(check.passed for check in self.checks)


@dataclass(frozen=True, slots=True)
class _Person:
    principal: Principal
    entries: tuple[AccessEntry, ...]
    credentials: AccessCheck


class ExplainAccessHandler:
    """Works on the caller's tenant. Raises `Unavailable` (`DATABASE_UNAVAILABLE`) while the database is down."""

    def __init__(self, store: LazyStore, searcher: Searcher, revocations: PendingRevocationCache) -> None:
        self._store, self._searcher, self._revocations = store, searcher, revocations

    async def explain(self, caller: Principal, doc_id: str, user: str, groups: Sequence[str], why: str) -> Explanation:
        """Explain it, on record. Raises `NotFound` (`DOCUMENT_NOT_FOUND`, `API_KEY_NOT_FOUND`), `InvalidInput`."""
        wanted = check_doc_id(doc_id)
        check_text_field("user", user, required=True)
        check_groups(groups)
        check_text_field("reason", why)

        def read(connection: Connection) -> tuple[_Person, AccessRow]:
            row = documents.inspection_store.access(connection, caller.tenant, wanted)
            return _resolved(connection, _person(connection, caller.tenant, user, tuple(groups))), row

        def record(connection: Connection) -> tuple[_Person, AccessRow]:
            found = read(connection)
            details = {"user": user, "groups": list(groups)} | ({"reason": why} if why else {})
            audit.audit_store.record(
                connection, actor=caller.actor, action="access.explain", target=str(wanted), details=details,
                tenant=caller.tenant, doc_id=wanted,
            )  # fmt: skip
            return found

        explained = await self._explained(wanted, *await transact(self._store, record))
        if not explained.coherent:  # something changed between the rows and the index
            await self._revocations.poller.refresh()
            await self._revocations.deletions.refresh()
            explained = await self._explained(wanted, *await transact(self._store, read))
        return explained

    async def _explained(self, doc_id: UUID, person: _Person, row: AccessRow) -> Explanation:
        principal = person.principal
        pending = self._revocations.of_caller(principal.tenant, principal.acl_entries)
        request = SearchRequest(principal.tenant, principal.acl_entries, 1, pending_revocations=pending)
        place = ChunkRange(doc_id, row.indexed_version, 0, 0)
        found = bool(row.indexed_version and await self._searcher.around(request, [place]))
        acl = row.acl or ()
        fields = {"tenant": [principal.tenant], "acl": acl, "doc_id": [str(doc_id)], "source": [row.source]}
        traced = trace_scope(Visibility.of(request), fields)
        checks = [person.credentials, *_checks(row, traced)]
        # When all else admits and the index does not, it is behind the rows.
        indexed = found or (bool(row.indexed_version) and not all(check.passed for check in checks))
        checks.append(AccessCheck(CheckKind.INDEXED, indexed, row.generation, row.indexed_at))
        met = {name.removeprefix(DENY) for check in traced if check.field == "acl" for name in check.matched}
        return Explanation(
            found and person.credentials.passed,
            tuple(checks),
            tuple(_person_entries(person, met)),
            tuple(_document_entry(row, entry, met) for entry in acl),
        )


def _checks(row: AccessRow, traced: Sequence[ScopeCheck]) -> Iterator[AccessCheck]:
    since = row.deleted_at or row.updated_at
    yield AccessCheck(CheckKind.STORED, row.deleted_at is None, since=since)
    for check in traced:
        detail = "unknown" if check.field == "acl" and row.acl is None else ", ".join(check.matched)
        if not (check.excludes and check.field == "tenant"):
            yield AccessCheck(_kind(check), check.passed, detail, since)


def _kind(check: ScopeCheck) -> CheckKind:
    if check.field == "tenant":
        return CheckKind.TENANT
    if check.field == "acl":
        return CheckKind.NOT_REFUSED if check.excludes else CheckKind.ADMITTED
    return CheckKind.NOT_REVOKED


def _person_entries(person: _Person, met: set[str]) -> Iterator[AccessEntry]:
    for entry in person.entries:
        matches = entry.entry.removeprefix(DENY) in met
        if matches or not entry.entry.startswith(DENY):  # other documents' unknown names are of no interest
            yield replace(entry, matches=matches)


def _document_entry(row: AccessRow, entry: str, met: set[str]) -> AccessEntry:
    origin = EntryOrigin.SOURCE if row.acl_inherited else EntryOrigin.DOCUMENT
    return AccessEntry(entry, origin, f"{row.source} ({row.kind})", row.updated_at, entry.removeprefix(DENY) in met)


def _resolved(connection: Connection, person: _Person) -> _Person:
    """The person with what directories give and take; a disabled one keeps the entries, and may not call."""
    said = resolved(connection, person.principal)
    principal = replace(said, active=True).apply(person.principal)
    given = {one.entry: one for one in said.memberships}
    own = [entry for entry in person.entries if entry.entry in principal.acl_entries]
    ways = [
        AccessEntry(
            one.entry, EntryOrigin.DIRECTORY, f"{one.directory}: {' > '.join(one.way) or 'not known'}", one.since
        )
        for one in given.values()
        if one.entry not in {entry.entry for entry in own}
    ]
    credentials = person.credentials
    if not said.active:
        credentials = AccessCheck(CheckKind.CREDENTIALS, passed=False, detail=Reason.PERSON_DISABLED)
    return _Person(principal, (*own, *ways), credentials)


def _person(connection: Connection, tenant: str, user: str, groups: tuple[str, ...]) -> _Person:
    if user.startswith(_KEY):
        return _key(connection, tenant, user.removeprefix(_KEY), groups)
    account = access.find_account(connection, user)
    known = account[0] if account is not None and account[0].tenant == tenant else None
    if known is not None and not groups:
        return _of(Principal(user, tenant, known.groups), EntryOrigin.ACCOUNT, user, known.created_at)
    return _of(Principal(user, tenant, groups), EntryOrigin.TOKEN)


def _key(connection: Connection, tenant: str, key_id: str, groups: Sequence[str]) -> _Person:
    if groups:
        raise InvalidInput(Reason.FIELD_INVALID, "groups: an API key has its own")
    key = access.find_key(connection, key_id)
    if key is None or key.tenant != tenant:
        raise NotFound(Reason.API_KEY_NOT_FOUND, f"key: no key {key_id!r}")
    ended = key.revoked or key.expires <= datetime.now(UTC)
    reason = Reason.API_KEY_INVALID if ended else None if allows(key.scopes, READ) else Reason.SCOPE_MISSING
    person = _of(Principal(f"{_KEY}{key_id}", tenant, key.groups, key.scopes), EntryOrigin.API_KEY, key_id)
    return replace(person, credentials=AccessCheck(CheckKind.CREDENTIALS, reason is None, reason or ""))


def _of(principal: Principal, origin: EntryOrigin, detail: str = "", since: datetime | None = None) -> _Person:
    entries = tuple(
        AccessEntry(entry, EntryOrigin.TENANT) if entry == EVERYONE else AccessEntry(entry, origin, detail, since)
        for entry in principal.acl_entries
    )
    return _Person(principal, entries, AccessCheck(CheckKind.CREDENTIALS, passed=True))
