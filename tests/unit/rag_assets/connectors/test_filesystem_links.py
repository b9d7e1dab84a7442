from __future__ import annotations

import os
from pathlib import Path

import pytest

from rag_core.content.sources import SourceItem
from rag_core.errors import InvalidInput, Reason
from tests.unit.rag_assets.connectors.conftest import Open
from tests.unit.rag_assets.connectors.listings import item, locators, problems


@pytest.mark.catalogue("B26")
def test_links_are_skipped_and_counted_by_default(root: Path, connect: Open) -> None:
    (root / "real.txt").write_text("real")
    (root / "link.txt").symlink_to(root / "real.txt")
    connector = connect(include=["*.txt"])
    assert locators(connector) == ["real.txt"]
    found = problems(connector)["link.txt"]
    assert (found.reason, found.skipped) == (Reason.SYMLINK_IGNORED, True)


@pytest.mark.catalogue("B26")
def test_links_that_stay_inside_are_followed_on_request(root: Path, connect: Open) -> None:
    (root / "sub").mkdir()
    (root / "sub" / "real.txt").write_text("real")
    (root / "link.txt").symlink_to("sub/real.txt")
    (root / "folder").symlink_to(root / "sub")
    connector = connect(symlinks="within_root")
    assert locators(connector) == ["folder/real.txt", "link.txt", "sub/real.txt"]
    assert connector.fetch(item(connector, "folder/real.txt")).content == b"real"
    assert connector.fetch(item(connector, "link.txt")).content == b"real"


@pytest.mark.catalogue("B26")
@pytest.mark.parametrize("target", ["../outside/secret.txt", "../outside", "/etc/passwd", "/proc/self/environ"])
def test_a_link_that_leads_outside_is_quarantined_not_read(root: Path, connect: Open, target: str) -> None:
    (root / "link").symlink_to(target)
    connector = connect(symlinks="within_root")
    assert locators(connector) == []
    assert problems(connector)["link"].reason == Reason.SYMLINK_ESCAPE
    with pytest.raises(InvalidInput) as caught:
        connector.fetch(SourceItem("link", "t"))
    assert caught.value.reason is Reason.SYMLINK_ESCAPE


@pytest.mark.catalogue("B26")
@pytest.mark.parametrize("symlinks", ["skip", "within_root"])
def test_link_loops_end(root: Path, connect: Open, symlinks: str) -> None:
    (root / "sub").mkdir()
    (root / "sub" / "a.txt").write_text("a")
    (root / "sub" / "up").symlink_to(root)
    (root / "self").symlink_to("self")
    (root / "ping").symlink_to("pong")
    (root / "pong").symlink_to("ping")
    listing = connect(symlinks=symlinks).list_items()
    entries = [entry.locator for entry in listing if isinstance(entry, SourceItem)]
    assert entries == ["sub/a.txt"]
    assert listing.complete


@pytest.mark.catalogue("B26")
@pytest.mark.parametrize("symlinks", ["skip", "within_root"])
def test_a_folder_swapped_for_a_link_after_the_listing_is_not_followed(
    root: Path, connect: Open, symlinks: str
) -> None:
    (root / "sub").mkdir()
    (root / "sub" / "secret.txt").write_text("public")
    connector = connect(symlinks=symlinks)
    listed = item(connector, "sub/secret.txt")
    (root / "sub").rename(root / "old")
    (root / "sub").symlink_to("../outside")
    with pytest.raises(InvalidInput) as caught:
        connector.fetch(listed)
    assert caught.value.reason is Reason.SYMLINK_ESCAPE


@pytest.mark.catalogue("B26")
def test_a_link_swapped_between_resolving_and_opening_is_not_followed(
    root: Path, connect: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "real.txt").write_text("public")
    (root / "link.txt").symlink_to("real.txt")
    connector = connect(symlinks="within_root")
    listed = item(connector, "link.txt")
    real_resolve = Path.resolve

    def resolve_then_swap(path: Path, strict: bool = False) -> Path:
        resolved = real_resolve(path, strict=strict)
        if resolved.name == "real.txt":
            resolved.unlink()
            resolved.symlink_to("../outside/secret.txt")
        return resolved

    monkeypatch.setattr(Path, "resolve", resolve_then_swap)
    with pytest.raises(InvalidInput) as caught:
        connector.fetch(listed)
    assert caught.value.reason is Reason.SYMLINK_ESCAPE


@pytest.mark.catalogue("B26")
def test_hard_links_are_refused_on_request(root: Path, connect: Open) -> None:
    os.link(root.parent / "outside" / "secret.txt", root / "hard.txt")
    assert locators(connect()) == ["hard.txt"]
    assert problems(connect(hard_links="refuse"))["hard.txt"].reason == Reason.SYMLINK_ESCAPE


def test_the_root_itself_may_be_a_link(root: Path, connect: Open) -> None:
    (root / "a.txt").write_text("a")
    alias = root.with_name("alias")
    alias.symlink_to(root)
    connector = connect(root=str(alias))
    assert connector.fetch(item(connector, "a.txt")).content == b"a"
