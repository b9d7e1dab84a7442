"""A parser in this process, a sandbox, and a token counter that needs no model."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

import pytest

from rag_core.content.parsing import BlockKind, ParsedDocument, ParseLimits
from rag_core.content.parsing.parse import parse
from rag_core.content.parsing.sandbox import frames
from rag_core.content.parsing.sandbox.pool import SandboxPool
from rag_core.errors import InvalidInput, Reason

Read = Callable[..., ParsedDocument]
Refusal = Callable[..., Reason]


def blocks(document: ParsedDocument) -> list[tuple[BlockKind, str]]:
    return [(block.kind, document.text[block.start : block.end]) for block in document.blocks]


@pytest.fixture
def read() -> Read:
    """Parse in this process, and read the document as the pool reads a sandbox's answer: each that a parser gives must
    pass."""

    def call(
        content: bytes | str, name: str = "document", media_type: str | None = None, **limits: int
    ) -> ParsedDocument:
        raw = content.encode() if isinstance(content, str) else content
        bounds = ParseLimits(**limits)
        document = parse(raw, name=name, media_type=media_type, limits=bounds)
        frame = frames.encode_document(document)
        header, payload = frames.PREFIX.unpack_from(frame)
        start = frames.PREFIX.size
        accepted = frames.decode_response(frame[start : start + header], frame[-payload:] if payload else b"", bounds)
        assert accepted == document
        return document

    return call


@pytest.fixture
def refusal(read: Read) -> Refusal:
    """The reason a document is refused for."""

    def call(content: bytes | str, name: str = "document", **limits: int) -> Reason:
        with pytest.raises(InvalidInput) as raised:
            read(content, name, **limits)
        return raised.value.reason

    return call


@pytest.fixture(scope="module")
def sandbox() -> Iterator[SandboxPool]:
    pool = SandboxPool(workers=1, memory_mb=1024, timeout_seconds=30)
    yield pool
    pool.close()


class WordCounter:
    """Counts a token per word and per Chinese character: adds up over white space as the model's tokenizer does."""

    fingerprint = "words"

    def count(self, text: str) -> int:
        return len(re.findall(r"[\u3400-\u9fff，。！？；、]|[^\s\u3400-\u9fff，。！？；、]+", text))

    def count_many(self, texts: Sequence[str]) -> list[int]:
        return [self.count(text) for text in texts]
