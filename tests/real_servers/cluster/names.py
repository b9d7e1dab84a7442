"""A name service over UDP for Envoy: every name is a Service, its answer the addresses of the ready pods."""

from __future__ import annotations

import ipaddress
import socket
import struct
import threading
from collections.abc import Callable
from typing import Any

_A, _NO_SUCH_NAME, _ANSWER = 1, 0x8183, 0x8180


class NameServer:
    """Answers until `close`."""

    def __init__(self, address: str, resolve: Callable[[str], list[str]]) -> None:
        self._resolve = resolve
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((address, 0))
        self._where = self._socket.getsockname()
        self._thread = threading.Thread(target=self._work)
        self._open = True
        self._thread.start()

    @property
    def resolver(self) -> dict[str, Any]:
        """What Envoy's bootstrap says about it."""
        kind = "type.googleapis.com/envoy.extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig"
        where = {"socket_address": {"address": self._where[0], "port_value": self._where[1], "protocol": "UDP"}}
        options = {"no_default_search_domain": True}
        config = {"@type": kind, "resolvers": [where], "dns_resolver_options": options}
        return {"name": "envoy.network.dns_resolver.cares", "typed_config": config}

    def close(self) -> None:
        self._open = False
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
            last.sendto(b"", self._where)
        self._thread.join()
        self._socket.close()

    def _work(self) -> None:
        while self._open:
            asked, who = self._socket.recvfrom(4096)
            if len(asked) > 12:
                self._socket.sendto(self._answer(asked), who)

    def _answer(self, asked: bytes) -> bytes:
        words, at = [], 12
        while asked[at]:
            words.append(asked[at + 1 : at + 1 + asked[at]].decode())
            at += asked[at] + 1
        question = asked[12 : at + 5]
        (kind,) = struct.unpack(">H", asked[at + 1 : at + 3])
        found = self._resolve(".".join(words))
        answers = found if kind == _A else []
        records = [struct.pack(">HHHIH", 0xC00C, _A, 1, 1, 4) + ipaddress.ip_address(one).packed for one in answers]
        flags = _ANSWER if found else _NO_SUCH_NAME
        return asked[:2] + struct.pack(">HHHHH", flags, 1, len(records), 0, 0) + question + b"".join(records)
