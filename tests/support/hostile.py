"""Inputs made for a regular expression to take its longest over, and the processor time that a call takes."""

from __future__ import annotations

import gc
import itertools
import re
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from re import _constants as codes  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from types import FrameType
from typing import Any

_REPEATS = (codes.MAX_REPEAT, codes.MIN_REPEAT, codes.POSSESSIVE_REPEAT)
_OF_CATEGORY = {
    codes.CATEGORY_DIGIT: "7",
    codes.CATEGORY_SPACE: " \t\n",
    codes.CATEGORY_WORD: "aZ_",
    codes.CATEGORY_NOT_DIGIT: "a",
    codes.CATEGORY_NOT_SPACE: "a.",
    codes.CATEGORY_NOT_WORD: " .",
}
# What hostile text is made of whatever the pattern: every mark of ASCII, CJK marks, letters, digits, space, controls.
RUNS = (
    *"!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~", *" \t\n\ra0é中\x00", *"。！？；，、：…·「」『』（）【】《》",
    "\r\n", ". ", "a ", "A.", "1.", "\n\n",
)  # fmt: skip


class Exceeded(Exception):  # noqa: N818
    """The call used up its processor time."""


def _of_class(items: Any) -> str:
    found = ""
    for code, value in items:
        if code is codes.LITERAL:
            found += chr(value)
        elif code is codes.RANGE:
            found += chr(value[0]) + chr(value[1])
        elif code is codes.CATEGORY:
            found += _OF_CATEGORY[value]
    if items and items[0][0] is codes.NEGATE:
        return "".join(char for char in "a .\n" if char not in found)[:2] or "\x00"
    return found


def _inner(code: Any, value: Any) -> list[Any]:
    """The sequences inside a node."""
    if code in _REPEATS:
        return [value[2]]
    if code is codes.SUBPATTERN:
        return [value[3]]
    if code is codes.BRANCH:
        return list(value[1])
    if code is codes.ATOMIC_GROUP:
        return [value]
    if code is codes.ASSERT:
        return [value[1]]
    return []


def sample(nodes: Any) -> str:
    """A text that the sequence matches, made of the first choice everywhere."""
    found = ""
    for code, value in nodes:
        if code is codes.LITERAL:
            found += chr(value)
        elif code is codes.NOT_LITERAL:
            found += "a" if value != ord("a") else "b"
        elif code is codes.ANY:
            found += "a"
        elif code is codes.IN:
            found += _of_class(value)[0]
        elif code in _REPEATS:
            found += sample(value[2]) * max(1, min(value[0], 100))
        elif code is not codes.ASSERT:
            found += "".join(sample(inner) for inner in _inner(code, value)[:1])
    return found


def _pumps(nodes: Any, before: str = "") -> Iterator[tuple[str, str]]:
    """For every repetition what leads to it and what it repeats, once for each choice within."""
    for place, (code, value) in enumerate(nodes):
        prefix = before + sample(nodes[:place])
        if code in _REPEATS and value[1] > 1:
            body = value[2]
            if len(body) == 1 and body[0][0] is codes.IN:
                yield from ((prefix, char) for char in _of_class(body[0][1])[:6])
            elif consumer_loop := sample(body):
                yield prefix, consumer_loop
            if consumer_loop := sample(itertools.takewhile(lambda node: node[0] is codes.LITERAL, nodes[place + 1 :])):
                yield prefix, consumer_loop
        for inner in _inner(code, value):
            yield from _pumps(inner, prefix)


def _alphabet(nodes: Any) -> Iterator[str]:
    for code, value in nodes:
        if code is codes.LITERAL:
            yield chr(value)
        elif code is codes.IN:
            yield from _of_class(value)[:4]
        for inner in _inner(code, value):
            yield from _alphabet(inner)


def _repeated(unit: str, size: int) -> str:
    return (unit * (size // len(unit) + 1))[:size] if unit else ""


def hostile_texts(pattern: re.Pattern[Any], size: int) -> list[str]:
    """Runs, near misses and repetitions driven to their end, each of `size` characters; in the same order for any."""
    fill = partial(_repeated, size=size)
    text = pattern.pattern if isinstance(pattern.pattern, str) else pattern.pattern.decode("latin-1")
    nodes = parser.parse(text, pattern.flags & ~re.UNICODE & ~re.DEBUG)
    whole = sample(nodes)
    units = set(RUNS) | {whole[:length] for length in range(1, min(len(whole), 24) + 1)} | {whole}
    texts = [fill(unit) for unit in sorted(units)]
    pumps = list(dict.fromkeys(_pumps(nodes)))[:60]
    for (prefix, consumer_loop), (_, other) in zip(pumps, [*pumps[1:], *pumps[:1]], strict=True):
        run = prefix + fill(consumer_loop)
        texts += [run[: size - 1] + end for end in "\x00q"]
        texts += [
            fill(prefix + consumer_loop),
            fill(prefix + consumer_loop * 200),
            run[: size // 2] + fill(other)[: size // 2],
        ]
    letters = list(dict.fromkeys(_alphabet(nodes)))[:6]
    return texts + [fill(one + other) for one in letters for other in letters]


_timed = False
"""Whether a call is timed right now: the clock may strike once more when it has returned."""


def _exceed(_signal: int, _frame: FrameType | None) -> None:
    if _timed:
        raise Exceeded


def processor_seconds(call: Callable[[], object], limit: float) -> float:
    """The processor time that a call takes on this thread; it is ended soon after `limit` (main thread only).

    Garbage of other tests is not collected meanwhile: it would count, and an error raised in a finalizer is lost.
    """
    global _timed
    collecting = gc.isenabled()
    gc.disable()
    before = signal.signal(signal.SIGVTALRM, _exceed)
    started = time.thread_time()
    try:
        with suppress(Exceeded):
            _timed = True
            signal.setitimer(signal.ITIMER_VIRTUAL, limit * 1.5)
            call()
            _timed = False
    finally:
        _timed = False
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
        if collecting:
            gc.enable()
    return time.thread_time() - started
