"""Rows of directories: replace what one holds, and resolve a caller. The tenant is part of every statement."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Row, text

from rag_core.errors import Conflict, InvalidInput, NotFound, PermissionDenied, Reason
from rag_core.governance.access import DENY, list_keys, revoke_key
from rag_core.governance.audit import audit_store as audit
from rag_core.governance.directories.base import (
    MAX_REACHED,
    DirectoryEntry,
    DirectoryStatus,
    GroupMembership,
    Resolved,
    SyncResult,
    normal_name,
)

LEAST_HELD = 5
"""As many removals as this are applied however small the directory is."""
HELD_SHARE = 0.5

# --------------------------------------------------------------------------------------------------------------------
# What a directory holds is replaced as a whole; rows that stay the same keep their time.

_LOCK = text("""
INSERT INTO rag.directories AS d (tenant, name, kind) VALUES (:tenant, :directory, :kind)
ON CONFLICT (tenant, name) DO UPDATE SET kind = excluded.kind WHERE d.kind <> 'scim' RETURNING revision
""")
_LOAD = text("""
CREATE TEMPORARY TABLE read_directory ON COMMIT DROP AS
SELECT * FROM jsonb_to_recordset(CAST(:rows AS jsonb))
    AS r(entry text, names text[], members text[], active boolean, by_token boolean)
""")
_LOAD_MEMBERS = text("""
CREATE TEMPORARY TABLE read_members ON COMMIT DROP AS
SELECT DISTINCT unnest(members) AS member, entry AS "group" FROM read_directory
""")
_REMOVALS = text("""
SELECT (SELECT count(*) FROM rag.directory_members m
        WHERE m.tenant = :tenant AND m.directory = :directory AND NOT EXISTS (
            SELECT FROM read_members r WHERE r."group" = m."group" AND r.member = m.member))
     + (SELECT count(*) FROM rag.directory_entries e
        WHERE e.tenant = :tenant AND e.directory = :directory AND e.active AND e.entry LIKE 'user:%' AND NOT EXISTS (
            SELECT FROM read_directory r WHERE r.entry = e.entry AND r.active)),
       (SELECT count(*) FROM rag.directory_members WHERE tenant = :tenant AND directory = :directory)
     + (SELECT count(*) FROM rag.directory_entries
        WHERE tenant = :tenant AND directory = :directory AND active AND entry LIKE 'user:%')
""")
_APPLY = tuple(
    text(statement)
    for statement in (
        """
DELETE FROM rag.directory_members m WHERE m.tenant = :tenant AND m.directory = :directory AND NOT EXISTS (
    SELECT FROM read_members r WHERE r."group" = m."group" AND r.member = m.member)""",
        """
DELETE FROM rag.directory_entries e WHERE e.tenant = :tenant AND e.directory = :directory
AND NOT EXISTS (SELECT FROM read_directory r WHERE r.entry = e.entry)""",
        """
INSERT INTO rag.directory_entries AS e (tenant, directory, entry, names, active, by_token)
SELECT :tenant, :directory, entry, names, active, by_token FROM read_directory
ON CONFLICT (tenant, directory, entry) DO UPDATE
SET names = excluded.names, active = excluded.active, by_token = excluded.by_token, since = now()
WHERE (e.names, e.active, e.by_token) IS DISTINCT FROM (excluded.names, excluded.active, excluded.by_token)""",
        """
INSERT INTO rag.directory_members (tenant, directory, member, "group")
SELECT :tenant, :directory, member, "group" FROM read_members
ON CONFLICT DO NOTHING""",
    )
)
_DONE = text("""
UPDATE rag.directories SET synced_at = now(),
       revision = CASE WHEN :changed > 0 THEN CAST(CAST(pg_current_xact_id() AS text) AS bigint) ELSE revision END,
       held_removals = NULLIF(:held, 0), held_at = CASE WHEN :held > 0 THEN coalesce(held_at, now()) END
