"""Folders that report their changes: what that brings in, and how seldom they are looked at."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from tests.support.waiting import eventually
from tests.unit.rag_assets.connectors.listings import settle
from tests.unit.rag_assets.stream_worker.installation import Installation


def mount(monkeypatch: pytest.MonkeyPatch, **file_systems: str) -> None:
    """Have the folders with these names be of these file systems, and all else of a local one."""

    def partitions(**_: object) -> list[SimpleNamespace]:
        return [SimpleNamespace(mountpoint=point, fstype=kind) for point, kind in {"/": "ext4", **file_systems}.items()]

    monkeypatch.setattr(psutil, "disk_partitions", partitions)


@pytest.mark.catalogue("F21")
def test_what_changes_in_a_folder_is_searchable_and_what_is_deleted_is_gone(installation: Installation) -> None:
    root = installation.add("handbook", sensor={"interval_seconds": 86_400})
    installation.start()
    assert eventually(lambda: installation.is_looked_at("handbook"))
    (root / "1.md").write_text("Changed: valve.")
    assert eventually(lambda: installation.texts().get("1.md") == "Changed: valve.")
    (root / "new").mkdir()
    (root / "new" / "deep.md").write_text("New: turbine.")
    assert eventually(lambda: installation.texts().get("new/deep.md") == "New: turbine.")
    (root / "new" / "later.md").write_text("Later: rotor.")
    assert eventually(lambda: "new/later.md" in installation.texts())
    (root / "0.md").unlink()
    assert eventually(lambda: "0.md" not in installation.texts())
    assert installation.wanted == {}


def test_a_source_whose_folder_goes_away_is_given_back_until_it_is_there_again(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    mount(monkeypatch)
    root = installation.add("handbook")
    installation.start()
    assert eventually(lambda: installation.is_watched("handbook"))
    root.rename(root.with_name("away"))
    assert eventually(lambda: installation.observed("handbook") is None)
    root.with_name("away").rename(root)
    assert eventually(lambda: installation.is_looked_at("handbook"))


@pytest.mark.parametrize(
    ("file_system", "changes", "pause"),
    [("ext4", {}, 300), ("nfs4", {}, 30), ("ext4", {"sensor": {"interval_seconds": 40}}, 40)],
)
def test_a_folder_that_reports_every_change_is_looked_at_less_often(
    installation: Installation,
    monkeypatch: pytest.MonkeyPatch,
    file_system: str,
    changes: dict[str, Any],
    pause: float,
) -> None:
    roots = [installation.add("handbook", **changes), installation.add("local")]
    mount(monkeypatch, **{str(roots[0]): file_system})
    for root in roots:
        settle(root)
    installation.start()
    assert eventually(lambda: installation.rest("local") == pytest.approx(300, rel=0.2))  # so both are watched
    assert eventually(lambda: installation.rest("handbook") == pytest.approx(pause, rel=0.2))


@pytest.mark.parametrize("linked", [False, True])
def test_a_folder_that_takes_the_place_of_another_is_read_and_watched_though_nothing_reports_it(
    installation: Installation, monkeypatch: pytest.MonkeyPatch, linked: bool
) -> None:
    mount(monkeypatch)
    releases = [installation.folder / name / "handbook" for name in ("first", "second")]
    for number, release in enumerate(releases):
        release.mkdir(parents=True)
        (release / "old.md").write_text(f"Release {number} has a pump.")
        settle(release)
    current = installation.folder / "current"

    def release(number: int) -> None:
        before = releases[number].parent
        if linked:
            (installation.folder / "next").symlink_to(before)
            (installation.folder / "next").rename(current)
        else:
            if current.exists():
                current.rename(installation.folder / "away")
            before.rename(current)

    release(0)
    never = {"interval_seconds": 86_400}
    installation.configure("handbook", options={"kind": "folder", "root": str(current / "handbook")}, sensor=never)
    installation.run("handbook")
    installation.start()
    assert eventually(lambda: installation.is_watched("handbook"))
    release(1)
    assert eventually(lambda: installation.texts().get("old.md") == "Release 1 has a pump.")
    (current / "handbook" / "new.md").write_text("New: rotor.")
    assert eventually(lambda: "new.md" in installation.texts())
