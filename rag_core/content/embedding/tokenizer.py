"""The model's tokenizer, built with HF `tokenizers` from the bundled vocabulary, and the token counter.

Importing this module loads neither ONNX nor ONNX Runtime, so chunking stays light.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from rag_core.content.embedding.base import clean
from rag_core.content.embedding.bundle import MODEL_NAME, SHA256, Artifact, open_bundle
from rag_core.ids import fingerprint

# Raise it when the tokens of any text could change.
TOKENIZER_VERSION = 1
TOKENIZER_FILE = Artifact("e5-small-tokenizer", ".json", fingerprint(SHA256, TOKENIZER_VERSION))


def build_tokenizer() -> Tokenizer:
    """Build the tokenizer from the bundled file (about 2 s)."""
    bundle = open_bundle()
    vocabulary, special = bundle.vocabulary(), bundle.special
    tokenizer = Tokenizer(models.Unigram(vocabulary, unk_id=special.unknown, byte_fallback=False))
    # The model's nmt_nfkc rules. These two normalizers equal the file's code point table except for two code points
    # and, unlike the table, also compose letters with their accents, as in the model's training.
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
    """Load the tokenizer from the model folder (about 1 s); the first call builds the file.

    One per process for all folders, because it uses 300 MB and every valid file is the same. Chunker and embedder share
    it, so never change its options. Raises `DataCorruption` (`MODEL_CORRUPT`) when the file was changed.
    """
    with _loading:
        if model_dir not in _checked:
            content = TOKENIZER_FILE.load(model_dir, lambda: build_tokenizer().to_str().encode())
            if not _loaded:
                # Its own threads are slower for the few short texts of a document; the pipeline's threads take whole
                # documents.
                os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
                _loaded.append(Tokenizer.from_buffer(content))
            _checked.add(model_dir)
        return _loaded[0]


class E5TokenCounter:
    """Counts tokens of the bundled model. The vocabulary is loaded at the first use (about 1 s)."""

    def __init__(self, model_dir: Path) -> None:
        self._model_dir = model_dir
        self.fingerprint = fingerprint("tokens", MODEL_NAME, SHA256, TOKENIZER_VERSION)

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """The HF tokenizer, for splitters that need one. Its input must have passed through `clean`."""
        return load_tokenizer(self._model_dir)

    def count(self, text: str) -> int:
        """Count the tokens of `text`, without prefix and special tokens."""
        return len(self.tokenizer.encode(clean(text), add_special_tokens=False))

    def count_many(self, texts: Sequence[str]) -> list[int]:
        """`count` for each text, in order; several times faster than one by one."""
        encodings = self.tokenizer.encode_batch_fast([clean(text) for text in texts], add_special_tokens=False)
        return [len(encoding) for encoding in encodings]
