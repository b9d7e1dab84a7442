"""Lazy properties, computed once at their first use."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Generic, Self, TypeVar, overload

Value = TypeVar("Value")


class locked_property(Generic[Value]):  # noqa: N801  a decorator, named as `cached_property` is
    """A `functools.cached_property` with a lock, for objects that threads share: it is computed only once.

    The original had a lock until Python 3.12. An exception is not cached: the next use tries again.
    """

    def __init__(self, compute: Callable[[Any], Value]) -> None:
        self.__doc__ = compute.__doc__
        self._compute = compute
        self._lock = threading.RLock()

    def __set_name__(self, owner: type[Any], name: str) -> None:
        self._name = name

    @overload
    def __get__(self, instance: None, owner: type[Any]) -> Self: ...
    @overload
    def __get__(self, instance: object, owner: type[Any]) -> Value: ...
    def __get__(self, instance: object | None, owner: type[Any]) -> Self | Value:
        if instance is None:
            return self
        with self._lock:
            kept = instance.__dict__  # Python reads it first, so that later uses bypass this method
            if self._name not in kept:
                kept[self._name] = self._compute(instance)
            value: Value = kept[self._name]
            return value
