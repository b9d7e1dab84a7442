from __future__ import annotations

import pytest
from dagster._utils.schedules import is_valid_cron_string
from hypothesis import given
from hypothesis import strategies as st

from rag_assets.source_config import cron_problem


@pytest.mark.parametrize(
    "expression",
    ["* * * * *", "0 3 * * *", "*/15 8-18 * * mon-fri", "0 0 1,15 jan *", "5 4 * * 7", "@daily", "0 0 1-31/2 * *"],
)
def test_common_expressions_are_accepted(expression: str) -> None:
    assert cron_problem(expression) is None
    assert is_valid_cron_string(expression)


@pytest.mark.parametrize(
    "expression",
    ["", "* * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * * 13 *", "* * * * 8", "a * * * *", "*/0 * * * *"],
)
def test_impossible_expressions_are_refused(expression: str) -> None:
    assert cron_problem(expression) is not None


_NUMBER = st.integers(0, 70).map(str)
_PART = st.one_of(
    st.just("*"), _NUMBER, st.builds("{}-{}".format, _NUMBER, _NUMBER), st.builds("*/{}".format, st.integers(0, 70))
)


@given(st.lists(_PART, min_size=5, max_size=5).map(" ".join))
def test_what_is_accepted_is_what_dagster_accepts(expression: str) -> None:
    if cron_problem(expression) is None:
        assert is_valid_cron_string(expression)
