"""Readers of files in SharePoint: what Graph's permissions become, and how a change of them is seen."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from rag_assets.connectors.fields import NOBODY
from rag_assets.connectors.sharepoint.permissions import acl_of, grants
from rag_assets.testing import FakeServer
from tests.support.connector_runs import SourceRuns
from tests.support.graph_server import LIBRARY, ROOT, GraphServer, error, group, person

Source = SourceRuns[GraphServer]
SITE = "acme.sharepoint.com/sites/hr"
GUID = "0f8fad5b-d9cb-469f-a165-70867728950e"
TENANT = "7c9e6679-7425-40de-944b-e07fc1f90ae7"


@pytest.fixture
def source(monkeypatch: pytest.MonkeyPatch) -> Iterator[Source]:
    monkeypatch.setenv("RAG_SECRET_GRAPH", "secret")
    with FakeServer() as server, FakeServer() as downloads:
        yield SourceRuns(GraphServer(server, downloads), LIBRARY)


def claim(login: str, **more: Any) -> dict[str, Any]:
    return {"roles": ["read"], "grantedToV2": {"siteUser": {"id": "9", "loginName": login}, **more}}


def link(scope: str | None, *people: str, **more: Any) -> dict[str, Any]:
    named = [person(name)["grantedToV2"] for name in people]
    return {"roles": ["read"], "link": {"scope": scope, "type": "view"}, "grantedToIdentitiesV2": named, **more}


@pytest.mark.parametrize(
    ("permission", "names"),
    [
        (person("Ann"), ["email:ann@acme.example"]),
        (claim("i:0#.f|membership|Bo@acme.example"), ["email:bo@acme.example"]),
        ({"roles": ["owner"], "grantedToV2": {"user": {"id": GUID.upper()}}}, [f"external:{GUID}"]),
        (group(GUID), [f"external:{GUID}"]),
        (claim(f"c:0t.c|tenant|{GUID}"), [f"external:{GUID}"]),
        (claim(f"c:0o.c|federateddirectoryclaimprovider|{GUID}"), [f"external:{GUID}"]),
        (claim(f"c:0o.c|federateddirectoryclaimprovider|{GUID}_o", group={"id": GUID}), []),  # its owners alone
        (claim("c:0(.s|true"), ["everyone"]),
        (claim(f"c:0-.f|rolemanager|spo-grid-all-users/{TENANT}", user={"id": "x"}), ["organization:everyone"]),
        (claim("c:0!.s|windows"), []),
        (
            {"roles": ["write"], "grantedToV2": {"siteGroup": {"id": "5"}, "sharePointGroup": {"id": GUID}}},
            [f"site-group:{GUID}", f"site-group:{SITE}/5"],
        ),
        ({"roles": ["read"], "grantedToV2": {"application": {"id": GUID}}}, []),
        ({"roles": ["read"], "invitation": {"email": "cy@example.com"}}, []),
        (person("ann", roles=["sp.limited"]), []),
        (person("ann", roles=[]), []),
        (link("anonymous"), ["link:anonymous"]),
        (link("organization", "ann"), ["email:ann@acme.example", "link:organization"]),
        (link("users", "ann", "bo"), ["email:ann@acme.example", "email:bo@acme.example"]),
        (link("existingAccess"), []),
        (link("anonymous", hasPassword=True), []),
    ],
)
def test_a_permission_becomes_the_names_that_a_directory_can_know(permission: dict[str, Any], names: list[str]) -> None:
    entries = acl_of(grants([permission], SITE), "corp", 0)
    expected = tuple(name if name == "everyone" else f"corp/{name}" for name in names)
    assert entries == (expected or (NOBODY,))


def test_a_permission_that_has_ended_lets_nobody_read() -> None:
    ends = datetime(2026, 12, 1, tzinfo=UTC)
    granted = grants([person("ann", expirationDateTime="2026-12-01T00:00:00Z"),
                      person("bo", expirationDateTime="0001-01-01T00:00:00Z")], SITE)  # fmt: skip
    assert acl_of(granted, "corp", ends.timestamp() - 1) == (
        "corp/email:ann@acme.example",
        "corp/email:bo@acme.example",
    )
    assert acl_of(granted, "corp", ends.timestamp()) == ("corp/email:bo@acme.example",)


@pytest.fixture
def library(source: Source) -> Source:
    """A library with a file in its root, and one in a folder with permissions of its own."""
    source.options = {"directory": "corp"}
    folder = source.server.folder("own")
    source.server.permit(folder, [person("ann")])
    source.server.put("a.txt", "text")
    source.server.put("b.txt", "text", source.server.folder("deep", folder))
    return source


def acls(source: Source) -> dict[str, tuple[str, ...] | None]:
    return {path: one.acl for path, one in source.fetched().items()}


def test_permissions_are_inherited_until_a_folder_has_its_own(library: Source) -> None:
    assert acls(library) == {
        "a.txt": (f"corp/site-group:{SITE}/5",),
        "own/deep/b.txt": ("corp/email:ann@acme.example",),
    }


def test_a_change_above_a_file_is_seen_by_the_next_poll_although_no_delta_names_it(library: Source) -> None:
    before, _ = library.listed()
    tag = library.poll()
    library.server.permit(ROOT, [group(GUID)])
    assert library.poll() != tag
    after, _ = library.listed()
    assert {path for path in after if before[path] != after[path]} == {"a.txt"}
    folder = next(key for key, one in library.server.items.items() if one["name"] == "own")
    library.server.permit(folder, [])
    assert acls(library) == {"a.txt": (f"corp/external:{GUID}",), "own/deep/b.txt": (NOBODY,)}


def test_a_file_that_moves_has_the_readers_of_its_new_folder(library: Source) -> None:
    library.listed()
    folder = next(key for key, one in library.server.items.items() if one["name"] == "deep")
    library.server.move(folder, ROOT)  # the delta names the folder, and nothing in it
    found = library.fetched()["deep/b.txt"]
    assert found.acl == (f"corp/site-group:{SITE}/5",)
    assert found.item.version_tag == library.listed()[0]["deep/b.txt"]


def test_a_change_that_nothing_names_is_seen_when_permissions_are_old(
    library: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, _ = library.listed()
    tag = library.poll()
    file = next(key for key, one in library.server.items.items() if one["name"] == "a.txt")
    library.server.permit(file, [person("bo")])
    assert library.poll() == tag
    later = datetime.now(UTC).timestamp() + 25 * 3600
    monkeypatch.setattr("time.time", lambda: later)
    assert library.poll() != tag
    assert library.listed()[0]["a.txt"] != before["a.txt"]


def test_a_permission_that_ends_changes_the_tag_without_a_change_in_sharepoint(
    library: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = next(key for key, one in library.server.items.items() if one["name"] == "a.txt")
    ends = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)
    library.server.permit(file, [person("bo", expirationDateTime=ends.isoformat()), person("ann")])
    before, _ = library.listed()
    tag = library.poll()
    monkeypatch.setattr("time.time", lambda: ends.timestamp() + 1)
    assert (library.poll() != tag, library.listed()[0]["a.txt"] != before["a.txt"]) == (True, True)
    assert acls(library)["a.txt"] == ("corp/email:ann@acme.example",)


def test_permissions_are_read_twenty_at_a_time_and_once(source: Source) -> None:
    source.options = {"directory": "corp"}
    for number in range(45):
        source.server.put(f"{number}.txt", "text")
    source.paths()
    assert source.server.calls("/$batch") == 1 + 3  # the library, and 45 files
    source.paths()
    assert source.server.calls("/$batch") == 1 + 3 + 1


def test_permissions_that_may_not_be_read_make_the_listing_incomplete(
    library: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = error(403, "accessDenied")
    answer = library.server._answer
    monkeypatch.setattr(
        library.server, "_answer", lambda path, *more: refused if path.endswith("/permissions") else answer(path, *more)
    )
    found, problem = library.listed()
    assert (found, str(problem).partition(":")[0]) == ({}, "ACCESS_REFUSED")


def test_what_changed_is_asked_for_with_the_permission_for_it(library: Source) -> None:
    library.options |= {"sharing_changes": True}
    library.listed()
    (asked,) = {one.headers["prefer"] for one in library.server.server.requests if one.path.endswith("/delta")}
    assert "deltashowsharingchanges" in asked
    assert "hierarchicalsharing" in asked