WHERE tenant = :tenant AND name = :directory
""")


def sync(
    connection: Connection,
    tenant: str,
    directory: str,
    kind: str,
    entries: Iterable[DirectoryEntry],
    *,
    approved: int | None = None,
) -> SyncResult:
    """Replace what a directory holds, in one transaction.

    A reading that would remove half or more of the people and memberships (and more than `LEAST_HELD`) is held:
    nothing changes until one removes fewer or an operator approved so many removals. Raises `Conflict`
    (`DIRECTORY_EXISTS`) for one that an identity provider pushes to.
    """
    whose = {"tenant": tenant, "directory": directory}
    if connection.execute(_LOCK, whose | {"kind": kind}).one_or_none() is None:
        raise Conflict(Reason.DIRECTORY_EXISTS, f"{directory}: an identity provider pushes to a directory of this name")
    connection.execute(_LOAD, {"rows": json.dumps(_rows(entries))})
    connection.execute(_LOAD_MEMBERS)
    removed, total = connection.execute(_REMOVALS, whose).one()
    held = removed if removed > max(LEAST_HELD, approved or 0) and removed >= total * HELD_SHARE else 0
    changed = 0 if held else sum(connection.execute(statement, whose).rowcount for statement in _APPLY)
    connection.execute(_DONE, whose | {"changed": changed, "held": held})
    connection.execute(text("DROP TABLE read_directory, read_members"))
    return SyncResult(changed, held)


def _rows(entries: Iterable[DirectoryEntry]) -> list[dict[str, object]]:
    """Raises `InvalidInput` (`FIELD_INVALID`) for what stands twice: nobody gets what is somebody else's."""
    rows: dict[str, dict[str, object]] = {}
    named: set[str] = set()
    for one in entries:
        names = set(map(normal_name, one.names))
        if one.entry in rows or not named.isdisjoint(names):
            raise InvalidInput(Reason.FIELD_INVALID, f"{one.entry[:64]!r}: it, or one of its names, stands twice")
        named |= names
        rows[one.entry] = {
            "entry": one.entry, "names": sorted(names), "members": list(one.members or ()), "active": one.active,
            "by_token": one.by_token,
        }  # fmt: skip
    return list(rows.values())


# The directory itself comes first: every change of it waits for that row.
_TABLES = ("directories", "directory_members", "directory_entries", "directory_resources")
_REMOVE = tuple(
    text(f"DELETE FROM rag.{table} WHERE tenant = :tenant AND {column} = :name")  # noqa: S608  names of tables
    for table, column in zip(_TABLES, ("name", "directory", "directory", "directory"), strict=True)
)


def remove_directory(connection: Connection, tenant: str, name: str, *, actor: str) -> None:
    """Remove a directory with all that it holds, and revoke its keys, on record.

    Raises `NotFound` (`DIRECTORY_NOT_FOUND`).
    """
    done = [connection.execute(statement, {"tenant": tenant, "name": name}).rowcount for statement in _REMOVE]
    if not done[0]:
        raise NotFound(Reason.DIRECTORY_NOT_FOUND, f"the tenant {tenant} has no directory {name!r}")
    for key in list_keys(connection, tenant=tenant):
        if key["directory"] == name and key["revoked_at"] is None:
            revoke_key(connection, key["key_id"], actor=actor, why=f"the directory {name} was removed")
    audit.record(connection, actor=actor, action="directory.remove", target=name, details={}, tenant=tenant)


# --------------------------------------------------------------------------------------------------------------------
# A caller, resolved from their own rows: what it costs does not depend on how many are in their groups.

