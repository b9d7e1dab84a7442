"""The prose of reStructuredText: plain text whose inline marks and directives are read as what they render to."""

from __future__ import annotations

import re
from typing import Final

from rag_core.content.parsing.formats.plain import PlainWriter

_INLINE: Final = re.compile(
    r"``(?P<literal>(?:[^`]|`(?!`)){1,2000}+)``"
    r"|(?::(?P<series>pep|rfc):|:[A-Za-z][\w.+-]{0,40}+(?::[\w.+-]{1,40}+){0,2}:)?(?<!`)`[~!]?(?P<text>[^`\s<](?:[^`<]|<(?![^`<>]{0,500}>`)){0,1000}+)(?:<[^`<>]{0,500}+>)?`_{0,2}"
    r"|(?<![\w*\\])(?P<marks>\*\*?)(?=[^\s*])(?P<marked>[^*]{1,1000}+)(?<=\S)(?P=marks)(?![\w*])"
    r"|(?P<note>\[#?\w{0,40}\])_(?!\w)"
    r"|\\(?:[ \n]|(?P<escaped>[^\s\w]))"
)
_DIRECTIVE: Final = re.compile(
    r"\A([ \t]*+)\.\.(?:[ ]+([a-z][\w.+-]{0,40}+(?::[\w.+-]{1,40}+){0,2})::(?![:\w])[ \t]*+([^\n]*+)|[ \n]|\Z)"
)
_OPTION: Final = re.compile(r"\A[ \t]++:[\w -]{1,60}+:(?:[ \t]|\Z)")
_TRANSITION: Final = re.compile(r"\A\s{0,100}([!-/:-@\[-`{-~])\1{3,}+\s{0,100}\Z")
_FOOTNOTE: Final = re.compile(r"\A[ \t]*+\.\. (\[[^\]\n]{1,60}+\])")
_READ_ELSEWHERE: Final = frozenset(
    "code-block code sourcecode prompt table list-table csv-table".split()  # noqa: SIM905
)
"""Code, which plain text has too, and tables; those that docutils refused stay as they are."""
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


def shown(text: str) -> str:
    """Text without roles, back-ticks, targets, emphasis and escapes."""
    return _INLINE.sub(_replacement, text) if _MARKED.search(text) else text


_MARKED: Final = re.compile(r"[`*\\]|\]_")


def _replacement(match: re.Match[str]) -> str:
    number = match["series"]
    return (f"{number.upper()} " if number else "") + next(
        (found for name in _KEPT if (found := match[name]) is not None), ""
    ).rstrip(" ")


_KEPT: Final = ("literal", "text", "marked", "note", "escaped")


class RstWriter(PlainWriter):
    """Adds paragraphs of reStructuredText."""

    _hidden: int | None = None
    """Indentation of a directive whose content is not shown."""
    _label = ""

    def _shown(self, text: str) -> str:
        label, self._label = self._label, ""
        return f"{label}: {shown(text).strip()}" if label else shown(text)

    def _begin(self, paragraph: str) -> None:
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
