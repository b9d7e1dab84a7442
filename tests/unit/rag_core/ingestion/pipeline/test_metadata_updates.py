"""Permissions and deletions: noted with their commit, in the index before the later stages, settled by its mark."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from rag_core.content.sources import Scope
from rag_core.governance.access import store as visibility
from tests.support.pipeline import PipelineHarness


def noted(flow: PipelineHarness, *, most: int = 100) -> dict[str | None, frozenset[str]]:
    """Locator to who may see it, of what is withheld now; `None` stands for the whole source."""
    names = {flow.doc_id(locator): locator for locator in ("a.txt", "b.txt", "c.txt")}
    with flow.store.engine.connect() as connection:
        found = visibility.pending_revocations(connection, most=most)
    return {names[one.doc_id] if one.doc_id else None: one.acl for one in found}


def changes(flow: PipelineHarness) -> int:
    return int(flow.one("SELECT count(*) FROM rag.visibility_changes")[0])


def documents_stage(flow: PipelineHarness, *, index_away: bool = False) -> int:
    """Run the first stage alone; returns how many documents it has brought to the index."""
    scope = Scope(flow.source, f"run-{next(flow.runs)}")
    return flow.store_documents(scope, index_away=index_away).outcomes["published"]


@pytest.fixture
def filled(flow: PipelineHarness) -> PipelineHarness:
    for name in "abc":
        flow.connector.put(f"{name}.txt", f"Text of document {name}.", acl=("everyone", "group:hr"))
    flow.run()
    assert changes(flow) == 0
    return flow


def reacl(flow: PipelineHarness, locator: str, *acl: str) -> None:
    item = flow.connector.items[locator]
    flow.connector.put(locator, item.content, acl=acl)


def test_a_lost_permission_and_a_deletion_are_noted_while_the_index_is_away_and_settled_by_it(
    filled: PipelineHarness,
) -> None:
    reacl(filled, "a.txt", "group:hr")
    del filled.connector.items["b.txt"]
    assert documents_stage(filled, index_away=True) == 0
    assert noted(filled) == {"a.txt": frozenset({"group:hr"}), "b.txt": frozenset()}
    assert filled.run().balanced
    assert changes(filled) == 0


def test_a_new_permission_withholds_nothing(filled: PipelineHarness) -> None:
    reacl(filled, "a.txt", "everyone", "group:hr", "group:board")
    documents_stage(filled, index_away=True)
    assert (changes(filled), noted(filled)) == (1, {})


def test_the_documents_stage_gives_permissions_and_deletions_to_the_index(filled: PipelineHarness) -> None:
    reacl(filled, "a.txt", "group:board")
    del filled.connector.items["b.txt"]
    assert documents_stage(filled) == 2
    assert {point.payload.locator: point.payload.acl for point in filled.points()} == {
        "a.txt": ("group:board",),
        "c.txt": ("everyone", "group:hr"),
    }
    assert changes(filled) == 0


def test_a_new_text_for_others_stays_withheld_until_it_is_in_the_index(filled: PipelineHarness) -> None:
    filled.connector.put("a.txt", "Quite another text.", acl=("group:board",))
    documents_stage(filled)
    assert noted(filled) == {"a.txt": frozenset({"group:board"})}
    filled.run()
    assert changes(filled) == 0


def test_a_permission_lost_and_found_again_stays_noted_until_the_index_has_the_last_word(
    filled: PipelineHarness,
) -> None:
    everyone = ("everyone", "group:hr")
    for acl in (("group:hr",), everyone):
        reacl(filled, "a.txt", *acl)
        documents_stage(filled, index_away=True)
    assert noted(filled) == {"a.txt": frozenset(everyone)}


def test_any_statement_is_seen(filled: PipelineHarness) -> None:
    with filled.store.engine.begin() as connection:
        connection.execute(text("UPDATE rag.documents SET acl = '{group:hr}', version = version + 1"))
    assert set(noted(filled)) == {"a.txt", "b.txt", "c.txt"}


def test_more_documents_than_can_be_named_withhold_their_source(filled: PipelineHarness) -> None:
    with filled.store.engine.begin() as connection:
        connection.execute(text("UPDATE rag.documents SET acl = '{group:hr}', version = version + 1"))
    assert noted(filled, most=2) == {None: frozenset()}
