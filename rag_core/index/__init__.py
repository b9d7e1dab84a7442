"""The vector index: interface, payloads and filters. The engines are `edge`, `qdrant` and `remote`."""

import lazy_loader

__getattr__, __dir__, _ = lazy_loader.attach_stub(__name__, __file__)
