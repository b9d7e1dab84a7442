"""Explanations of access agree with the search, whatever decides it, and nobody learns from them of another tenant."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rag_core.content.sources import Scope
from rag_core.database import open_store
from rag_core.governance.access import AccountRole, NewAccount, NewKey, create_account, create_key, get_key, revoke_key
from rag_core.governance.audit import AuditQuery, find
from rag_core.governance.directories import DirectoryEntry, sync
from rag_core.retrieval.index import VectorIndex
from ragproto.documents.v1 import documents_pb2 as pb
from ragproto.documents.v1 import documents_pb2_grpc as rpc
from ragproto.query.v2 import query_pb2, query_pb2_grpc
from tests.support.pipeline import PipelineHarness
from tests.support.query_server import RunningServer, failing, running
from tests.support.waiting import eventually

GROUPS = ("sales", "hr", "board")
ENTRIES = ("everyone", "user:ann", "user:bo", *(f"group:{name}" for name in GROUPS))
PEOPLE = [("ann", ()), ("ann", ("sales",)), ("bo", ("hr", "board")), ("cy", ("sales", "hr")), ("cy", ())]
KIND = pb.AccessCheckKind


class Desk:
    """A server over the index that the flow fills."""

    def __init__(self, server: RunningServer, flow: PipelineHarness) -> None:
        self.server, self.flow = server, flow

    def explain(self, user: str, locator: str, groups: tuple[str, ...] = (), **claims: Any) -> pb.ExplainAccessResponse:
        doc_id = locator if len(locator) == 36 else str(self.flow.doc_id(locator))
        request = pb.ExplainAccessRequest(doc_id=doc_id, user=user, groups=groups, reason="ticket 7")
        metadata = self.server.auth(**({"subject": "root", "scopes": ["admin"]} | claims))
        response: pb.ExplainAccessResponse = rpc.DocumentServiceStub(self.server.channel).ExplainAccess(
            request, metadata=metadata, timeout=60
        )
        return response

    def found(self, user: str, groups: tuple[str, ...] = ()) -> set[str]:
        return self.found_with(self.server.auth(subject=user, groups=list(groups)))

    def found_with(self, metadata: Any) -> set[str]:
        request = query_pb2.SearchRequest(query="nine", top_k=50, mode=query_pb2.SEARCH_MODE_LEXICAL)
        response = query_pb2_grpc.QueryServiceStub(self.server.channel).Search(request, metadata=metadata, timeout=60)
        return {passage.locator for passage in response.passages}


@pytest.fixture
def desk(flow: PipelineHarness, tmp_path: Path) -> Iterator[Desk]:
    flow.source = replace(flow.source, acl=("group:sales", "deny:user:ann"))

    def shared(own: VectorIndex) -> VectorIndex:
        own.close()
        return flow.index

    settings = flow.settings
    flow.connector.put("first.txt", "The first is at nine.", acl=("everyone",))
    flow.run()
    with running(tmp_path / "server", wrap=shared, open_store=lambda: open_store(settings)) as server:
        yield Desk(server, flow)


def failed(explained: pb.ExplainAccessResponse) -> set[str]:
    return {KIND.Name(check.kind).removeprefix("ACCESS_CHECK_KIND_") for check in explained.checks if not check.passed}


def random_acl(dice: random.Random) -> tuple[str, ...] | None:
    if dice.random() < 0.25:
        return None  # the default of the source
    entries = dice.sample(ENTRIES, dice.randint(1, 3))
    return tuple(f"deny:{entry}" if dice.random() < 0.3 else entry for entry in entries)


def test_explanation_and_search_agree_before_while_and_after_the_index_follows(desk: Desk) -> None:
    dice, flow = random.Random(37), desk.flow
    locators = [f"d{number}.txt" for number in range(14)]
    for locator in locators:
        flow.connector.put(locator, f"Paper {locator} is due at nine.", acl=random_acl(dice))
    flow.run()
    seen = _compare(desk, locators)
    for locator in locators[:8]:  # some gain, some lose, and no run tells the index
        flow.connector.put(locator, f"Paper {locator} is due at nine.", acl=random_acl(dice))
    del flow.connector.items[locators[8]]
    flow.store_documents(Scope(flow.source, "dies"), index_away=True)
    seen |= _compare(desk, locators)
    flow.run()
    seen |= _compare(desk, locators)
    assert seen >= {"ADMITTED", "NOT_REFUSED", "NOT_REVOKED", "INDEXED", "STORED"}


def _compare(desk: Desk, locators: list[str], people: Sequence[tuple[str, tuple[str, ...]]] = PEOPLE) -> set[str]:
    """Ask for each pair; returns the checks that failed. The search comes last: by then the server knows all."""
    seen: set[str] = set()
    for user, groups in people:
        explained = {locator: desk.explain(user, locator, groups) for locator in locators}
        assert {name for name, one in explained.items() if one.allowed} == desk.found(user, groups) & set(locators)
        for one in explained.values():
            assert one.allowed == (not failed(one)), one
            seen |= failed(one)
    return seen


def test_entries_say_where_they_come_from_and_where_they_meet(desk: Desk) -> None:
    desk.flow.connector.put("own.txt", "Own at nine.", acl=("group:hr", "user:cy", "deny:group:board"))
    desk.flow.connector.put("default.txt", "Default at nine.")
    desk.flow.run()
    with desk.flow.store.engine.begin() as connection:
        create_account(
            connection, NewAccount("lin", AccountRole.VIEWER, "acme", ("hr",)), "seven lamps of tin", actor="x/y"
        )
        key = create_key(connection, NewKey("mirror", "acme", ["query.read"], ["sales"], 7), actor="x/y")
    own = desk.explain("lin", "own.txt")
    assert own.allowed
    origins = {entry.entry: (pb.AccessOrigin.Name(entry.origin)[14:], entry.matches) for entry in own.entries}
    assert origins == {"everyone": ("TENANT", False), "user:lin": ("ACCOUNT", False), "group:hr": ("ACCOUNT", True)}
    assert {entry.entry: entry.matches for entry in own.acl} == {
        "group:hr": True, "user:cy": False, "deny:group:board": False
    }  # fmt: skip
    both = desk.explain("lin", "own.txt", ("hr", "board"))
    assert failed(both) == {"NOT_REFUSED"}
    assert [entry.entry for entry in both.acl if entry.matches] == ["group:hr", "deny:group:board"]
    default = desk.explain(f"key:{key.key_id}", "default.txt")
    assert default.allowed
    assert {pb.AccessOrigin.Name(entry.origin) for entry in default.acl} == {"ACCESS_ORIGIN_SOURCE"}
    assert desk.found_with((("x-api-key", key.text),)) >= {"default.txt"}
    with desk.flow.store.engine.begin() as connection:
        assert get_key(connection, key.key_id)
        revoke_key(connection, key.key_id, actor="x/y")
    revoked = desk.explain(f"key:{key.key_id}", "default.txt")
    assert (revoked.allowed, failed(revoked)) == (False, {"CREDENTIALS"})
    with desk.flow.store.engine.connect() as connection:
        entries = find(connection, AuditQuery(tenant="acme", action="access.explain"))
    assert {(entry.actor, entry.target) for entry in entries} == {
        ("acme/root", str(desk.flow.doc_id(name))) for name in ("own.txt", "default.txt")
    }
    assert entries[-1].details == {"user": "lin", "groups": [], "reason": "ticket 7"}


def test_who_leaves_a_group_of_a_directory_finds_nothing_of_it_whatever_index_and_token_say(desk: Desk) -> None:
    dice, flow = random.Random(38), desk.flow
    names = ("everyone", "corp/gid:1", "corp/gid:2", "corp/uid:3", "group:sales", "group:board", "corp/gid:404")
    locators = [f"d{number}.txt" for number in range(12)]
    for locator in locators:
        entries = dice.sample(names, dice.randint(1, 3))
        acl = tuple(f"deny:{entry}" if dice.random() < 0.25 else entry for entry in entries)
        flow.connector.put(locator, f"Paper {locator} is due at nine.", acl=acl)
    flow.connector.put("sales.txt", "Sales meet at nine.", acl=("corp/gid:2",))
    flow.run()
    # What a server knows of refused names is a second old at most.
    meant = {"first.txt", *_meant(desk, locators, ("group:sales",))}
    assert eventually(lambda: desk.found("ann", ("sales",)) == meant)
    engineers = DirectoryEntry("group:engineers", ("gid:1",), ("user:ann", "group:board"))
    read = [
        DirectoryEntry("user:ann", ("uid:3",)), DirectoryEntry("user:bo", active=False), engineers,
        DirectoryEntry("group:sales", ("gid:2",), ("group:engineers",)), DirectoryEntry("group:board"),
    ]  # fmt: skip
    assert _sync(desk, read)
    assert eventually(lambda: "sales.txt" in desk.found("ann"))
    seen = _compare(desk, locators, [person for person in PEOPLE if person[0] != "bo"])
    assert seen == {"ADMITTED", "NOT_REFUSED"}
    assert (desk.explain("bo", "first.txt").allowed, failed(desk.explain("bo", "first.txt"))) == (
        False,
        {"CREDENTIALS"},
    )
    assert failing(lambda: desk.found("bo", ("hr",))).reason == "PERSON_DISABLED"
    [way] = [entry for entry in desk.explain("ann", "sales.txt").entries if entry.matches]
    assert (way.entry, way.detail) == ("corp/gid:2", "corp: user:ann > group:engineers > group:sales")
    assert way.HasField("since")
    assert _sync(desk, [one if one is not engineers else replace(one, members=("group:board",)) for one in read])
    assert eventually(lambda: "sales.txt" not in desk.found("ann", ("sales",)))
    assert not desk.explain("ann", "sales.txt", ("sales",)).allowed
    assert "sales.txt" in desk.found("cy", ("board",))  # through groups in groups, from what the token names
    assert _compare(desk, [*locators, "sales.txt"], [("ann", ("sales",)), ("cy", ("board",))])


def _meant(desk: Desk, locators: list[str], groups: tuple[str, ...]) -> set[str]:
    own = {"everyone", "user:ann", *groups}
    acls = {locator: set(desk.flow.row(locator).acl) for locator in locators}
    refused = {f"deny:{entry}" for entry in own} | {
        f"deny:corp/{name}" for name in ("gid:1", "gid:2", "gid:404", "uid:3")
    }
    return {name for name, acl in acls.items() if acl & own and not acl & refused}


def test_a_document_that_refuses_a_name_no_directory_knows_is_hidden_until_one_does(desk: Desk) -> None:
    flow = desk.flow
    flow.connector.put("open.txt", "Open at nine.", acl=("everyone",))
    flow.connector.put("guests.txt", "No guests at nine.", acl=("everyone", "deny:corp/gid:9"))
    flow.run()
    assert eventually(lambda: desk.found("ann") >= {"open.txt"})
    assert eventually(lambda: "guests.txt" not in desk.found("ann"))  # known a second after it was written at most
    [refused] = [entry for entry in desk.explain("ann", "guests.txt").entries if entry.entry.startswith("deny:")]
    assert (refused.entry, refused.detail, refused.matches) == ("deny:corp/gid:9", "corp: not known", True)
    assert not [entry for entry in desk.explain("ann", "open.txt").entries if entry.entry.startswith("deny:")]
    _compare(desk, ["open.txt", "guests.txt"])
    guests = DirectoryEntry("group:guests", ("gid:9",), ("user:bo",))
    _sync(desk, [guests])
    assert eventually(lambda: "guests.txt" in desk.found("ann"))
    assert "guests.txt" not in desk.found("bo", ("hr",))
    _compare(desk, ["open.txt", "guests.txt"])
    flow.connector.put(
        "open.txt", "Open at nine.", acl=("everyone", "deny:corp/gid:10")
    )  # a change of permissions only
    flow.run()
    assert eventually(lambda: "open.txt" not in desk.found("ann"))
    _sync(desk, [replace(guests, names=("gid:9", "gid:10"))])
    assert eventually(lambda: desk.found("ann") >= {"open.txt", "guests.txt"})
    _sync(desk, [])
    assert eventually(lambda: not desk.found("ann") & {"open.txt", "guests.txt"})


def _sync(desk: Desk, entries: list[DirectoryEntry]) -> int:
    with desk.flow.store.engine.begin() as connection:
        return sync(connection, "acme", "corp", "file", entries).changed


def test_only_administrators_of_the_tenant_may_ask_and_another_tenants_document_is_an_unknown_one(desk: Desk) -> None:
    for scopes in (["query.read", "documents.read", "documents.write"], ["ops.write"], ["platform.read"]):
        refused = failing(lambda: desk.explain("ann", "first.txt", scopes=scopes))  # noqa: B023
        assert refused.reason == "SCOPE_MISSING"
    other = failing(lambda: desk.explain("ann", "first.txt", tenant="other"))
    unknown = failing(lambda: desk.explain("ann", "00000000-0000-0000-0000-000000000000"))
    assert (other.code, other.reason, other.message) == (unknown.code, unknown.reason, unknown.message)
    assert unknown.reason == "DOCUMENT_NOT_FOUND"
    assert failing(lambda: desk.explain("", "first.txt")).reason == "FIELD_INVALID"
    assert failing(lambda: desk.explain("key:nope", "first.txt")).reason == "API_KEY_NOT_FOUND"
    assert failing(lambda: desk.explain("key:nope", "first.txt", ("hr",))).reason == "FIELD_INVALID"
    assert failing(lambda: desk.explain("ann", "first.txt", ("hr",) * 201)).reason == "FIELD_INVALID"
