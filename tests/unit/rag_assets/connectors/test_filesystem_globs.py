from __future__ import annotations

import fnmatch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_assets.connectors.filesystem.names import GlobSet, PatternState

CASES = [
    ("**/*", ["a", "a/b", "a/b/c"], []),
    ("*", ["a"], ["a/b"]),
    ("a/**", ["a/b", "a/b/c"], ["a", "b/a"]),
    ("**/a/**", ["a/b", "x/a/b/c"], ["a", "x/a", "xa/b"]),
    ("a/**/b", ["a/b", "a/x/b", "a/x/y/b"], ["b", "a/b/c"]),
    ("*.dist-info/LICENSE*", ["x.dist-info/LICENSE", "x.dist-info/LICENSE.md"], ["LICENSE", "x.dist-info/a/LICENSE"]),
    ("[ab]?.txt", ["a1.txt", "bx.txt"], ["c1.txt", "a.txt", "a/1.txt"]),
    ("**", ["a", "a/b"], [".a"]),
]


def accepts(pattern: str, path: str, *, hidden: bool = False) -> bool:
    globs = GlobSet([pattern], hidden=hidden)
    state: PatternState | None = globs.start
    for name in path.split("/"):
        state = globs.enter(state, name) if state is not None else None
    return state is not None and state.complete


@pytest.mark.parametrize(("pattern", "yes", "no"), CASES)
def test_patterns_match_whole_paths(pattern: str, yes: list[str], no: list[str]) -> None:
    assert [path for path in yes if not accepts(pattern, path)] == []
    assert [path for path in no if accepts(pattern, path)] == []


@given(st.text("ab*?", min_size=1, max_size=6).filter(lambda p: "**" not in p), st.text("ab", min_size=1, max_size=6))
def test_one_segment_matches_as_fnmatch_does(pattern: str, name: str) -> None:
    assert accepts(pattern, name) == fnmatch.fnmatchcase(name, pattern)


@given(
    st.lists(st.sampled_from(["a", "b", "*", "**"]), min_size=1, max_size=4),
    st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=5),
)
def test_a_folder_is_pruned_only_when_nothing_below_it_matches(pattern: list[str], path: list[str]) -> None:
    globs = GlobSet(["/".join(pattern)])
    state: PatternState | None = globs.start
    for depth, name in enumerate(path):
        state = globs.enter(state, name) if state is not None else None
        if state is None or not state.can_match_below:
            assert not any(accepts("/".join(pattern), "/".join(path[:end])) for end in range(depth + 2, len(path) + 1))
            return


def test_a_tree_of_many_double_stars_is_matched_in_bounded_time() -> None:
    pattern = "/".join(["**", "a"] * 20)
    assert not accepts(pattern, "/".join(["a"] * 200 + ["b"]))
