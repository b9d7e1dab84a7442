"""The vector index: interface, payloads and filters. Its engines are in `rag_core.retrieval.engines`."""

import lazy_loader

__getattr__, __dir__, _ = lazy_loader.attach_stub(__name__, __file__)
