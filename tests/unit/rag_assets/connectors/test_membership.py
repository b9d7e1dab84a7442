"""Readers from the users and nested groups of a source: mapped, refreshed when due, closed when unknown."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from rag_assets.connectors import membership
from rag_assets.connectors.fields import NOBODY
from rag_assets.connectors.membership import Group, Membership
from rag_core.content.sources import TransientMemory
from rag_core.errors import InvalidInput, Reason, Unavailable


class Directory:
    """Groups of a source; `away` makes them unreadable, and `now` is the time."""

    def __init__(self, *groups: Group) -> None:
        self.groups, self.away, self.reads, self.now = list(groups), False, 0, 1000.0
        self.memory = TransientMemory()

    def read(self) -> Iterator[Group]:
        self.reads += 1
        if self.away:
            raise Unavailable(Reason.HTTP_STATUS, "the directory answers with status 500")
        yield from self.groups

    def open(self, **more: Any) -> Membership:
        options = {"refresh_seconds": 60, "most_seconds": 600, **more}
        return Membership(self.read, self.memory, clock=lambda: self.now, **options)


def test_a_group_of_the_identity_provider_stays_a_group_and_the_rest_becomes_users() -> None:
    directory = Directory(Group("all", ("ann",), ("staff", "guests")), Group("guests", ("bob",)))
    members = directory.open(same_groups={"staff": "acme-staff"})
    assert members.acl(["eve"], ["all"]) == ("group:acme-staff", "user:ann", "user:bob", "user:eve")


def test_groups_in_a_circle_end() -> None:
    members = Directory(Group("a", ("ann",), ("b",)), Group("b", ("bob",), ("a",))).open()
    assert members.acl([], ["a"]) == members.acl([], ["b"]) == ("user:ann", "user:bob")


@pytest.mark.parametrize(("users", "groups"), [([], []), ([], ["unknown"]), (["a b"], []), (["", "x" * 300], [])])
def test_what_is_unknown_or_cannot_be_a_reader_admits_nobody(users: list[str], groups: list[str]) -> None:
    assert Directory().open().acl(users, groups) == (NOBODY,)


def test_a_list_is_read_again_when_it_is_due_and_kept_from_run_to_run() -> None:
    directory = Directory(Group("a", ("ann",)))
    assert directory.open().acl([], ["a"]) == ("user:ann",)
    directory.groups = [Group("a", ("bob",))]
    directory.now += 59
    assert directory.open().acl([], ["a"]) == ("user:ann",)
    directory.now += 1
    members = directory.open()
    assert members.acl([], ["a"]) == ("user:bob",)
    directory.now += 60
    directory.groups = []
    assert (members.acl([], ["a"]), directory.reads) == ((NOBODY,), 3)


def test_without_a_list_that_is_young_enough_nothing_is_mapped() -> None:
    directory = Directory(Group("a", ("ann",)))
    directory.away = True
    with pytest.raises(Unavailable):
        directory.open().acl([], ["a"])
    assert directory.open().acl(["eve"], []) == ("user:eve",)  # which needs no list
    directory.away = False
    directory.open().version_tag()
    directory.away = True
    directory.now += 599
    assert directory.open().acl([], ["a"]) == ("user:ann",)
    directory.now += 1
    for work in (
        lambda: directory.open().acl([], ["a"]),
        lambda: directory.open().tag([], ["a"]),
        directory.open().version_tag,
    ):
        with pytest.raises(Unavailable, match="nothing is read without them"):
            work()


def test_the_tags_follow_who_may_read() -> None:
    directory = Directory(Group("a", ("ann",), ("b",)), Group("b", ("bob",)), Group("c", ("eve",)))
    before = directory.open()
    tags = (before.tag([], ["a"]), before.tag([], ["c"]), before.version_tag())
    directory.groups[1] = Group("b")
    directory.now += 60
    after = directory.open()
    now = (after.tag([], ["a"]), after.tag([], ["c"]), after.version_tag())
    assert [one == two for one, two in zip(tags, now, strict=True)] == [False, True, False]


def test_too_many_readers_and_groups_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(membership, "MAX_READERS", 3)
    members = Directory(Group("a", tuple("abcd"))).open()
    with pytest.raises(InvalidInput):
        members.acl([], ["a"])
    monkeypatch.setattr(membership, "MAX_GROUPS", 1)
    with pytest.raises(Unavailable):
        Directory(Group("a"), Group("b")).open().acl([], ["a"])
