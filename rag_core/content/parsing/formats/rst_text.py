"""The prose of reStructuredText: plain text whose inline marks and directives are read as what they render to."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from rag_core.content.parsing.builder import TextBuilder
from rag_core.content.parsing.formats.plain import PlainWriter
from rag_core.content.parsing.links import NamedTarget

_INLINE: Final = re.compile(
    r"``(?P<literal>[^`]{1,2000}+(?:`(?!`)[^`]{1,2000}+){0,20})``"
    r"|(?::(?P<role>[A-Za-z][\w.+-]{0,40}+(?::[\w.+-]{1,40}+){0,2}):)?(?<!`)`[~!]?(?P<text>[^`\s<][^`<]{0,1000}+(?:<(?![^`<>]{0,500}>`)[^`<]{0,1000}+){0,20})(?:<(?P<target>[^`<>]{0,500}+)>)?`(?P<refers>_{0,2})"
    r"|(?<![\w*\\])(?P<marks>\*\*?)(?=[^\s*])(?P<marked>[^*]{1,1000}+)(?<=\S)(?P=marks)(?![\w*])"
    r"|(?P<note>\[#?\w{0,40}\])_(?!\w)"
    r"|(?<![\w.+:-])(?P<name>[A-Za-z0-9]++(?:[-.+:_][A-Za-z0-9]++)*)_(?![\w`])"
    r"|(?P<substituted>\|[^|\s][^|\n]{0,99}+\|)_{0,2}"
    r"|\\(?:[ \n]|(?P<escaped>[^\s\w]))"
)
_MARKED: Final = re.compile(r"[`*\\|]|[\w\]]_(?!\w)")
"""The part that all of these have."""
_SUBSTITUTION: Final = re.compile(
    r"^[ \t]*+\.\. (\|[^|\n]{1,100}\|)[ \t]++(?:replace::[ \t]*+([^\n]*+)|image::[^\n]*+)$", re.MULTILINE
)
_TARGET: Final = re.compile(r"^[ \t]*+\.\. _`?([^:`\n]{1,200})`?:[ \t]++(\S[^\n]*+)$", re.MULTILINE)
_DIRECTIVE: Final = re.compile(
    r"\A([ \t]*+)\.\.(?:[ ]+([a-z][\w.+-]{0,40}+(?::[\w.+-]{1,40}+){0,2})::(?![:\w])[ \t]*+([^\n]*+)|[ \n]|\Z)"
)
_OPTION: Final = re.compile(r"\A[ \t]++:[\w -]{1,60}+:(?:[ \t]|\Z)")
_AUTO_NUMBER: Final = re.compile(r"^([ \t]*+)#[.)](?=[ \t]+\S)", re.MULTILINE)
_TRANSITION: Final = re.compile(r"\A\s{0,100}([!-/:-@\[-`{-~])\1{3,}+\s{0,100}\Z")
_FOOTNOTE: Final = re.compile(r"\A[ \t]*+\.\. (\[[^\]\n]{1,60}+\])")
_READ_ELSEWHERE: Final = frozenset(
    "code-block code sourcecode prompt table list-table csv-table".split()  # noqa: SIM905
)
"""Code, which plain text has too, and tables; those that docutils refused stay as they are."""
_SERIES: Final = frozenset({"pep", "rfc"})
_HIDDEN: Final = frozenset(
    "index module currentmodule toctree include literalinclude contents highlight meta raw image figure role".split()  # noqa: SIM905
)
_LABELS: Final = {
    **{name: name.capitalize() for name in "note warning tip hint important caution attention danger error".split()},  # noqa: SIM905
    "seealso": "See also",
    "versionadded": "New in version",
    "versionchanged": "Changed in version",
    "deprecated": "Deprecated since version",
    "versionremoved": "Removed in version",
}


def named_targets(text: str) -> dict[str, str]:
    """Return the targets and substitutions that a document defines, by their normalized names. An image is no text."""
    return {_name(name): meant.strip() for name, meant in (*_TARGET.findall(text), *_SUBSTITUTION.findall(text))}


def _name(text: str) -> str:
    return " ".join(text.casefold().split())


_KEPT: Final = ("literal", "text", "marked", "note", "escaped", "name")


class RstWriter(PlainWriter):
    """Adds paragraphs of reStructuredText."""

    _hidden: int | None = None
    """Indentation of a directive whose content is not shown."""
    _label = ""
    _number = 0
    """The number of the last item that numbers itself, `#.`."""

    def __init__(self, builder: TextBuilder, targets: Mapping[str, str]) -> None:
        super().__init__(builder)
        self._targets = targets

    def _shown(self, text: str) -> tuple[str, list[NamedTarget]]:
        """Text without roles, back-ticks, targets, emphasis and escapes, and what its links point to."""
        links: list[NamedTarget] = []

        def shown(match: re.Match[str]) -> str:
            if name := match["substituted"]:
                return self._targets.get(_name(name), match[0])
            kept = next((found for name in _KEPT if (found := match[name]) is not None), "").rstrip(" ")
            if target := self._target(match, kept):
                links.append((kept, target))
            elif match["name"]:
                return match[0]
            return f"{match['role'].upper()} {kept}" if match["role"] in _SERIES else kept

        plain = _INLINE.sub(shown, text) if _MARKED.search(text) else text
        label, self._label = self._label, ""
        return (f"{label}: {plain.strip()}" if label else plain), links

    def _target(self, match: re.Match[str], kept: str) -> str:
        """Return where an inline mark points to: beside its text, as the name of a document, or defined elsewhere."""
        if match["role"] or not (match["refers"] or match["name"]):
            return (match["target"] or kept) if match["role"] == "doc" else ""
        return match["target"] or self._targets.get(_name(kept), "")

    def _begin(self, paragraph: str) -> None:
        if not _AUTO_NUMBER.match(paragraph):
            self._number = 0
        paragraph = _AUTO_NUMBER.sub(self._numbered, paragraph)
        indent = len(paragraph) - len(paragraph.lstrip(" \t"))
        if self._hidden is not None and indent > self._hidden:
            return
        self._hidden = None
        if _TRANSITION.match(paragraph):
            return
        match = _DIRECTIVE.match(paragraph)
        if match is None or match[2] in _READ_ELSEWHERE:
            super()._begin(paragraph)
            return
        if text := self._content(match, paragraph):
            super()._begin(text)

    def _numbered(self, match: re.Match[str]) -> str:
        self._number += 1
        return f"{match[1]}{self._number}."

    def _content(self, match: re.Match[str], paragraph: str) -> str:
        """Return the first paragraph of a directive as it is shown."""
        if note := _FOOTNOTE.match(paragraph):
            return note[1] + paragraph[note.end() :]
        name, argument = match[2], match[3]
        if name is None or name in _HIDDEN:  # a comment, a target, a substitution
            self._hidden = len(match[1])
            return ""
        lines = [line for line in paragraph[match.end() :].split("\n") if line.strip() and not _OPTION.match(line)]
        label = _LABELS.get(name, "")
        if label.endswith("version"):
            version, _, argument = argument.partition(" ")
            label = f"{label} {version}"
        self._label = label
        return "\n".join(filter(None, [argument, *lines]))
