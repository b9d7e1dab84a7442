"""Names to addresses: resolved once, and every address checked before any is connected to."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_address

import httpcore

from rag_core.errors import InvalidInput, Reason
from rag_core.fetch.policy import FetchPolicy

Resolver = Callable[[str, int], list[str]]
"""Host and port to the addresses it has, as text. Raises `OSError`."""

_THREADS = ThreadPoolExecutor(8, thread_name_prefix="resolve")


def system_resolver(host: str, port: int) -> list[str]:
    """What the system says, in its order of preference."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def resolve(policy: FetchPolicy, resolver: Resolver, host: str, port: int, timeout: float | None) -> list[str]:
    """The addresses of a host, at least one and all of them allowed.

    The system's resolver cannot be interrupted, so it runs in a thread that is not waited for beyond `timeout`.
    Raises `InvalidInput` (`SSRF_BLOCKED`), `httpcore.ConnectError` and `httpcore.ConnectTimeout`.
    """
    future = _THREADS.submit(resolver, host, port)
    try:
        found = future.result(timeout)
    except TimeoutError:
        raise httpcore.ConnectTimeout("the name was not resolved in time") from None
    except (OSError, UnicodeError) as error:
        raise httpcore.ConnectError("the name cannot be resolved") from error
    return _checked(policy, host, port, found)


async def resolve_async(
    policy: FetchPolicy, resolver: Resolver, host: str, port: int, seconds: float | None
) -> list[str]:
    """As `resolve`."""
    work = asyncio.get_running_loop().run_in_executor(_THREADS, resolver, host, port)
    try:
        async with asyncio.timeout(seconds):
            found = await work
    except TimeoutError:
        raise httpcore.ConnectTimeout("the name was not resolved in time") from None
    except (OSError, UnicodeError) as error:
        raise httpcore.ConnectError("the name cannot be resolved") from error
    return _checked(policy, host, port, found)


def _checked(policy: FetchPolicy, host: str, port: int, found: list[str]) -> list[str]:
    if not found:
        raise httpcore.ConnectError("the name has no address")
    for text in found:
        # One forbidden address is enough: a name that has both kinds is a trap or a mistake.
        problem = policy.address_problem(host, port, ip_address(text))
        if problem is not None:
            raise InvalidInput(
                Reason.SSRF_BLOCKED,
                f"{host} is {problem}, which is not fetched; an operator may allow its network in "
                "RAG_FETCH_ALLOW_NETWORKS",
            )
    return found
