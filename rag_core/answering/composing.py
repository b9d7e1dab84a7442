"""The thread in which answers are composed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from typing import ParamSpec, TypeVar

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

# One, because composing is Python code that no second thread makes faster: each more holds up the event loop, and so
# the searches of others, for a turn of the interpreter lock. The default threads stay free for short work.
_THREAD = ThreadPoolExecutor(1, thread_name_prefix="compose-answer")


async def in_thread(
    function: Callable[Arguments, Result], /, *args: Arguments.args, **kwargs: Arguments.kwargs
) -> Result:
    """Call a function in the thread, with the context of the caller. Raises what it raises."""
    call = partial(copy_context().run, partial(function, *args, **kwargs))
    return await asyncio.get_running_loop().run_in_executor(_THREAD, call)
