"""What kind of answer a question wants. English and Chinese; by the form of the question, never by its subject."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Wants(StrEnum):
    """The kinds of answer, which prefer different kinds of units."""

    DEFINITION = "definition"
    STEPS = "steps"
    FACT = "fact"
    COMPARISON = "comparison"
    LIST = "list"
    ANYTHING = "anything"


@dataclass(frozen=True, slots=True)
class Asked:
    """A question as it is understood.

    `amount`: a number, size or time is asked for; `subject`: what a definition is of.
    """

    wants: Wants
    amount: bool = False
    subject: str = ""


_COMPARISON: Final = re.compile(
    r"\b(?:difference|differences|differ|differs|versus|vs\.?|compared?)\b|\bbetter than\b"
    r"|区别|差别|不同|差异|相比|对比",
    re.IGNORECASE,
)
_STEPS: Final = re.compile(
    r"^\W*(?:please\s+)?(?:how\s+(?:do|can|could|should|would|to|might|does one)\b"
    r"|i\s+(?:want|need|would like)\s+to\b"
    r"|(?:steps?|way|command|commands)\s+(?:to|for)\b|(?:what|which)\s+(?:\w+\s+)?command)"
    r"|\bhow\s+(?:do|can|could|should)\s+(?:i|we|you|one)\b|what\s+(?:do|should|can)\s+(?:i|we)\s+do|如何|怎么|怎样|怎麼|怎樣|步骤|用什么命令|什么命令",
    re.IGNORECASE,
)
_AMOUNT: Final = re.compile(
    r"\bhow\s+(?:many|much|long|large|big|often|old|fast|far|high|deep)\b|\b(?:default|maximum|max|minimum|min|largest|smallest|longest|size"
    r"|limit|port|version|timeout|number of|value of)\b|多少|几个|几次|多大|多长|多久|默认|上限|最大|最小|端口|版本",
    re.IGNORECASE,
)
_DEFINITION: Final = re.compile(
    r"^\W{0,8}(?:what(?:'s| is| are| was)|who is|define|explain|describe|tell me about) "
    r"(?:an? |the )?(?P<subject>[\w.\-+#/ ]{1,48}?)\W{0,8}$"
    r"|^\W{0,8}what does (?:an? |the )?(?P<does>[\w.\-+#/ ]{1,48}?) (?:do|mean|stand for)\W{0,8}$"
    r"|^\W{0,8}(?:what is (?:an? |the )?(?P<purpose>[\w.\-+#/ ]{1,40}?) (?:for|used for))\W{0,8}$"
    r"|^\W{0,8}(?:什么是|什麼是|何为|何谓|解释一下|介绍一下)(?P<zh>[^？?。]{1,24})\W{0,8}$|^(?P<is>[^？?，,。]{1,20}?)(?:是什么|是什麼|是啥|指的是什么|有什么用|有什么作用|(?:是|(?<![要该該能以它想会會应應还還在时時后後前]))[做干]什么的?)(?:意思)?\W{0,8}$",
    re.IGNORECASE,
)
_GLOSS: Final = re.compile(r" ?[（(][^（()）]{1,60}[）)]")
"""The same thing in other words, as in "What is LVM (Logical Volume Manager)?"."""
_NOT_NAMED: Final = re.compile(
    r"[谁誰]|\b(?:of|for|to|that|which)\b|^in\b|^(?:new|changed|different|missing|wrong|included|possible)$"
)
"""What stands between "what is" and "in" and is no thing that could be defined."""
_LIST: Final = re.compile(
    r"^\W*(?:which|what)\s+(?:\w+\s+){0,2}\w+s\b\s+(?:are|can|do|does|is|exist|were|have)\b|^\W*(?:which|what)\s+(?:kinds?|types?|sorts?)\b"
    r"|^\W*list\b|哪些|哪几|有哪",
    re.IGNORECASE,
)
_FACT: Final = re.compile(
    r"^\W*(?:which|what|where|when|who|whose|why|is|are|does|do|did|can|will|was|were|has|have)\b|哪|谁|什么|何时|何地|为什么|是否|吗|能不能",
    re.IGNORECASE,
)


def understand(question: str) -> Asked:
    """The kind of answer that a question wants."""
    text = " ".join(question.split())
    amount = _AMOUNT.search(text) is not None
    if _COMPARISON.search(text):
        return Asked(Wants.COMPARISON)
    match = _DEFINITION.search(_GLOSS.sub("", text))
    if match and not amount and len(text.split()) <= 9:
        subject = next(group for group in match.groups() if group).split(" in ")[0].strip()
        if len(subject.split()) <= 5 and not _NOT_NAMED.search(subject):
            return Asked(Wants.DEFINITION, subject=subject)
    if _STEPS.search(text):
        return Asked(Wants.STEPS, amount=bool(re.search(r"\bhow (?:many|much|long)\b", text, re.IGNORECASE)))
    if _LIST.search(text) and not amount:
        return Asked(Wants.LIST)
    if amount or _FACT.search(text):
        return Asked(Wants.FACT, amount=amount)
    return Asked(Wants.ANYTHING)