_OWN = text("""
SELECT entry, active, by_token FROM rag.directory_entries
WHERE tenant = :tenant AND entry = ANY(CAST(:entries AS text[]))
""")
_REACHED = text("""
WITH RECURSIVE reached(directory, entry) AS (
    (SELECT directory, entry FROM rag.directory_entries WHERE tenant = :tenant AND entry = ANY(CAST(:starts AS text[]))
     UNION SELECT directory, member FROM rag.directory_members
     WHERE tenant = :tenant AND member = ANY(CAST(:starts AS text[])))
    UNION
    SELECT m.directory, m."group" FROM reached
    JOIN rag.directory_members m
      ON m.tenant = :tenant AND m.directory = reached.directory AND m.member = reached.entry
)
SELECT r.directory, r.entry, e.names, e.since FROM (SELECT * FROM reached LIMIT :most) AS r
LEFT JOIN rag.directory_entries e ON e.tenant = :tenant AND e.directory = r.directory AND e.entry = r.entry
""")
# Whether its directory knows a name (`corp/gid:100`).
_KNOWN = """EXISTS (SELECT FROM rag.directory_entries e WHERE e.tenant = n.tenant
    AND e.directory = split_part(n.name, '/', 1) AND e.names @> ARRAY[substr(n.name, strpos(n.name, '/') + 1)])"""
_UNKNOWN = text(
    f"SELECT name, seen_at FROM rag.refused_names n WHERE tenant = :tenant AND NOT {_KNOWN} LIMIT :most"  # noqa: S608
)
_WAYS = text("""
SELECT directory, member, "group", since FROM rag.directory_members
WHERE tenant = :tenant AND member = ANY(CAST(:entries AS text[])) AND "group" = ANY(CAST(:entries AS text[]))
""")


def resolve(connection: Connection, tenant: str, subject: str, groups: Sequence[str], *, trusted: bool) -> Resolved:
    """Resolve a caller by the directories of their tenant.

    A group that a directory gives members to has these and no others, whatever a token says; `trusted` groups (of an
    API key, given by an administrator) count as they are. Names that documents refuse and no directory knows may mean
    anybody: they refuse every caller. Raises `PermissionDenied` (`DIRECTORY_GROUPS_EXCEEDED`).
    """
    person, named = f"user:{subject}", [f"group:{group}" for group in groups]
    own = connection.execute(_OWN, {"tenant": tenant, "entries": [person, *named]}).all()
    decided = {row.entry for row in own if row.entry != person and not row.by_token and not trusted}
    starts = [person, *(entry for entry in named if entry not in decided)]
    reached = connection.execute(_REACHED, {"tenant": tenant, "starts": starts, "most": MAX_REACHED + 1}).all()
    decided -= {row.entry for row in reached}
    unknown = connection.execute(_UNKNOWN, {"tenant": tenant, "most": MAX_REACHED + 1}).all()
    refusing = (GroupMembership(f"{DENY}{row.name}", row.name.partition("/")[0], (), row.seen_at) for row in unknown)
    memberships = (*_memberships(connection, tenant, set(starts), reached), *refusing)
    if max(len(reached), len(memberships)) > MAX_REACHED:
        raise PermissionDenied(Reason.DIRECTORY_GROUPS_EXCEEDED, f"more than {MAX_REACHED} entries from directories")
    return Resolved(
        all(row.active for row in own if row.entry == person),
        tuple(group for group in groups if f"group:{group}" not in decided),
        memberships,
    )


def _memberships(
    connection: Connection, tenant: str, starts: set[str], reached: Sequence[Row[Any]]
) -> Iterator[GroupMembership]:
    """Yield what a caller gets, each with one way to it through the groups."""
    entries = [row.entry for row in reached]
    edges = connection.execute(_WAYS, {"tenant": tenant, "entries": entries}) if reached else ()
    ways = _shortest(starts, list(edges))
    for row in reached:
        if row.names is None:  # a person, or a group of tokens, that is only a member
            continue
        way, since, at = [row.entry], row.since, ways.get((row.directory, row.entry))
        while at is not None and way[0] not in starts and at.member not in way:
            way.insert(0, at.member)
            since, at = max(since, at.since), ways.get((row.directory, at.member))
        names = [f"{row.directory}/{name}" for name in row.names]
        for entry in [row.entry, *names] if row.entry.startswith("group:") else names:
            yield GroupMembership(entry, row.directory, tuple(way), since)


