"""Rows of directories that an identity provider pushes to. Changes of one directory wait for each other."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from sqlalchemy import Connection, Row, text

from rag_core.errors import Conflict, InvalidInput, NotFound, Reason
from rag_core.governance.access import ApiKey, NewKey, create_key
from rag_core.governance.audit import audit_store as audit
from rag_core.governance.directories.base import (
    DIRECTORY_NAME,
    DirectoryEntry,
    DirectoryResource,
    MemberChange,
    PushedEntry,
    SubjectAttribute,
    normal_name,
)

SCOPE: Final = "directories.write"
MAX_ENTRIES: Final = 200_000
MAX_MEMBERS: Final = 50_000
"""Members of a group, and of all groups of a page."""
MAX_PAGE: Final = 200
_AUDITED: Final = 100
"""Members that the audit log names of one change."""


@dataclass(frozen=True, slots=True)
class ScimDirectory:
    """The directory that a key belongs to."""

    tenant: str
    name: str
    subject: SubjectAttribute

    @property
    def columns(self) -> dict[str, Any]:
        return {"tenant": self.tenant, "directory": self.name}


_CREATE = text("""
INSERT INTO rag.directories (tenant, name, kind, subject) VALUES (:tenant, :directory, 'scim', :subject)
ON CONFLICT (tenant, name) DO NOTHING
""")
_KIND = text("SELECT kind, subject FROM rag.directories WHERE tenant = :tenant AND name = :directory")


def create_scim_directory(
    connection: Connection, tenant: str, name: str, subject: SubjectAttribute | None, *, days: int, actor: str
) -> ApiKey:
    """Create a directory unless it exists, and another key for it.

    Raises `InvalidInput` (`FIELD_INVALID`, `CONFIG_RANGE`), and `Conflict` (`DIRECTORY_EXISTS`) when it has another
    kind or subject.
    """
    if not DIRECTORY_NAME.fullmatch(name):
        raise InvalidInput(Reason.FIELD_INVALID, f"{name[:64]!r}: must be lower-case letters, digits, - and _")
    wanted = NewKey(f"SCIM: {name}", tenant, (SCOPE,), days=days, directory=name)
    whose = {"tenant": tenant, "directory": name}
    created = connection.execute(_CREATE, whose | {"subject": subject or SubjectAttribute.USER_NAME}).rowcount
    found = connection.execute(_KIND, whose).one()
    if found.kind != "scim" or subject not in {None, found.subject}:
        what = f"subject {found.subject}" if found.kind == "scim" else f"kind {found.kind}"
        raise Conflict(Reason.DIRECTORY_EXISTS, f"{name}: the tenant has it already, with the {what}")
    key = create_key(connection, wanted, actor=actor)
    if created:
        details = {"kind": "scim", "subject": found.subject}
        audit.record(connection, actor=actor, action="directory.create", target=name, details=details, tenant=tenant)
    return key


_OF_KEY = """
SELECT d.tenant, d.name, d.subject FROM rag.directories d JOIN rag.api_keys k
ON k.tenant = d.tenant AND k.directory = d.name WHERE k.key_id = :key AND d.tenant = :tenant AND d.kind = 'scim'
"""
_FIND, _LOCK = text(_OF_KEY), text(f"{_OF_KEY} FOR UPDATE OF d")


def scim_directory(connection: Connection, tenant: str, key_id: str, *, lock: bool = False) -> ScimDirectory:
    """Return the directory of a key; `lock`: no other change of it runs until the transaction ends.

    Raises `NotFound` (`DIRECTORY_NOT_FOUND`).
    """
    row = connection.execute(_LOCK if lock else _FIND, {"tenant": tenant, "key": key_id}).one_or_none()
    if row is None:
        raise NotFound(Reason.DIRECTORY_NOT_FOUND, "the credentials are no key of a directory; see `rag access scim`")
    return ScimDirectory(row.tenant, row.name, SubjectAttribute(row.subject))


# --------------------------------------------------------------------------------------------------------------------
# What there is.

_WHERE = "r.tenant = :tenant AND r.directory = :directory AND r.kind = :kind"
_NAMED = """ AND r.entry = ANY(ARRAY(SELECT entry FROM rag.directory_entries
WHERE tenant = :tenant AND directory = :directory AND names @> ARRAY[CAST(:value AS text)]))"""
_FIELDS = {
    "": "",
    "id": " AND r.id = CAST(:value AS uuid)",
    "name": " AND lower(r.name) = lower(:value)",
    "external_id": _NAMED,
    "email": _NAMED,
}
_FROM = f"FROM rag.directory_resources r WHERE {_WHERE}"
_COUNTS = {field: text(f"SELECT count(*) {_FROM}{also}") for field, also in _FIELDS.items()}
_ROWS = {
    field: text(f"""
