"""Namespaces of DFS against two servers of Samba: links that are followed, that change, and whose server is away."""

from __future__ import annotations

import pytest

from rag_assets.connectors.files.options import SmbOptions
from rag_assets.connectors.kind import Opened
from rag_core.content.sources import SourceItem
from rag_core.governance.access import EVERYONE
from tests.support.descriptors import PASS, READ
from tests.support.pipeline import PipelineHarness
from tests.support.samba import FULL, WORLD, Namespace

pytestmark = pytest.mark.real_servers


def test_documents_keep_their_names_whichever_server_a_link_leads_to(namespace: Namespace) -> None:
    namespace.first.write("sales/a.txt", "first")
    namespace.second.write("deep/sales/a.txt", "second")
    namespace.second.write("b.txt", "also")
    namespace.link("plain/b", "127.0.0.2/docs")
    namespace.link("a", "127.0.0.1/docs/sales")
    rest = {"plain/b/b.txt": "also", "plain/b/deep/sales/a.txt": "second"}
    assert namespace.listed() == ({"a/a.txt": "first"} | rest, [], None)
    namespace.link("a", "127.0.0.1/gone", "127.0.0.2/docs/nowhere", "127.0.0.2/docs/deep/sales")
    assert namespace.listed() == ({"a/a.txt": "second"} | rest, [], None)
    assert namespace.listed(path="/plain/b/deep") == ({"sales/a.txt": "second"}, [], None)


def test_links_lead_over_other_namespaces_and_never_in_circles(namespace: Namespace) -> None:
    namespace.first.write("a.txt", "The text.")
    namespace.link("next", "127.0.0.2/links")
    namespace.link("docs", "127.0.0.1/docs", server=namespace.second)
    assert namespace.listed() == ({"next/docs/a.txt": "The text."}, [], None)
    assert namespace.listed(share="elsewhere") == ({"docs/a.txt": "The text."}, [], None)
    namespace.link("back", "127.0.0.1/links", server=namespace.second)
    texts, _, error = namespace.listed()
    assert texts == {"next/docs/a.txt": "The text."}
    assert error == "LISTING_INCOMPLETE: the link of DFS at /next/back: it leads back to a folder above it"


def test_only_named_servers_are_signed_in_to(namespace: Namespace) -> None:
    namespace.first.write("a.txt", "The text.")
    namespace.link("here", "127.0.0.1/docs")
    namespace.link("there", "127.0.0.2/docs")
    texts, problems, error = namespace.listed(dfs_servers=["127.0.0.3"])
    said = "it leads to the server 127.0.0.2, which `dfs_servers` does not name"
    assert (texts, problems) == ({"here/a.txt": "The text."}, [])
    assert error == f"SOURCE_NOT_ALLOWED: the link of DFS at /there: {said}"
    assert namespace.listed(dfs_servers=[]) == ({}, ["SYMLINK_IGNORED"] * 2, None)
    _, _, error = namespace.listed(dfs_servers=[], path="/here")
    assert str(error).startswith("SOURCE_UNAVAILABLE: the path is a link of DFS; name the servers")
    opened = SmbOptions.model_validate(namespace.options).opened()
    assert opened == Opened(endpoints=(("127.0.0.1", namespace.first.port), ("127.0.0.2", namespace.first.port)))


def test_what_is_behind_a_link_whose_server_is_away_stays_and_the_rest_goes_on(
    namespace: Namespace, flow: PipelineHarness
) -> None:
    namespace.first.write("a.txt", "The first text.")
    namespace.second.write("b.txt", "The other text.")
    namespace.link("z", "127.0.0.2/docs")
    namespace.link("b", "127.0.0.1/docs")

    def read() -> set[str]:
        with namespace.connector() as connector:
            flow.connector = connector  # type: ignore[assignment]
            flow.run()
        return set(flow.indexed_text())

    assert read() == {"z/b.txt", "b/a.txt"}
    namespace.first.write("new.txt", "A new text.")
    namespace.second.stop()
    try:
        _, _, error = namespace.listed()
        assert str(error).startswith("SOURCE_UNAVAILABLE: the link of DFS at /z: "), error
        assert read() == {"z/b.txt", "b/a.txt", "b/new.txt"}
    finally:
        namespace.second.start()
    (namespace.second.folder / "files" / "b.txt").unlink()
    assert read() == {"b/a.txt", "b/new.txt"}


def test_who_may_pass_through_the_folders_of_a_target_counts(namespace: Namespace) -> None:
    namespace.second.write("deep/sales/a.txt", "The text.")
    sid = namespace.second.sids["daemon"]
    namespace.second.protect("/deep/sales/a.txt", [(0, 0, READ, WORLD)])
    namespace.second.protect("/deep/sales", [(0, 0, FULL, WORLD)])
    namespace.second.protect("/deep", [(0, 0, PASS, sid)])
    namespace.link("a", "127.0.0.2/docs/deep/sales")
    more = {"directory": "corp", "share_readers": [EVERYONE]}
    with namespace.connector(**more) as connector:
        (item,) = (one for one in connector.list_items() if isinstance(one, SourceItem))
        assert connector.fetch(item).acl == (f"corp/sid:{sid}",)
    with namespace.connector(**more, bypass_traverse_checking=True) as connector:
        assert connector.fetch(item).acl == (EVERYONE,)
