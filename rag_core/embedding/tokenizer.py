"""The model's tokenizer, rebuilt with HF `tokenizers` from the bundled vocabulary, and the token counter.

Importing this module loads neither ONNX nor ONNX Runtime, so chunking stays light.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from rag_core.embedding.base import clean
from rag_core.embedding.bundle import MODEL_NAME, SHA256, Artifact, open_bundle
from rag_core.ids import fingerprint

# Raise when the tokens of any text could change.
TOKENIZER_VERSION = 1
TOKENIZER_FILE = Artifact("e5-small-tokenizer", ".json", fingerprint(SHA256, TOKENIZER_VERSION))


def build_tokenizer() -> Tokenizer:
    """Make the tokenizer from the bundled file (about 2 s)."""
    bundle = open_bundle()
    vocabulary, special = bundle.vocabulary(), bundle.special
    tokenizer = Tokenizer(models.Unigram(vocabulary, unk_id=special.unknown, byte_fallback=False))
    # The model's nmt_nfkc rules. These two normalizers equal the file's own code point table but for two code points
    # and, unlike the table, also compose letters with their accents, as the model's training did.
    tokenizer.normalizer = normalizers.Sequence([normalizers.Nmt(), normalizers.NFKC()])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")]
    )
    begin, end = vocabulary[special.begin][0], vocabulary[special.end][0]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{begin} $A {end}", special_tokens=[(begin, special.begin), (end, special.end)]
    )
    return tokenizer


_loaded: list[Tokenizer] = []
_checked: set[Path] = set()
_loading = threading.Lock()


def load_tokenizer(model_dir: Path) -> Tokenizer:
    """The tokenizer from the model folder, building the file the first time. Loading takes about 1 s.

    One per process whatever the folder, because it holds 300 MB and every valid file says the same: the chunker and the
    embedder share it, so never change its options. Raises `DataCorruption` (`MODEL_CORRUPT`) when the file was changed.
    """
    with _loading:
        if model_dir not in _checked:
            content = TOKENIZER_FILE.load(model_dir, lambda: build_tokenizer().to_str().encode())
            if not _loaded:
                # Its own threads cost more than they bring for the few short texts of a document; ours take whole ones.
                os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
                _loaded.append(Tokenizer.from_buffer(content))
            _checked.add(model_dir)
        return _loaded[0]


class E5TokenCounter:
    """Counts tokens of the bundled model. Opening it is free; the vocabulary loads (about 1 s) at the first use."""

    def __init__(self, model_dir: Path) -> None:
        self._model_dir = model_dir
        self.fingerprint = fingerprint("tokens", MODEL_NAME, SHA256, TOKENIZER_VERSION)

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """The HF tokenizer, for splitters that want one. Feed it text that went through `clean`."""
        return load_tokenizer(self._model_dir)

    def count(self, text: str) -> int:
        """Tokens of `text`, without prefix and special tokens."""
        return len(self.tokenizer.encode(clean(text), add_special_tokens=False))

    def count_many(self, texts: Sequence[str]) -> list[int]:
        """`count` for each text, in order; several times faster than one by one."""
        encodings = self.tokenizer.encode_batch_fast([clean(text) for text in texts], add_special_tokens=False)
        return [len(encoding) for encoding in encodings]
