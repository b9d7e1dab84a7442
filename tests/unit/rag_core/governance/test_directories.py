"""Directories: what a caller gets through groups in groups, what is held, and what stays within limits."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
from sqlalchemy import text

from rag_core.database import Store
from rag_core.errors import InvalidInput, PermissionDenied
from rag_core.governance.access import Principal
from rag_core.governance.directories import (
    DirectoryEntry,
    Resolved,
    SyncResult,
    list_directories,
    principals,
    purge_refused,
    remove_directory,
    resolve,
    revisions,
    sync,
)
from tests.support.pipeline import PipelineHarness
from tests.support.waiting import eventually


def read(
    store: Store, entries: list[DirectoryEntry], tenant: str = "acme", name: str = "corp", **options: int
) -> SyncResult:
    with store.engine.begin() as connection:
        return sync(connection, tenant, "corp", "file", entries, **options)


def caller(store: Store, subject: str, *groups: str, tenant: str = "acme", trusted: bool = False) -> Resolved:
    with store.engine.connect() as connection:
        return resolve(connection, tenant, subject, groups, trusted=trusted)


def entries_of(found: Resolved) -> set[str]:
    return set(found.apply(Principal("x", "acme", ())).acl_entries) - {"everyone", "user:x"}


NESTED = [
    DirectoryEntry("user:ann", ("uid:1000", "email:Ann@Acme.example")),
    DirectoryEntry("user:bo", active=False),
    DirectoryEntry("group:staff", ("gid:100",), ("group:engineers", "user:cy")),
    DirectoryEntry("group:engineers", (), ("user:ann", "group:staff")),  # in each other
    DirectoryEntry("group:board", ("gid:7",)),
    DirectoryEntry("group:owners", ("gid:8",), ("group:board",)),
]


def test_a_caller_gets_groups_in_groups_and_their_names_whatever_the_circle(store: Store) -> None:
    read(store, NESTED)
    ann = caller(store, "ann")
    assert entries_of(ann) == {
        "group:engineers", "group:staff", "corp/gid:100", "corp/uid:1000", "corp/email:ann@acme.example",
    }  # fmt: skip
    ways = {one.entry: one.way for one in ann.memberships}
    assert ways["corp/gid:100"] == ("user:ann", "group:engineers", "group:staff")
    assert entries_of(caller(store, "ANN")) == set()
    with pytest.raises(PermissionDenied, match="disabled"):
        caller(store, "bo").apply(Principal("bo", "acme"))


def test_a_group_with_members_is_the_directorys_to_decide_and_one_without_the_tokens(store: Store) -> None:
    read(store, NESTED)
    outsider = caller(store, "dan", "staff", "board", "unknown")
    assert outsider.groups == ("board", "unknown")
    assert entries_of(outsider) >= {"corp/gid:7", "group:owners", "corp/gid:8"}
    assert not {"group:staff", "corp/gid:100"} & entries_of(outsider)
    assert caller(store, "cy", "staff").groups == ("staff",)
    key = caller(store, "key:k1", "staff", trusted=True)
    assert key.groups == ("staff",)
    assert "corp/gid:100" in entries_of(key)


def test_a_directory_of_one_tenant_says_nothing_for_another(store: Store) -> None:
    read(store, NESTED)
    read(store, [DirectoryEntry("group:engineers", ("gid:9",), ("user:eve",))], tenant="other")
    assert caller(store, "ann", tenant="other") == Resolved()
    assert entries_of(caller(store, "eve", "staff", tenant="other")) == {"group:staff", "group:engineers", "corp/gid:9"}
    assert entries_of(caller(store, "eve", "board")) == {"group:board", "corp/gid:7", "group:owners", "corp/gid:8"}
    with store.engine.begin() as connection:
        before = revisions(connection)
        remove_directory(connection, "other", "corp", actor="test")
        assert revisions(connection) == {"acme": before["acme"]}


def test_losing_half_of_the_members_at_once_is_held_until_it_was_approved(store: Store) -> None:
    people = [DirectoryEntry(f"user:u{number}") for number in range(8)]
    group = DirectoryEntry("group:all", (), tuple(one.entry for one in people))
    read(store, [*people, group])
    before = caller(store, "u7")
    smaller = [*people[:4], DirectoryEntry("group:all", (), ("user:u0",))]
    assert read(store, smaller) == SyncResult(held=11)
    assert caller(store, "u7") == before
    with store.engine.connect() as connection:
        [status] = list_directories(connection, "acme")
    assert (status.held_removals, status.people, status.memberships) == (11, 8, 8)
    assert read(store, smaller, approved=10).held == 11
    assert read(store, smaller, approved=11).changed
    assert caller(store, "u7") == Resolved()
    assert read(store, smaller) == SyncResult()  # nothing changed, nothing is held
    assert read(store, [*people[:3], DirectoryEntry("group:all", (), ())]).held == 0  # few are always applied


def test_what_would_be_two_peoples_is_refused(store: Store) -> None:
    one, two = "email:Zoé@Acme.example", "email:ZOE\u0301@acme.EXAMPLE"
    for entries in (
        [DirectoryEntry("user:ann", (one,)), DirectoryEntry("user:bo", (two,))],
        [DirectoryEntry("user:ann"), DirectoryEntry("user:ann")],
    ):
        with pytest.raises(InvalidInput, match="twice"):
            read(store, entries)
    assert principals("corp", [one]) == principals("corp", [two]) == ("corp/email:zoé@acme.example",)
    assert principals("corp", ["uid:A", "sid:with space", "everyone", "deny:gid:3"]) == (
        "corp/uid:A", "everyone", "deny:corp/gid:3",
    )  # fmt: skip
    with pytest.raises(InvalidInput) as refused:
        principals("corp", ["everyone", "deny:sid:with space"])
    assert refused.value.reason == "ACL_INEXPRESSIBLE"


def test_a_group_of_fifty_thousand_is_read_at_once_and_its_members_by_the_index(store: Store) -> None:
    members = tuple(f"user:m{number}" for number in range(50_000))
    few = DirectoryEntry("group:few", (), members[:1])
    read(store, [DirectoryEntry("group:huge", ("gid:1",), members), few])
    with store.engine.connect() as connection:
        connection.execute(text("ANALYZE rag.directory_members"))
        one = "tenant = 'acme' AND directory = 'corp' AND member = 'user:m1'"
        plan = str(connection.execute(text(f"EXPLAIN SELECT FROM rag.directory_members WHERE {one}")).all())
    assert "pk_directory_members" in plan
    assert "corp/gid:1" in entries_of(caller(store, "m49999"))
    assert read(store, [DirectoryEntry("group:huge", ("gid:1",), members[:-1]), few]).changed == 1
    assert caller(store, "m49999") == Resolved()


def test_a_caller_beyond_the_limit_is_refused_and_not_cut(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rag_core.governance.directories.store.MAX_REACHED", 3)
    read(store, [DirectoryEntry(f"group:g{number}", (), ("user:ann",)) for number in range(4)])
    with pytest.raises(PermissionDenied, match="more than 3"):
        caller(store, "ann")


def test_names_that_documents_refuse_count_until_a_directory_has_them_or_no_document(flow: PipelineHarness) -> None:
    store = flow.store
    flow.connector.put("a.txt", "A", acl=("everyone", "deny:corp/gid:9", "deny:group:board", "deny:user:a/b"))
    flow.connector.put("b.txt", "B", acl=("everyone", "deny:corp/gid:100", "corp/gid:404"))
    flow.run()
    before = caller(store, "ann")
    assert {one.entry for one in before.memberships} == {"deny:corp/gid:9", "deny:corp/gid:100"}
    assert not caller(store, "ann", tenant="other").memberships
    read(store, NESTED)
    assert {one.entry for one in caller(store, "dan").memberships} == {"deny:corp/gid:9"}
    with store.engine.connect() as connection:
        [status] = list_directories(connection)
        assert status.unknown_principals == 2, "gid:9, which refuses, and gid:404, which grants nothing"
        seen = revisions(connection)["acme"]
    flow.connector.put("a.txt", "A", acl=("everyone", "deny:corp/gid:10"))
    flow.run()
    with store.engine.begin() as connection:
        assert revisions(connection)["acme"] != seen
        assert purge_refused(connection) == 0, "they were seen today"
        connection.execute(text("UPDATE rag.refused_names SET seen_at = now() - interval '2 days'"))
        assert purge_refused(connection) == 1
    assert {one.entry for one in caller(store, "dan").memberships} == {"deny:corp/gid:10"}


def test_a_document_that_is_written_again_keeps_the_names_that_it_refuses(flow: PipelineHarness) -> None:
    flow.connector.put("a.txt", "A", acl=("everyone", "deny:corp/gid:9"))
    flow.run()
    with flow.store.engine.begin() as connection:
        connection.execute(text("UPDATE rag.refused_names SET seen_at = now() - interval '2 days'"))
    writing, purging = flow.store.engine.connect(), flow.store.engine.connect()
    with closing(writing), closing(purging), ThreadPoolExecutor(1) as pool:
        writing.execute(text("UPDATE rag.documents SET acl = '{everyone}'"))
        writing.commit()
        writing.execute(text("UPDATE rag.documents SET acl = '{everyone,deny:corp/gid:9}'"))  # not committed yet
        purged = pool.submit(purge_refused, purging)
        assert eventually(lambda: waits_for_a_lock(flow.store))
        writing.commit()
        assert purged.result() == 0
        purging.commit()
    assert {one.entry for one in caller(flow.store, "ann").memberships} == {"deny:corp/gid:9"}


def waits_for_a_lock(store: Store) -> bool:
    with store.engine.connect() as connection:
        return bool(connection.scalar(text("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")))
