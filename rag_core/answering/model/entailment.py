"""Decide whether a passage says what a sentence claims, by the order of their tokens: no model, a few milliseconds.

Every token of the claim must stand in the evidence, in its order. A claim may leave words out, but it may not join
what the evidence keeps apart: it may pass over a clause only to where another begins, it may turn the order round once
and only where a clause or a complement begins, and it may leave out no negation or limit that holds for what it says.
So swapped roles, swapped values and lost negations are found without knowing what the words mean.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

from rag_core.answering.model.claims import Key, Kind, Token

_STOP: Final = re.compile(r"[.!?。!?;；\n](?!\w)")
_COMMA: Final = re.compile(r"[,:()—、|]|\s[-–*•]\s")
_CONTRAST: Final = re.compile(r"\b(?:but|while|whereas|because|if|when|which|who|that|although)\b|但|而")
_JOIN: Final = re.compile(r"\b(?:and|or)\b|[和或与并且]")
_COPULA: Final = re.compile(r"\b(?:is|are|was|were|am)\b|[是为]")
_COMPLEMENT: Final = re.compile(r"\b(?:in|on|at|for|from|of|to|with|during|through)\b|[在于从对由向的]")
_OF: Final = re.compile(r"\b(?:of|in|for|at)\b|的")
_ADVERBIAL: Final = frozenset({"before", "after", "until", "at most", "at least", "more", "less", "every", "all"})
MAX_TURNS: Final = 1
"""Turns of the order in one claim. Two names that change places around a verb make two."""
MAX_POSITIONS: Final = 8
"""Positions of one key in the evidence that are compared; it bounds the work on repeated words."""
_TURN: Final = 1000
_SKIP: Final = 1


def _level(gap: str) -> int:
    """Strength with which a gap separates: 3 a sentence, 2 a clause, 1 a joined part, 0 nothing."""
    if _STOP.search(gap):
        return 3
    if _COMMA.search(gap) or _CONTRAST.search(gap):
        return 2
    return 1 if _JOIN.search(gap) else 0


@dataclass(frozen=True)
class Evidence:
    """Tokens of adjacent sentences. `context` are keys of the headings, which a claim may begin with."""

    tokens: tuple[Token, ...]
    context: frozenset[Key] = frozenset()

    @staticmethod
    def of(sentences: Iterable[Sequence[Token]], context: frozenset[Key] = frozenset()) -> Evidence:
        joined: list[Token] = []
        for sentence in sentences:
            first = [replace(sentence[0], gap=f". {sentence[0].gap}")] if sentence else []
            joined += [*first, *sentence[1:]]
        return Evidence(tuple(joined), context)

    @cached_property
    def levels(self) -> list[int]:
        """Return for each token the strength of its separation from the one before it."""
        return [_level(token.gap) for token in self.tokens]

    @cached_property
    def positions(self) -> dict[Key, list[int]]:
        found: dict[Key, list[int]] = {}
        for position, token in enumerate(self.tokens):
            places = found.setdefault(token.key, [])
            if len(places) < MAX_POSITIONS:
                places.append(position)
        return found

    def supports(self, claim: Sequence[Token]) -> bool:
        """Return whether these sentences say all of the claim."""
        required = self._required(claim)
        path = self._aligned(required) if required else None
        if not required or not path:
            return False
        matched = set(path)
        if any(path.count(at) > 1 for at in matched if self.tokens[at].kind not in (Kind.WORD, Kind.CHARACTER)):
            return False
        if any(token.key == "may" for token in claim) and "may" not in self.positions and self._modal():
            return False
        return self._keeps_limits(path, matched) and self._keeps_negations(matched) and _whole_words(required, path)

    def _modal(self) -> bool:
        return any(token.kind is Kind.MODAL for token in self.tokens)

    def _required(self, claim: Sequence[Token]) -> list[Token] | None:
        """The tokens of the claim that must be aligned; `None` when one stands nowhere."""
        required: list[Token] = []
        for token in claim:
            if token.key in self.positions:
                required.append(token)
            elif not self._may_be_missing(token, first=not required):
                return None
        return required

    def _may_be_missing(self, token: Token, *, first: bool) -> bool:
        """Return whether the headings say it, at the beginning of a claim, or it is a "can" that says little."""
        if token.key in self.context and token.kind in (Kind.WORD, Kind.CHARACTER, Kind.NAME):
            return first
        return token.kind is Kind.MODAL and token.key == "may"

    def _aligned(self, claim: Sequence[Token]) -> list[int] | None:
        """A position for each token: the allowed sequence with the fewest turns, then the fewest parts left out."""
        best: dict[int, tuple[int, tuple[int, ...]]] = {at: (0, (at,)) for at in self.positions[claim[0].key]}
        for number in range(1, len(claim)):
            following: dict[int, tuple[int, tuple[int, ...]]] = {}
            for at in self.positions[claim[number].key]:
                steps = (
                    (cost + step, path)
                    for last, (cost, path) in best.items()
                    if (step := self._step(claim[number - 1], claim[number], last, at)) is not None
                )
                cheapest = min(steps, default=None)
                if cheapest is not None and cheapest[0] < (MAX_TURNS + 1) * _TURN:
                    following[at] = (cheapest[0], (*cheapest[1], at))
            best = following
        return list(min(best.values())[1]) if best else None

    def _step(self, before: Token, token: Token, last: int, at: int) -> int | None:
        """The cost of going on from `last` to `at`; `None` when the claim may not."""
        if at == last + 1:
            return 0
        if Kind.NEGATION in (before.kind, token.kind) and not self._negates(before, token, last, at):
            return None
        if before.kind is Kind.NUMBER and not token.gap.strip() and not self._is_date(last, at):
            return None  # the unit of another number
        if at > last:
            return _SKIP if self._may_skip(last, at) else None
        return self._turn(token, last, at)

    def _negates(self, before: Token, token: Token, last: int, at: int) -> bool:
        """Return whether a negation stands with what it stands with in the evidence."""
        if at <= last:
            return token.kind is Kind.NEGATION and _level(token.gap) > 0
        return before.kind is not Kind.NEGATION or not any(
            self._ends_scope(last, here) for here in range(last + 1, at + 1)
        )

    def _may_skip(self, last: int, at: int) -> bool:
        """Return whether a claim may leave out what stands between: a modifier, or clauses up to the start of one."""
        inside = max(self.levels[last + 1 : at])
        landing = self.levels[at]
        numbers = any(token.kind is Kind.NUMBER for token in self.tokens[last + 1 : at])
        if numbers and self.tokens[at].kind is Kind.NUMBER and not landing:
            return False
        if landing >= inside:
            return True
        return (
            not numbers and inside < 3 and self.levels[last + 1] == inside and self.tokens[at].kind is not Kind.NUMBER
        )

    def _turn(self, token: Token, last: int, at: int) -> int | None:
        if at == last - 1 and self._is_compound(token, last):
            return _SKIP
        if not self.levels[at] or max(self.levels[at + 1 : last + 1], default=0) == 3:
            return None  # a turn goes to the begin of a part, and what one sentence begins another does not end
        if _level(token.gap) or _COPULA.search(token.gap):
            return _TURN
        return _TURN if _is_complement(token) and _is_complement(self.tokens[at]) else None

    def _is_compound(self, token: Token, last: int) -> bool:
        """Return whether two neighbours may change places: "the office in Lisbon", "the Lisbon office"; a date."""
        gap = self.tokens[last].gap
        if _OF.search(token.gap):
            return not _COMPLEMENT.search(gap)
        return self._is_date(last, last - 1) or (not token.gap.strip() and _OF.search(gap) is not None)

    def _is_date(self, last: int, at: int) -> bool:
        kinds = {self.tokens[last].kind, self.tokens[at].kind}
        return abs(at - last) == 1 and kinds == {Kind.NUMBER, Kind.WORD}

    def _keeps_limits(self, path: Sequence[int], matched: set[int]) -> bool:
        """Return whether no limit right beside an aligned token is left out."""
        for at in path:
            if at and self.tokens[at - 1].kind is Kind.LIMIT and at - 1 not in matched and not self.levels[at]:
                return False
            behind = self.tokens[at + 1] if at + 1 < len(self.tokens) else None
            if behind and behind.kind is Kind.LIMIT and not behind.gap and at + 1 not in matched:
                return False
        return True

    def _keeps_negations(self, matched: set[int]) -> bool:
        """Return whether the claim says every negation that holds for an aligned token."""
        return not any(
            token.kind is Kind.NEGATION and at not in matched and any(place in matched for place in self._scope(at))
            for at, token in enumerate(self.tokens)
        )

    def _scope(self, negation: int) -> Iterator[int]:
        """Positions that a negation may hold for: its part of the sentence, and what is joined behind it."""
        at = negation
        while at > 0 and not self.levels[at]:
            at -= 1
            yield at
        for at in range(negation + 1, len(self.tokens)):
            if self._ends_scope(negation, at) and at > negation + 1:
                return
            yield at

    def _ends_scope(self, negation: int, at: int) -> bool:
        """Return whether a negation no longer holds: a clause begins, which a comma in "no meals, drinks" is not."""
        listed = self.tokens[negation].key == "none" and self.tokens[at].gap.strip() == ","
        return self.levels[at] >= 2 and not listed


def _is_complement(token: Token) -> bool:
    return token.key in _ADVERBIAL or _COMPLEMENT.search(token.gap) is not None


def _whole_words(claim: Sequence[Token], path: Sequence[int]) -> bool:
    """Return whether each Chinese character stands beside a neighbour that it has in the claim too."""
    for number, (token, at) in enumerate(zip(claim, path, strict=True)):
        if token.kind is not Kind.CHARACTER:
            continue
        before = number > 0 and path[number - 1] == at - 1
        behind = number + 1 < len(path) and path[number + 1] == at + 1
        if not before and not behind:
            return False
    return True
