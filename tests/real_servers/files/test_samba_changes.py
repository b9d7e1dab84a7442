"""Shares that a worker watches: changes that Samba reports, connections that break, and servers that report nothing."""

from __future__ import annotations

from typing import Any

import pytest

from rag_core.governance.access import EVERYONE
from tests.support.descriptors import READ
from tests.support.samba import WORLD, Namespace
from tests.support.waiting import eventually
from tests.unit.rag_assets.stream_worker.test_listed_sources import Installation

pytestmark = pytest.mark.real_servers


def observe(installation: Installation, options: dict[str, Any], seconds: int = 86_400) -> None:
    """Read a share once, and watch it; it is looked at in intervals of a day."""
    installation.configure("share", options=options, sensor={"interval_seconds": seconds})
    installation.run("share")
    installation.start()


def test_what_changes_on_a_share_is_reported(installation: Installation, namespace: Namespace) -> None:
    server = namespace.first
    server.write("team/a.txt", "The first text.")
    observe(installation, server.options(path="/team"))
    server.put("/team/b.txt", "A second text.")
    assert eventually(lambda: installation.texts().get("b.txt") == "A second text.")
    (server.folder / "files/team/deep").mkdir()
    server.put("/team/deep/c.txt", "A third text.")
    assert eventually(lambda: "deep/c.txt" in installation.texts())
    server.put("/team/deep/c.txt", "The third text again.")
    assert eventually(lambda: installation.texts()["deep/c.txt"] == "The third text again.")
    server.put("/team/a.txt", "Another text.")
    assert eventually(lambda: installation.texts()["a.txt"] == "Another text.")
    assert installation.wanted == {}


def test_permissions_that_change_are_reported(installation: Installation, namespace: Namespace) -> None:
    server = namespace.first
    server.write("a.txt", "The text.")
    server.protect("/a.txt", [(0, 0, READ, WORLD)])
    more: dict[str, Any] = {"directory": "corp", "share_readers": [EVERYONE], "bypass_traverse_checking": True}
    observe(installation, server.options(**more))
    for sid in (server.sids["daemon"], server.sids["games"]):
        server.protect("/a.txt", [(0, 0, READ, sid)])
        readers = [f"corp/sid:{sid}"]
        assert eventually(lambda: installation.acl("a.txt") == readers)  # noqa: B023 - called before the next turn


def test_a_connection_that_broke_is_opened_again(installation: Installation, namespace: Namespace) -> None:
    server = namespace.first
    server.write("a.txt", "The text.")
    observe(installation, server.options())
    server.put("/b.txt", "A second text.")
    assert eventually(lambda: "b.txt" in installation.texts())
    server.stop()
    server.write("c.txt", "Written while nobody could say so.")
    server.start()
    assert eventually(lambda: "c.txt" in installation.texts())
    server.put("/d.txt", "Written after.")
    assert eventually(lambda: "d.txt" in installation.texts())


def test_what_links_of_dfs_lead_to_is_watched(installation: Installation, namespace: Namespace) -> None:
    namespace.second.write("sales/a.txt", "The text.")
    namespace.second.write("legal/b.txt", "Another text.")
    namespace.link("plain/sales", "127.0.0.2/docs/sales")
    observe(installation, namespace.options)
    namespace.second.put("/sales/c.txt", "A third text.")
    assert eventually(lambda: "plain/sales/c.txt" in installation.texts())
    namespace.link("legal", "127.0.0.2/docs/legal")
    assert eventually(lambda: "legal/b.txt" in installation.texts())
    namespace.second.put("/legal/d.txt", "A fourth text.")
    assert eventually(lambda: "legal/d.txt" in installation.texts())


def test_what_is_not_reported_is_found_in_intervals(installation: Installation, namespace: Namespace) -> None:
    namespace.first.write("deep/a.txt", "The text.")
    observe(installation, namespace.first.options(), seconds=5)
    for name in ("b.txt", "c.txt"):  # written on the server's own disk: Samba sees that at the top of a share alone
        namespace.first.write(f"deep/{name}", "Another text.")
        assert eventually(lambda name=name: f"deep/{name}" in installation.texts())  # type: ignore[misc]
