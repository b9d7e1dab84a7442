"""Readers of files from owner, group and mode: never more than the system lets read, and as many as an ACL can say."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from rag_assets.connectors.fields import NOBODY
from rag_assets.connectors.filesystem.connector import FilesystemConnector
from rag_assets.connectors.filesystem.options import FilesystemOptions
from rag_assets.connectors.outside import ConnectorContext
from rag_core.content.sources import SourceItem
from rag_core.governance.access import admits

ANN, BO, CY, DI = people = [(1000, {100}), (1001, {100}), (1002, {200}), (1003, {100, 200})]
"""A user id and the ids of the groups."""


def connect(root: Path) -> FilesystemConnector:
    options = FilesystemOptions(kind="folder", root=str(root), directory="corp")
    return FilesystemConnector(options, ConnectorContext(1000))


def acl_of(root: Path) -> tuple[str, ...]:
    connector = connect(root)
    listing = connector.list_items()
    [item] = listing
    assert isinstance(item, SourceItem)
    fetched = connector.fetch(item)
    assert fetched.acl is not None
    return fetched.acl


def system_lets(statuses: list[os.stat_result], user: tuple[int, set[int]]) -> bool:
    """Whether the first class of each place that the user is in has the right."""
    for place, status in enumerate(statuses):
        bit = 4 if place == len(statuses) - 1 else 1
        shift = 6 if status.st_uid == user[0] else 3 if status.st_gid in user[1] else 0
        if not status.st_mode >> shift & bit:
            return False
    return True


def entries(user: tuple[int, set[int]]) -> list[str]:
    return ["everyone", f"corp/uid:{user[0]}", *(f"corp/gid:{group}" for group in user[1])]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files to others")
def test_nobody_finds_what_the_system_does_not_let_them_read(tmp_path: Path) -> None:
    dice, found = random.Random(7), 0
    folder, file = tmp_path / "root" / "team", tmp_path / "root" / "team" / "a.txt"
    folder.mkdir(parents=True)
    file.write_text("Plan.")
    places = (folder.parent, folder, file)
    for _ in range(60):
        for place in places:
            os.chown(place, dice.choice((1000, 1001)), dice.choice((100, 200)))
            place.chmod(dice.choice((0o755, 0o751, 0o750, 0o710, 0o705, 0o077, 0o644, 0o640, 0o604, 0o444)))
        acl, statuses = acl_of(folder.parent), [place.stat() for place in places]
        seen = {user[0] for user in people if admits(acl, entries(user))}
        may = {user[0] for user in people if system_lets(statuses, user)}
        assert seen <= may, (acl, statuses)
        found += len(seen)
    assert found > 30


def test_plain_modes_are_said_exactly_and_a_folder_narrows_its_files(tmp_path: Path) -> None:
    root, file = tmp_path / "root", tmp_path / "root" / "a.txt"
    root.mkdir()
    file.write_text("Plan.")
    own, group = f"corp/uid:{file.stat().st_uid}", f"corp/gid:{file.stat().st_gid}"
    expected = {
        (0o755, 0o644): {own, group, "everyone"},
        (0o755, 0o640): {own, group},
        (0o755, 0o600): {own},
        (0o750, 0o644): {own, group},
        (0o700, 0o644): {own},
        (0o755, 0o604): {own, "everyone", f"deny:{group}"},
        (0o711, 0o644): {own, group, "everyone"},
    }
    if os.geteuid() == 0:  # others could not list it
        expected |= {(0o755, 0o044): {group, "everyone", f"deny:{own}"}, (0o755, 0o000): {NOBODY}}
    tags = set()
    for (outer, inner), readers in expected.items():
        root.chmod(outer)
        file.chmod(inner)
        assert set(acl_of(root)) == readers, (oct(outer), oct(inner))
        tags.add(connect(root).version_tag())
    assert len(tags) == len(expected)
    with pytest.raises(ValueError, match="symlinks: skip"):
        FilesystemOptions(kind="folder", root="/srv", directory="corp", symlinks="within_root")


def test_a_changed_folder_changes_the_version_tag_of_its_files(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "a.txt").write_text("Plan.")
    before = connect(tmp_path / "root").version_tag()
    (tmp_path / "root").chmod(0o700)
    assert connect(tmp_path / "root").version_tag() != before
