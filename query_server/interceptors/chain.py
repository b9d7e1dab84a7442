"""One gRPC interceptor that runs a list of layers around every call, whatever its arity.

A layer is a function from the call to an async context manager: what is before its `yield` runs before the handler,
what is after it when the handler has ended, and an exception passes through it. So each layer is written once for unary
and streaming calls.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, aclosing
from typing import Any

import grpc
import grpc.aio
from google.protobuf.message import DecodeError

from query_server.auth.policies import is_public
from query_server.runtime.calls import CallState, enter_call
from rag_core.errors import InvalidInput, Reason

Layer = Callable[[CallState], AbstractAsyncContextManager[None]]
Handler = Any
"""`grpc.RpcMethodHandler`; its published types know the synchronous signatures only."""
Behaviour = Callable[..., Any]
Context = grpc.aio.ServicerContext[Any, Any]

MAX_STREAM_MESSAGES = 1000
"""Messages accepted on one client stream (reflection is the only one)."""


class Undecodable:
    """Stands for a request whose bytes are not the message; grpc itself would answer INTERNAL."""


class Chain(grpc.aio.ServerInterceptor):  # type: ignore[type-arg]  # generic only in its published types
    """Wraps each handler in the layers. Unknown methods stay UNIMPLEMENTED; public services bypass the layers."""

    def __init__(self, layers: Sequence[Layer]) -> None:
        self._layers = tuple(layers)
        self._wrapped: dict[str, Handler] = {}

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler:
        method = handler_call_details.method
        known = self._wrapped.get(method)
        if known is not None:
            return known
        handler = await continuation(handler_call_details)
        if handler is None:
            return handler
        self._wrapped[method] = wrapped = self._wrap(method, handler)
        return wrapped

    def _wrap(self, method: str, handler: Handler) -> Handler:
        if is_public(method):
            return _with_stream_limit(handler) if handler.request_streaming else _decoding(handler)
        decode, encode = _tolerant(handler.request_deserializer), handler.response_serializer
        if handler.unary_stream:
            return grpc.unary_stream_rpc_method_handler(self._streaming(method, handler.unary_stream), decode, encode)
        if handler.unary_unary:
            return grpc.unary_unary_rpc_method_handler(self._single(method, handler.unary_unary), decode, encode)
        if handler.stream_unary:
            return grpc.stream_unary_rpc_method_handler(self._single(method, handler.stream_unary), decode, encode)
        raise NotImplementedError(f"{method}: no layers for streams in both directions")

    def _single(self, method: str, behaviour: Behaviour) -> Behaviour:
        async def run(request: Any, context: Context) -> Any:
            async with AsyncExitStack() as stack:
                call = await self._enter(stack, method, context)
                response = await behaviour(_checked(request), context)
                call.answer_bytes = response.ByteSize()
                return response

        return run

    def _streaming(self, method: str, behaviour: Behaviour) -> Behaviour:
        async def run(request: Any, context: Context) -> AsyncIterator[Any]:
            async with AsyncExitStack() as stack:
                call = await self._enter(stack, method, context)
                responses = await stack.enter_async_context(aclosing(behaviour(_checked(request), context)))
                async for response in responses:
                    call.answer_bytes += response.ByteSize()
                    yield response

        return run

    async def _enter(self, stack: AsyncExitStack, method: str, context: Context) -> CallState:
        call = CallState(method, context)
        enter_call(call)
        for layer in self._layers:
            await stack.enter_async_context(layer(call))
        return call


def _checked(request: Any) -> Any:
    """The request, or the stream of requests. Raises `InvalidInput` (`MESSAGE_INVALID`)."""
    if isinstance(request, Undecodable):
        raise InvalidInput(Reason.MESSAGE_INVALID, "the request is not a valid message of this method")
    return _checked_each(request) if isinstance(request, AsyncIterator) else request


async def _checked_each(requests: AsyncIterator[Any]) -> AsyncIterator[Any]:
    async for request in requests:
        yield _checked(request)


def _tolerant(deserialize: Callable[[bytes], Any]) -> Callable[[bytes], Any]:
    def run(data: bytes) -> Any:
        try:
            return deserialize(data)
        except DecodeError:
            return Undecodable()

    return run


def _decoding(handler: Handler) -> Handler:
    """A public handler that refuses what it cannot decode, as the layers do for the others."""
    decode, encode = _tolerant(handler.request_deserializer), handler.response_serializer

    async def single(request: Any, context: Context) -> Any:
        await _require_decoded(request, context)
        return await handler.unary_unary(request, context)

    async def streaming(request: Any, context: Context) -> None:
        await _require_decoded(request, context)
        await handler.unary_stream(request, context)  # it writes to the context

    if handler.unary_stream:
        return grpc.unary_stream_rpc_method_handler(streaming, decode, encode)
    return grpc.unary_unary_rpc_method_handler(single, decode, encode)


async def _require_decoded(request: Any, context: Context) -> None:
    if isinstance(request, Undecodable):
        await context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"{Reason.MESSAGE_INVALID}: not a message of this method")


def _with_stream_limit(handler: Handler) -> Handler:
    async def limited(requests: AsyncIterator[Any], context: Context) -> AsyncIterator[Any]:
        seen = 0
        async for request in requests:
            seen += 1
            if seen > MAX_STREAM_MESSAGES:
                await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, f"{Reason.STREAM_LIMIT}: too many messages")
            await _require_decoded(request, context)
            yield request

    async def run(requests: AsyncIterator[Any], context: Context) -> AsyncIterator[Any]:
        async for response in handler.stream_stream(limited(requests, context), context):
            yield response

    decode = _tolerant(handler.request_deserializer)
    return grpc.stream_stream_rpc_method_handler(run, decode, handler.response_serializer)
