"""The layers that every call passes through, as one list built from settings (outermost first)."""

from __future__ import annotations

from query_server.interceptors.chain import Chain, Layer
from query_server.interceptors.stack import Limiters, build_chain, build_index_chain, build_limiters
