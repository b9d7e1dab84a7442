"""The model's tokenizer: SentencePiece with the bundled vocabulary; and the token counter.

Importing this module loads neither ONNX nor ONNX Runtime, so chunking stays light.
"""

from __future__ import annotations

import struct
import threading
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rag_core.content.embedding.base import clean
from rag_core.content.embedding.bundle import MODEL_NAME, SHA256, Artifact, SpecialIds, open_bundle
from rag_core.ids import fingerprint

if TYPE_CHECKING:
    from sentencepiece import SentencePieceProcessor

# Raise it when the tokens of a text change so that its vector does: every vector is made again then. Another library
# reads these rules too (HF's tokenizers did here); it differs where two ways to cut a word score alike, and for rare
# code points: of 8,514 texts 51, whose vectors have a cosine of 0.9996 at the median, as between two processors.
# What a raised version replaces stays beside it for a release, as networks do: the generation that serves was built
# with it, and a query server without its model refuses every question until the next one is built.
TOKENIZER_VERSION = 1
TOKENIZER_FILE = Artifact("e5-small-tokenizer", ".model", fingerprint(SHA256, TOKENIZER_VERSION))

Span = tuple[int, int]
_UNKNOWN: Final = 2
"""Type of the piece that stands for all others (`ModelProto.SentencePiece.Type` of sentencepiece_model.proto)."""
_VARINT, _BYTES, _FLOAT = 0, 2, 5
"""Wire types of protobuf: the package's own classes for the model need a newer runtime than ours."""


def build_model() -> bytes:
    """Build a SentencePiece model from the bundled vocabulary (about 2 s): a `ModelProto` of pieces, and the rules
    (NFKC with those of NMT) by which the model's training normalised its text."""
    from sentencepiece import SentencePieceNormalizer

    bundle = open_bundle()
    rules = SentencePieceNormalizer(rule_name="nmt_nfkc").serialized_normalizer_spec()
    pieces = _pieces(bundle.vocabulary(), bundle.special)
    return b"".join(_field(1, piece) for piece in pieces) + _field(3, rules)


def _pieces(vocabulary: Sequence[tuple[str, float]], special: SpecialIds) -> Iterator[bytes]:
    for number, (text, score) in enumerate(vocabulary):
        kind = bytes([3 << 3 | _VARINT, _UNKNOWN]) if number == special.unknown else b""
        yield _field(1, text.encode()) + bytes([2 << 3 | _FLOAT]) + struct.pack("<f", score) + kind


def _field(number: int, content: bytes) -> bytes:
    size, length = bytearray(), len(content)
    while length > 127:
        size.append(length & 127 | 128)
        length >>= 7
    return bytes([number << 3 | _BYTES, *size, length]) + content


class Tokenizer:
    """Token ids of the bundled model. Thread-safe; 55 MB, so there is one in a process (`load_tokenizer`)."""

    def __init__(self, processor: SentencePieceProcessor) -> None:
        self._processor = processor

    def ids(self, text: str) -> list[int]:
        """The ids of a text's tokens, without special ones. Lone surrogates count as `?`."""
        ids: list[int] = self._processor.encode(clean(text))
        return ids

    def ids_and_spans(self, text: str) -> tuple[list[int], list[Span]]:
        """The ids, and from where to where in the text each token stands, without the white space before it.

        The tokens of one character that stands for several (U+FDFA) all have its place.
        """
        text = clean(text)
        found = self._processor.encode_as_offset_mapping(text)
        spans = [(start + _blank(text[start:end]), end) for start, end in found["offsets"]]
        return found["ids"], [(start, max(end, start + 1)) for start, end in spans]


def _blank(text: str) -> int:
    return len(text) - len(text.lstrip())


_loaded: list[Tokenizer] = []
_checked: set[Path] = set()
_loading = threading.Lock()


def load_tokenizer(model_dir: Path) -> Tokenizer:
    """Load the tokenizer from the model folder (0.2 s); the first call builds the file.

    Every valid file is the same, so chunker and embedder share one for all folders. Raises `DataCorruption`
    (`MODEL_CORRUPT`) when the file was changed.
    """
    from sentencepiece import SentencePieceProcessor

    with _loading:
        if model_dir not in _checked:
            content = TOKENIZER_FILE.load(model_dir, build_model)
            if not _loaded:
                _loaded.append(Tokenizer(SentencePieceProcessor(model_proto=content)))
            _checked.add(model_dir)
        return _loaded[0]


class E5TokenCounter:
    """Counts tokens of the bundled model. The vocabulary is loaded at the first use (0.2 s)."""

    def __init__(self, model_dir: Path) -> None:
        self._model_dir = model_dir
        self.fingerprint = fingerprint("tokens", MODEL_NAME, SHA256, TOKENIZER_VERSION)

    def count(self, text: str) -> int:
        """Count the tokens of `text`, without prefix and special tokens."""
        return len(self._tokenizer.ids(text))

    def count_many(self, texts: Sequence[str]) -> list[int]:
        """`count` for each text, in order."""
        return [*map(self.count, texts)]

    @cached_property
    def _tokenizer(self) -> Tokenizer:
        return load_tokenizer(self._model_dir)
