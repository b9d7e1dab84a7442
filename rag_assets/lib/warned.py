"""Dagster's warnings about what it calls preview or beta; the version is pinned."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import dagster as dg

P = ParamSpec("P")
T = TypeVar("T")


def without_warnings(function: Callable[P, T]) -> Callable[P, T]:
    """Make a function ignore Dagster's warnings about preview and beta features that it uses."""

    @wraps(function)
    def quiet(*args: P.args, **kwargs: P.kwargs) -> T:
        with warnings.catch_warnings():
            for category in (dg.PreviewWarning, dg.BetaWarning):
                warnings.simplefilter("ignore", category)
            return function(*args, **kwargs)

    return quiet