SELECT p.id, p.kind, p.name, p.entry, p.external_id, CAST(p.attributes AS text) AS attributes, p.version, p.created_at,
       p.changed_at, e.names, e.active
FROM (SELECT r.* {_FROM}{also} ORDER BY r.created_at, r.id OFFSET :offset LIMIT :limit) AS p
JOIN rag.directory_entries e ON e.tenant = p.tenant AND e.directory = p.directory AND e.entry = p.entry
ORDER BY p.created_at, p.id""")  # noqa: S608  made of the texts above
    for field, also in _FIELDS.items()
}
_SIZES = text("""
SELECT "group", count(*) FROM rag.directory_members
WHERE tenant = :tenant AND directory = :directory AND "group" = ANY(CAST(:entries AS text[])) GROUP BY "group"
""")
_MEMBERS = text("""
SELECT m."group", CAST(r.id AS text) AS id, r.kind, r.name FROM rag.directory_members m JOIN rag.directory_resources r
ON r.tenant = m.tenant AND r.directory = m.directory AND r.entry = m.member
WHERE m.tenant = :tenant AND m.directory = :directory AND m."group" = ANY(CAST(:entries AS text[]))
ORDER BY r.created_at, r.id
""")


def list_resources(
    connection: Connection,
    whose: ScimDirectory,
    kind: str,
    by: tuple[str, str] = ("", ""),
    *,
    offset: int = 0,
    limit: int = MAX_PAGE,
    members: bool = False,
) -> tuple[int, list[DirectoryResource]]:
    """Return the number of entries of a kind that have a value in a field (`id`, `name`, `external_id`, `email`), and a
    page of them, oldest first: fewer where their members would be too many."""
    field, value = by
    if field == "id":
        if (known := _uuid(value)) is None:
            return 0, []
        value = known
    if field in {"external_id", "email"}:
        value = normal_name(f"{'external' if field == 'external_id' else field}:{value}")
    given = whose.columns | {"kind": kind, "value": value, "offset": offset, "limit": limit}
    total = connection.execute(_COUNTS[field], given).scalar_one()
    found = [_resource(row) for row in connection.execute(_ROWS[field], given)] if limit else []
    return total, _with_members(connection, whose, found) if members and kind == "group" else found


def get_resource(
    connection: Connection, whose: ScimDirectory, kind: str, resource_id: str, *, members: bool = False
) -> DirectoryResource:
    """An entry by its id. Raises `NotFound` (`DIRECTORY_ENTRY_NOT_FOUND`)."""
    _, found = list_resources(connection, whose, kind, ("id", resource_id), limit=1, members=members)
    if not found:
        raise NotFound(Reason.DIRECTORY_ENTRY_NOT_FOUND, f"{resource_id[:64]!r}: no such {kind}")
    return found[0]


def _with_members(
    connection: Connection, whose: ScimDirectory, found: list[DirectoryResource]
) -> list[DirectoryResource]:
    sizes = dict(connection.execute(_SIZES, whose.columns | {"entries": [one.entry for one in found]}).tuples().all())
    shown, room = list[DirectoryResource](), MAX_MEMBERS
    for one in found:
        room -= sizes.get(one.entry, 0)
        if room < 0 and shown:
            break
        shown.append(one)
    by_group: dict[str, list[tuple[str, str, str]]] = {}
    for row in connection.execute(_MEMBERS, whose.columns | {"entries": [one.entry for one in shown]}):
        by_group.setdefault(row.group, []).append((row.id, row.kind, row.name))
    return [replace(one, members=tuple(by_group.get(one.entry, ()))) for one in shown]


def _resource(row: Row[Any]) -> DirectoryResource:
    return DirectoryResource(
        kind=row.kind, name=row.name, attributes=row.attributes, external_id=row.external_id or "",
        emails=tuple(name[6:] for name in row.names if name.startswith("email:")), active=row.active, id=str(row.id),
        entry=row.entry, version=row.version, created_at=row.created_at, changed_at=row.changed_at,
    )  # fmt: skip


def _uuid(value: str) -> str | None:
    try:
        return str(uuid.UUID(value))
    except ValueError:
        return None


# --------------------------------------------------------------------------------------------------------------------
# One change, in the transaction that holds the directory.

_TAKEN = text("""
SELECT 'name' AS what FROM rag.directory_resources r WHERE tenant = :tenant AND directory = :directory
AND kind = :kind AND lower(name) = lower(:name) AND id <> :id
UNION ALL SELECT 'entry ' || entry FROM rag.directory_resources
WHERE tenant = :tenant AND directory = :directory AND entry = :entry AND id <> :id
UNION ALL SELECT 'mail address or external id' FROM rag.directory_entries
WHERE tenant = :tenant AND directory = :directory AND names && CAST(:names AS text[])
AND entry IS DISTINCT FROM :before LIMIT 1
""")
_SIZE = text("SELECT count(*) FROM rag.directory_resources WHERE tenant = :tenant AND directory = :directory")
_INSERT = (
    text("""
