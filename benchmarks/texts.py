"""Passages of about the size the platform embeds, in English and Chinese, without a download."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.metadata import distributions

from rag_core.content.embedding.tokenizer import E5TokenCounter
from rag_core.errors import InvalidInput, Reason

_SENTENCE = re.compile(r"(?<=[.!?。！？；])\s*|\n{2,}")
# Enough different sentences for any number of passages; each passage starts at another one.
_CHINESE = (
    "检索增强的问答系统先从文档中找到相关段落，然后再根据这些段落给出带有出处的回答。"
    "平台团队每天都会收到来自不同部门的文件，其中既有合同和发票，也有技术手册与会议纪要。"
    "为了保证结果准确，系统必须在文档被修改或者删除之后尽快更新索引。"
    "如果一个段落被改写，只需要重新计算这个段落的向量，其余部分保持不变。"
    "不同租户之间的数据严格隔离，任何查询都不能看到其他租户的内容。"
    "数据库保存所有的原始记录，而向量索引随时可以从这些记录重新建立。"
    "当服务器突然断电时，已经确认的数据不会丢失，没有完成的任务会在下次运行时继续。"
    "运维人员可以在控制台中查看每个数据源的状态、最近一次运行的时间以及被隔离的文件。"
    "质量检查会在写入索引之前发现错误的向量，例如维度不对或者包含无效的数值。"
    "网关负责身份验证和限流，并且把外部的请求转换为内部的调用格式。"
    "新的索引版本在后台建立完成之后，系统会先比较两者的效果，然后再进行切换。"
    "文档的标题和章节信息会与正文一起编码，这样短小的段落也不会失去上下文。"
)


def english_passages(count: int, tokens: int, counter: E5TokenCounter) -> list[str]:
    """`count` different passages of at most `tokens` tokens from the descriptions of the installed packages."""
    return _passages(package_sentences(), count, tokens, counter, joint=" ")


def chinese_passages(count: int, tokens: int, counter: E5TokenCounter) -> list[str]:
    """`count` different passages of at most `tokens` tokens from a built-in text."""
    sentences = chinese_sentences()
    endless = (f"第{n}条：{sentences[(n * 7 + n // len(sentences)) % len(sentences)]}" for n in range(10**6))
    return _passages(endless, count, tokens, counter, joint="")


def _passages(sentences: Iterator[str], count: int, tokens: int, counter: E5TokenCounter, *, joint: str) -> list[str]:
    passages: list[str] = []
    words: list[str] = []
    used = 0
    for sentence in sentences:
        size = counter.count(sentence)
        if size > tokens or not size:
            continue
        if used + size > tokens:
            passages.append(joint.join(words))
            words, used = [], 0
        if len(passages) == count:
            return passages
        words.append(sentence)
        used += size
    raise InvalidInput(Reason.FIELD_INVALID, f"texts: only {len(passages)} passages available, {count} wanted")


def package_sentences() -> Iterator[str]:
    """Sentences of the descriptions of the installed packages, in the order of the packages' names."""
    for distribution in sorted(distributions(), key=lambda found: str(found.metadata["Name"]).lower()):
        text = (distribution.read_text("METADATA") or "").partition("\n\n")[2]
        yield from (part.strip() for part in _SENTENCE.split(text) if part and 40 < len(part) < 400)


def chinese_sentences() -> list[str]:
    """The sentences of the built-in Chinese text."""
    return [part for part in _SENTENCE.split(_CHINESE) if part]
