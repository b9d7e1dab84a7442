"""Which documents may have two versions: searches look for a newer one of these only."""

from __future__ import annotations

from pathlib import Path

import pytest

from rag_core import failpoints
from rag_core.errors import RagError
from rag_core.retrieval.engines.edge import EdgeIndex
from rag_core.retrieval.engines.edge.generation import EdgeGeneration
from rag_core.retrieval.engines.edge.shard import ShardReader
from tests.support.index_points import SPEC, ask, doc, document, filled, removal

NEW = document("a", ["nothing of the kind"], version=2)


def test_a_document_is_looked_for_while_it_is_replaced_and_no_longer(index: EdgeIndex) -> None:
    filled(index, document("a", ["the wing of old"]), document("b", ["wing of another"]))
    assert _reader(index).replaced() == frozenset()
    _die_before_removal(index)
    assert _reader(index).replaced() == {str(doc("a"))}
    assert ask(index, "the wing of old") == ["wing of another", "nothing of the kind"]
    index.apply(SPEC.name, [NEW, document("b", ["wing of a third"], version=2)])
    assert _reader(index).replaced() == frozenset()
    index.apply(SPEC.name, [removal("a", version=3)])
    assert _reader(index).replaced() == frozenset()


def test_a_stale_update_does_not_end_an_interrupted_replacement(index: EdgeIndex) -> None:
    filled(index, document("a", ["the wing of old"]), document("b", ["wing of another"]))
    _die_before_removal(index)
    index.apply(SPEC.name, [document("a", ["the wing of old"]), document("b", ["wing of another"])])
    assert _reader(index).replaced() == {str(doc("a"))}
    assert "the wing of old" not in ask(index, "the wing of old")


@pytest.mark.parametrize("clean", [True, False])
def test_a_start_finds_what_a_replacement_left_behind(folder: Path, clean: bool) -> None:
    index = EdgeIndex(folder)
    filled(index, document("a", ["the wing of old"]), *(document(f"b{n}", [f"wing {n}"]) for n in range(600)))
    _die_before_removal(index)
    _close(index, folder, clean=clean)
    index = EdgeIndex(folder)
    assert "the wing of old" not in ask(index, "the wing of old")
    _reader(index).replacements.wait()
    assert _reader(index).replaced() == {str(doc("a"))}
    assert "the wing of old" not in ask(index, "the wing of old")
    index.close()


@pytest.mark.parametrize("clean", [True, False])
def test_a_start_without_anything_left_behind_has_nothing_to_look_for(
    folder: Path, clean: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = EdgeIndex(folder)
    filled(index, document("a", ["wing"]), document("b", ["wing of another"]))
    _close(index, folder, clean=clean)
    if clean:  # it is known without reading the points
        monkeypatch.setattr(ShardReader, "identity_pages", None)
    index = EdgeIndex(folder)
    _reader(index).replacements.wait()
    assert _reader(index).replaced() == frozenset()
    index.close()


def _die_before_removal(index: EdgeIndex) -> None:
    failpoints.arm("before_stale_delete:1:raise")
    try:
        with pytest.raises((failpoints.FailpointReached, RagError)):
            index.apply(SPEC.name, [NEW])
    finally:
        failpoints.arm(None)


def _close(index: EdgeIndex, folder: Path, *, clean: bool) -> None:
    index.close()
    if not clean:
        (folder / "generations" / SPEC.name / "seal.json").unlink()


def _reader(index: EdgeIndex) -> ShardReader:
    held: EdgeGeneration = index._generations[SPEC.name]
    return held.reader