INSERT INTO rag.directory_resources (id, tenant, directory, kind, name, entry, external_id, attributes)
VALUES (:id, :tenant, :directory, :kind, :name, :entry, NULLIF(:external_id, ''), CAST(:attributes AS jsonb))"""),
    text("""
INSERT INTO rag.directory_entries (tenant, directory, entry, names, active, by_token)
VALUES (:tenant, :directory, :entry, :names, :active, false)"""),
)
_UPDATE = (
    text("""
UPDATE rag.directory_resources SET name = :name, entry = :entry, external_id = NULLIF(:external_id, ''),
       attributes = CAST(:attributes AS jsonb) WHERE id = :id"""),
    text("""
UPDATE rag.directory_entries SET entry = :entry, names = :names, active = :active, since = now()
WHERE tenant = :tenant AND directory = :directory AND entry = :before"""),
)
_RENAME = tuple(
    text(
        f'UPDATE rag.directory_members SET "{column}" = :entry WHERE tenant = :tenant AND directory = :directory'  # noqa: S608
        f' AND "{column}" = :before'
    )
    for column in ("member", "group")
)
_TOUCH = text("UPDATE rag.directory_resources SET version = version + 1, changed_at = now() WHERE id = :id")
_CHANGED = text("""
UPDATE rag.directories SET synced_at = now(), revision = CAST(CAST(pg_current_xact_id() AS text) AS bigint)
WHERE tenant = :tenant AND name = :directory
""")


def save_resource(
    connection: Connection,
    whose: ScimDirectory,
    kind: str,
    resource_id: str,
    pushed: PushedEntry | None,
    members: MemberChange,
    *,
    expected: int = 0,
    actor: str,
) -> DirectoryResource:
    """Create an entry (an empty id) or change it, and its members; the directory must be locked.

    `pushed` is `None` when only members change. Returns it without members. Raises `NotFound`
    (`DIRECTORY_ENTRY_NOT_FOUND`), `Conflict` (`DIRECTORY_NAME_TAKEN`, `DIRECTORY_ENTRY_CHANGED`, `DIRECTORY_FULL`) and
    `InvalidInput` (`FIELD_INVALID`).
    """
    before = get_resource(connection, whose, kind, resource_id) if resource_id else None
    if before is not None and expected not in {0, before.version}:
        raise Conflict(Reason.DIRECTORY_ENTRY_CHANGED, f"{resource_id}: it has version {before.version} by now")
    resource_id = resource_id or str(uuid.uuid4())
    details: dict[str, Any] = {}
    if pushed is not None:
        details |= _write(connection, whose, resource_id, before, pushed)
    if kind == "group":
        details |= _change_members(connection, whose, get_resource(connection, whose, kind, resource_id).entry, members)
    if details and before is not None:
        connection.execute(_TOUCH, {"id": resource_id})
    saved = get_resource(connection, whose, kind, resource_id)
    if details:
        _finish(connection, whose, saved.entry, "change" if before else "create", details, actor)
    return saved


def _write(
    connection: Connection,
    whose: ScimDirectory,
    resource_id: str,
    before: DirectoryResource | None,
    pushed: PushedEntry,
) -> dict[str, Any]:
    """Write the entry itself. Returns what changed; nothing when it is as before."""
    entry = pushed.directory_entry(whose.subject)
    values = whose.columns | {
        "id": resource_id, "kind": pushed.kind, "name": pushed.name, "external_id": pushed.external_id,
        "attributes": pushed.attributes, "entry": entry.entry, "names": list(entry.names), "active": entry.active,
        "before": before and before.entry,
    }  # fmt: skip
    if taken := connection.execute(_TAKEN, values).scalar():
        raise Conflict(Reason.DIRECTORY_NAME_TAKEN, f"{pushed.name[:64]!r}: another entry has its {taken}")
    if before is None:
        if connection.execute(_SIZE, whose.columns).scalar_one() >= MAX_ENTRIES:
            raise Conflict(Reason.DIRECTORY_FULL, f"the directory has {MAX_ENTRIES} entries")
    elif _same(before, entry, pushed):
        return {}
    for statement in _UPDATE if before else _INSERT:
        connection.execute(statement, values)
    renamed = before is not None and before.entry != entry.entry
    if renamed:
        for statement in _RENAME:
            connection.execute(statement, values)
    return {"active": entry.active} | ({"was": before.entry} if before and renamed else {})


def _same(before: DirectoryResource, entry: DirectoryEntry, pushed: PushedEntry) -> bool:
    import json

    return before.entry == entry.entry and json.loads(before.attributes) == json.loads(pushed.attributes)


_ENTRIES = text("""
SELECT CAST(id AS text), entry FROM rag.directory_resources
WHERE tenant = :tenant AND directory = :directory AND id = ANY(CAST(:ids AS uuid[]))
""")
_ADD = text("""
INSERT INTO rag.directory_members (tenant, directory, "group", member)
SELECT :tenant, :directory, :group, unnest(CAST(:entries AS text[])) ON CONFLICT DO NOTHING RETURNING member
""")
_REMOVE = text("""
DELETE FROM rag.directory_members WHERE tenant = :tenant AND directory = :directory AND "group" = :group
AND (member = ANY(CAST(:entries AS text[]))) <> :others RETURNING member
""")


def _change_members(connection: Connection, whose: ScimDirectory, group: str, change: MemberChange) -> dict[str, Any]:
    given = whose.columns | {"group": group}
    added = _entries(connection, whose, change.add)
    if missing := [one for one in change.add if one not in added]:
        raise InvalidInput(
            Reason.FIELD_INVALID, f"add_members: {missing[0][:64]!r} is no person or group of the directory"
        )
    removed = added if change.replace else _entries(connection, whose, change.remove)
    out = (
        connection.execute(_REMOVE, given | {"entries": list(removed.values()), "others": change.replace})
        if change.replace or removed
        else ()
    )
    came = connection.execute(_ADD, given | {"entries": list(added.values())}) if added else ()
    changed = {name: [row.member for row in rows] for name, rows in (("removed", out), ("added", came))}
    if changed["added"] and connection.execute(_SIZES, given | {"entries": [group]}).one()[1] > MAX_MEMBERS:
        raise Conflict(Reason.DIRECTORY_FULL, f"{group[:64]!r}: more than {MAX_MEMBERS} members")
    return {name: [*entries[:_AUDITED], *_more(entries)] for name, entries in changed.items() if entries}


def _more(entries: Sequence[str]) -> list[str]:
    return [f"and {len(entries) - _AUDITED} more"] if len(entries) > _AUDITED else []


def _entries(connection: Connection, whose: ScimDirectory, ids: Sequence[str]) -> dict[str, str]:
    """Entries by the id as it was given."""
    known = {one: _uuid(one) for one in ids}
    wanted = [one for one in known.values() if one]
    found = dict(connection.execute(_ENTRIES, whose.columns | {"ids": wanted}).tuples().all()) if wanted else {}
    return {given: found[plain] for given, plain in known.items() if plain in found}


_DELETE = (
    text("""
DELETE FROM rag.directory_members WHERE tenant = :tenant AND directory = :directory
AND (member = :entry OR "group" = :entry)"""),
    text("DELETE FROM rag.directory_entries WHERE tenant = :tenant AND directory = :directory AND entry = :entry"),
    text("DELETE FROM rag.directory_resources WHERE tenant = :tenant AND directory = :directory AND entry = :entry"),
)


def delete_resource(connection: Connection, whose: ScimDirectory, kind: str, resource_id: str, *, actor: str) -> None:
    """Delete an entry and its memberships; the directory must be locked. Raises `NotFound`
    (`DIRECTORY_ENTRY_NOT_FOUND`)."""
    entry = get_resource(connection, whose, kind, resource_id).entry
    for statement in _DELETE:
        connection.execute(statement, whose.columns | {"entry": entry})
    _finish(connection, whose, entry, "delete", {}, actor)


def _finish(
    connection: Connection, whose: ScimDirectory, entry: str, verb: str, details: dict[str, Any], actor: str
) -> None:
    connection.execute(_CHANGED, whose.columns)
    action, target = f"directory_entry.{verb}", f"{whose.name}/{entry}"
    audit.record(connection, actor=actor, action=action, target=target, details=details, tenant=whose.tenant)
