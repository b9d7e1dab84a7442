"""Looks over finished text: is it empty, is it readable, does it try to give orders."""

from __future__ import annotations

import re
from typing import Final

from rag_core.errors import InvalidInput, Reason
from rag_core.text.clean import REPLACEMENT

INJECTION_FLAG: Final = "injection_suspect"
MAX_REPLACEMENT_SHARE: Final = 0.05

# Phrases that address a language model rather than a reader. A match only sets a flag: the text is indexed as data all
# the same, because a document about prompt injection is a legitimate document. See docs/reference/document-types.md.
_INJECTION: Final = re.compile(
    r"(?:ignore|disregard|forget|override)\s+(?:(?:all|any|the|your|my|of|these)\s+){0,3}"
    r"(?:previous|prior|above|earlier|preceding|existing|system)\s+(?:\w+\s+)?(?:instruction|prompt|rule|direction|context|message)"
    r"|(?:reveal|print|show|repeat|output)\s+(?:me\s+)?(?:the|your)\s+(?:system|hidden|initial)\s+(?:prompt|instructions)"
    r"|you\s+are\s+now\s+(?:a|an|in|the)\s+\w+\s+(?:mode|assistant|model|ai)"
    r"|<\|(?:im_start|im_end|system|endoftext)\|>"
    r"|(?:忽略|无视|忘记|忽視|無視)(?:掉)?(?:你)?(?:之前|以上|前面|先前|上述|此前)(?:的)?(?:所有|全部|一切)?(?:的)?(?:指令|指示|提示|规则|說明|说明|命令|对话)"
    r"|(?:忽略|无视|忘记)(?:所有|全部|一切)(?:之前|以上|前面|先前|上述|此前)?(?:的)?(?:指令|指示|提示词|规则|命令)",
    re.IGNORECASE,
)


def require_readable(text: str) -> None:
    """Raise `InvalidInput`: `EMPTY_DOCUMENT` without text, `ENCODING_UNKNOWN` when over 5 % could not be decoded."""
    if not text:
        raise InvalidInput(Reason.EMPTY_DOCUMENT, "the document contains no text")
    bad = text.count(REPLACEMENT)
    if bad and bad > MAX_REPLACEMENT_SHARE * len(text):
        raise InvalidInput(
            Reason.ENCODING_UNKNOWN,
            "more than 5 % of the characters could not be decoded; save the document as UTF-8",
        )


def looks_like_injection(text: str) -> bool:
    """Whether the text holds a phrase that is usually addressed to a language model."""
    return _INJECTION.search(text) is not None
