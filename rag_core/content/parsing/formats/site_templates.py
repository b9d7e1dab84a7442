"""Template syntax in the Markdown of static site generators, read as what it renders to or left out.

Liquid, Jinja and Nunjucks (`{% %}`, `{{ }}`), Hugo's shortcodes, attributes of kramdown, containers (`:::`), and the
imports, components and expressions of MDX. Nothing is executed: a name of the front matter becomes its value, a text
that a tag is given becomes that text, paired tags keep what they enclose, all else goes. Code stays as it is written.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

_LEFT_OUT: Final = "\x00"
"""Mark of a construct that was left out; no cleaned text contains it."""
_ANY: Final = re.compile(
    r"\{[{%#:.]|\{/\*|=\{|^[ \t]*+:::|^(?:import|export)\b|</?[A-Z]|^\[\[?_?(?:TOC|toc)", re.MULTILINE
)

# --------------------------------------------------------------------------------------------------------------------
# Lines: code, which is kept, and what stands on lines of its own.

_FENCE: Final = re.compile(r"\A[ \t>]*+(?:[-*+] |\d{1,3}[.)] )?[ \t]*+(`{3,}(?=[^`]*\Z)|~{3,})")
_CODE_TAG: Final = re.compile(
    r"\A[ \t]*+(?:\{%-?|\{\{[<%])[ ]*+(?:highlight|codeblock|code-block|code)\b[ ]*+([\w+#-]*+)[^{}\n]{0,300}+"
    r"\}\}?[ \t]*+\Z"
)
_CODE_END: Final = re.compile(r"(?:\{%-?[ ]{0,9}end|\{\{[<%][ ]{0,9}/[ ]{0,9})(?:highlight|codeblock|code)\b")
_RAW: Final = re.compile(r"\{%-?[ ]*+(?:end)?(?:raw|verbatim)[ ]*+-?%\}")
_ESCAPED: Final = re.compile(r"\{\{([<%])/\*([^*{}]{0,500}+)\*/([>%])\}\}")
_ESM: Final = re.compile(
    r"""\A(?:import\s++(?:["'][^"'\n]++["'];?\s*+\Z|\{|\*|[\w$]++(?:,[^"'\n]*+)?\s++from\s++["']|[\w$]++,)"""
    r"|export\s++(?:const|let|var|function|class|default|async)\b|export\s++[{*])"
)
_ITEM: Final = re.compile(r"\A[ \t]{0,3}(?:(?:[-*+:]|\d{1,3}[.)])[ \t]|!!!|\?\?\?|\[\^)")
_CONTAINER: Final = re.compile(r"\A[ \t]*+:{3,}+[ \t]*+(?:\{?[\w-]*+\}?)[ \t]*+(.*)\Z")
_MAX_ESM_LINES: Final = 300


@dataclass(slots=True)
class _Segment:
    """Lines that are code, or are not."""

    code: bool
    lines: list[str]


class _Lines:
    """Parts a document into code and text, and takes out what stands on lines of its own."""

    def __init__(self, text: str) -> None:
        self.segments: list[_Segment] = []
        self.mdx = False
        self._esm_lines = _MAX_ESM_LINES
        self._code_ends = _CODE_END.search(text) is not None
        self._lines = text.split("\n")

    def read(self) -> None:
        """Read all lines."""
        at, blank, in_item = 0, True, False
        while at < len(self._lines):
            line = self._lines[at]
            if match := _FENCE.match(line):
                at = self._fence(at, match[1])
            elif self._code_ends and (match := _CODE_TAG.match(line)):
                at = self._code_tag(at, match[1])
            elif blank and line.startswith(("import", "export")) and _ESM.match(line):
                at = self._esm(at)
                continue
            elif blank and not in_item and not self.mdx and line.startswith(("    ", "\t")) and line.strip():
                self._add(True, line)
                at += 1
                continue  # an indented block continues as long as its lines are indented
            else:
                self._add(False, _contained(line) if line.lstrip().startswith(":::") else line)
                at += 1
            if line.strip() and not line.startswith((" ", "\t")):
                in_item = _ITEM.match(line) is not None
            blank = not line.strip()

    def _add(self, code: bool, line: str) -> None:
        if not self.segments or self.segments[-1].code is not code:
            self.segments.append(_Segment(code, []))
        self.segments[-1].lines.append(line)

    def _fence(self, at: int, marks: str) -> int:
        """Take fenced code, and return the line behind it."""
        self._add(True, self._lines[at])
        for number in range(at + 1, len(self._lines)):
            line = self._lines[number]
            self._add(True, line)
            if (inner := line.strip(" \t>")).startswith(marks) and not inner.strip(marks[0]):
                return number + 1
        return len(self._lines)

    def _code_tag(self, at: int, language: str) -> int:
        """Take what a tag says is code as a fence, and return the line behind it."""
        end = next((n for n in range(at + 1, len(self._lines)) if _CODE_END.match(self._lines[n].lstrip())), None)
        if end is None:
            self._code_ends = False
            return at + 1
        for line in ("~~~~~~ " + language, *self._lines[at + 1 : end], "~~~~~~"):
            self._add(True, line)
        return end + 1

    def _esm(self, at: int) -> int:
        """Skip an import or export of MDX: to an empty line outside of brackets."""
        self.mdx = True
        depth = 0
        end = min(at + self._esm_lines, len(self._lines))
        for number in range(at, end):
            line = self._lines[number]
            if not line.strip() and depth <= 0:
                return number
            depth += sum(map(line.count, "{[(")) - sum(map(line.count, "}])"))
        if depth <= 0:
            return end
        self._esm_lines = 1  # brackets that are never closed are not looked for again
        return at + 1


def _contained(line: str) -> str:
    """The title of a container, whose marks are not shown."""
    match = _CONTAINER.match(line)
    return f"\n{match[1].strip('[] ')}\n" if match else line


# --------------------------------------------------------------------------------------------------------------------
# Tags within text.

_INSIDE: Final = r"(?:[^{}\n]|\{(?![{%])|\}(?!\})|\n(?![ \t]*+\n)){0,2000}"
_TAG_INSIDE: Final = r"(?:[^%{}\n]|%(?!\})|\{(?![{%])|\}|\n(?![ \t]*+\n)){0,2000}"
_BRACED: Final = r"\{(?:[^{}]|\{(?:[^{}]|\{[^{}]{0,500}+\}){0,500}\}){0,500}\}"
_PROPERTIES: Final = rf"""(?:[^<>{{}}"'`]|"[^"<>]{{0,500}}+"|'[^'<>]{{0,500}}+'|{_BRACED}){{0,400}}"""


def _paired(name: str) -> str:
    """A pattern for a block whose text is not a template, or is a comment."""
    inside = rf"(?:[^{{]|\{{(?!%-?[ ]*+(?:end)?{name}\b))*"
    return rf"\{{%-?[ ]*+{name}[ ]*+-?%\}}(?P<{name}>{inside})\{{%-?[ ]*+end{name}[ ]*+-?%\}}"


_TEMPLATE: Final = re.compile(
    "|".join(
        (
            r"(?P<code>``(?:[^`\n]|`(?!`))*``|`[^`\n]*+`)",
            _paired("raw"),
            _paired("verbatim"),
            _paired("comment"),
            rf"\{{%[-+]?\s*+(?P<tag>[\w/]{_TAG_INSIDE})%\}}",
            # `${{ x }}` is of workflows, `x_{{i}}` of formulas.
            rf"(?<![$^_\\{{])\{{\{{(?P<output>{_INSIDE})\}}\}}",
            r"\{#(?:[^#{}]|#(?!\}))*#\}",
            r"\{/\*(?:[^*{]|\{(?!/)|\*(?!/))*\*/\}",
            # kramdown's place for a table of contents, and those of others
            r"^[*+-] [^\n]{0,100}\n\{: ?toc\b[^{}\n]{0,200}+\}",
            r"^\[\[?_?(?:TOC|toc)_?\]\]?[ ]*+$",
            # attributes of a block, a span or a heading
            r"\{:(?=[ .#:/]|toc|[\w-]{1,40}=)[^{}\n]{1,200}+\}",
            r"\{[#.][A-Za-z][\w:.-]{0,200}+(?: [^{}\n]{0,200}+)?\}",
            rf"</?(?=[A-Z][\w.]{{0,60}}?[a-z0-9])[\w.]{{1,60}}+(?=[\s/>])(?P<component>{_PROPERTIES})>",
            rf"</?[a-z][\w-]{{0,60}}+\s(?=[^<>]{{0,500}}?=\{{)(?P<element>{_PROPERTIES})>",
        )
    ),
    re.MULTILINE,
)
_FIELD: Final = re.compile(
    r"\A\s*+(?:(?:page|post|\$?frontmatter)\.|\.(?:Page\.)?(?:Params\.)?)?([A-Za-z_]\w{0,60})\s*+(?:\||\Z)"
)
_LITERAL: Final = re.compile(r"""\A\s*+(?:"([^"{}]*+)"|'([^'{}]*+)')\s*+(?:\|\s*+(?:escape|markdownify|safe)\s*+)?\Z""")
_SHORTCODE: Final = re.compile(r"\A[<%]\s*+(?!/)[\w./-]{1,80}+\s++([^\x00]*)[>%]\Z")
_SHOWN: Final = ("text", "content", "title", "caption", "header", "label", "summary", "alt")
"""Names of arguments whose text a reader sees; the first that is given counts."""
_ARGUMENT: Final = re.compile(r"""(?<![\w-])([A-Za-z]{1,20})\s?=\s?(?:"([^"<>{}]{1,500}+)"|'([^'<>{}]{1,500}+)')""")
_SENTENCE: Final = re.compile(r"""(?<![=\w])"([^"/=<>{}.]{1,500}+[.!?]?)\"""")
_EXPRESSION: Final = re.compile(r"(?<![$\\{])\{[\w$.?! ()\[\]'\"+-]{1,200}+\}")
_EMPTY_MARKS: Final = re.compile(rf"(?<![*_])([*_]{{1,3}}){_LEFT_OUT}++\1(?![*_])")
_SPACE_BEFORE_MARK: Final = re.compile(rf"(?: {_LEFT_OUT}++(?=[.,;:!?)，。；：！？）\s])|{_LEFT_OUT}++)")


class Rendered(NamedTuple):
    """Markdown without templates; in MDX indented text is no code."""

    text: str
    mdx: bool = False


def without_templates(text: str, values: Mapping[str, str]) -> Rendered:
    """The Markdown that a site's generator would make of it, as far as that is known; `values` are its front matter."""
    text = text.replace(_LEFT_OUT, "")
    if not _ANY.search(text):
        return Rendered(text)
    lines = _Lines(text)
    lines.read()
    parts = (
        _literal("\n".join(segment.lines))
        if segment.code
        else without_tags("\n".join(segment.lines), values, mdx=lines.mdx)
        for segment in lines.segments
    )
    return Rendered("\n".join(parts), lines.mdx)


def _literal(code: str) -> str:
    """Code without the marks that keep it from being a template."""
    return _ESCAPED.sub(r"{{\1\2\3}}", _RAW.sub("", code)) if "{" in code else code


def without_tags(text: str, values: Mapping[str, str], *, mdx: bool = False) -> str:
    """Text, or HTML, without what stands in it for something else."""
    text = _TEMPLATE.sub(lambda match: _replacement(match, values), text)
    if mdx:
        text = _EXPRESSION.sub(_LEFT_OUT, text)
    if _LEFT_OUT not in text:
        return text
    return "\n".join(_tidy(_EMPTY_MARKS.sub(_LEFT_OUT, text).split("\n")))


def _tidy(lines: list[str]) -> Iterator[str]:
    """Lines without the places where something was left out; within a table also without those that are empty now."""
    before = ""
    for line in lines:
        tidied = _SPACE_BEFORE_MARK.sub("", line) if _LEFT_OUT in line else line
        if tidied.strip() or tidied == line or not before.lstrip().startswith("|"):
            # A text that a tag shows by itself is a paragraph.
            alone = tidied.strip() and line.strip().startswith(_LEFT_OUT) and line.rstrip().endswith(_LEFT_OUT)
            yield f"\n{tidied.strip()}\n" if alone else tidied
            before = tidied


def _replacement(match: re.Match[str], values: Mapping[str, str]) -> str:
    """Return the text that a construct renders to, or the mark of one that is left out."""
    found = match.groupdict()
    for name in ("code", "raw", "verbatim"):
        if found[name] is not None:
            return _literal(found[name])
    shown = next((shows(found[name], values) for name, shows in _SHOWS.items() if found[name] is not None), "")
    if _in_target(match):
        return "#"
    return f"{_LEFT_OUT}{shown}{_LEFT_OUT}" if shown else _LEFT_OUT


def _in_target(match: re.Match[str]) -> bool:
    """Return whether a construct begins the target of a link or of a link's definition."""
    line = match.string.rfind("\n", max(match.start() - 600, 0), match.start()) + 1
    before = match.string[line : match.start()].rstrip(" ")
    return before.endswith("](") or (before.startswith("[") and before.endswith("]:"))


def _output(inside: str, values: Mapping[str, str]) -> str:
    if shortcode := _SHORTCODE.match(inside):
        return _argument(shortcode[1], values)
    if inside[:1] in ("<", "%"):
        return _ESCAPED.sub(r"{{\1\2\3}}", f"{{{{{inside}}}}}") if inside[1:3] == "/*" else ""
    if literal := _LITERAL.match(inside):
        return literal[1] or literal[2] or ""
    field = _FIELD.match(inside)
    return values.get(field[1], values.get(field[1].lower(), "")) if field else ""


def _argument(arguments: str, _values: Mapping[str, str]) -> str:
    """The text that a tag is given for readers."""
    given = {match[1].lower(): match[2] or match[3] for match in _ARGUMENT.finditer(arguments)}
    shown = next((given[name] for name in _SHOWN if name in given), "")
    sentence = None if shown or given else _SENTENCE.search(arguments)
    return sentence[1] if sentence and " " in sentence[1] else shown


def _element(_attributes: str, _values: Mapping[str, str]) -> str:
    return ""


_SHOWS: Final = {"tag": _argument, "output": _output, "component": _argument, "element": _element}