def _shortest(starts: set[str], edges: Sequence[Row[Any]]) -> dict[tuple[str, str], Row[Any]]:
    """Return the last step of a shortest way to each group, by directory and group: no circle is one."""
    ways: dict[tuple[str, str], Row[Any]] = {}
    steps = [row for row in edges if row.member in starts]
    while steps:
        ways = {(row.directory, row.group): row for row in reversed(steps)} | ways
        came = {(row.directory, row.group) for row in steps}
        steps = [row for row in edges if (row.directory, row.member) in came and (row.directory, row.group) not in ways]
    return ways


_NAMED = text("""
SELECT e.directory || '/' || n.name AS name, e.entry
FROM rag.directory_entries e CROSS JOIN LATERAL unnest(e.names) AS n(name)
WHERE e.tenant = :tenant AND e.directory || '/' || n.name = ANY(CAST(:names AS text[]))
""")


def token_entries(connection: Connection, tenant: str, names: Iterable[str]) -> Mapping[str, str]:
    """Return what tokens call the readers in ACLs (`corp/gid:100`) that a directory knows."""
    rows = connection.execute(_NAMED, {"tenant": tenant, "names": list(names)})
    return {row.name: row.entry for row in rows}


# --------------------------------------------------------------------------------------------------------------------
# What there is.


_REVISIONS = text("""
SELECT tenant, string_agg(part, ',' ORDER BY part) AS revisions FROM (
    SELECT tenant, name || '=' || revision AS part FROM rag.directories
    UNION ALL SELECT tenant, count(*) || '/' || sum(hashtextextended(name, 0)) FROM rag.refused_names GROUP BY tenant
) AS parts GROUP BY tenant
""")


def revisions(connection: Connection) -> Mapping[str, str]:
    """Return a text for each tenant with a directory or refused names, which changes when anything in one does."""
    return {row.tenant: row.revisions for row in connection.execute(_REVISIONS)}


_STATUS = text(f"""
SELECT d.tenant, d.name, d.kind, d.synced_at,
       (SELECT count(*) FROM rag.directory_entries e
        WHERE e.tenant = d.tenant AND e.directory = d.name AND e.entry LIKE 'user:%') AS people,
       (SELECT count(*) FROM rag.directory_entries e
        WHERE e.tenant = d.tenant AND e.directory = d.name AND e.entry LIKE 'group:%') AS groups,
       (SELECT count(*) FROM rag.directory_members m WHERE m.tenant = d.tenant AND m.directory = d.name) AS memberships,
       d.held_removals, d.held_at,
       (SELECT count(DISTINCT n.name) FROM rag.documents o CROSS JOIN LATERAL (
            SELECT o.tenant, regexp_replace(entry, '^deny:', '') FROM unnest(o.acl) AS u(entry)) AS n(tenant, name)
        WHERE o.tenant = d.tenant AND o.deleted_at IS NULL AND starts_with(n.name, d.name || '/')
        AND NOT {_KNOWN}) AS unknown_principals
FROM rag.directories d WHERE CAST(:tenant AS text) IS NULL OR d.tenant = :tenant ORDER BY d.tenant, d.name
""")  # noqa: S608


def list_directories(connection: Connection, tenant: str | None = None) -> list[DirectoryStatus]:
    """Directories of a tenant, or of all, by name."""
    return [DirectoryStatus(**row._mapping) for row in connection.execute(_STATUS, {"tenant": tenant})]


_PURGE = text("""
DELETE FROM rag.refused_names WHERE seen_at < now() - interval '1 day' AND (tenant, name) NOT IN (
    SELECT d.tenant, substr(a.entry, 6) FROM rag.documents d CROSS JOIN LATERAL unnest(d.acl) AS a(entry)
    WHERE d.deleted_at IS NULL AND starts_with(a.entry, 'deny:'))
""")


def purge_refused(connection: Connection) -> int:
    """Delete names that no document refuses any more; returns how many.

    A writer of such a name raises `seen_at` once an hour, so that none of a document that is being written goes.
    """
    return connection.execute(_PURGE).rowcount
