"""What every call passes through, as one list of layers built from settings (outermost first)."""

from __future__ import annotations

from query_server.interceptors.chain import Chain, Layer
from query_server.interceptors.stack import Gates, build_chain, build_gates, build_index_chain

__all__ = ["Chain", "Gates", "Layer", "build_chain", "build_gates", "build_index_chain"]
