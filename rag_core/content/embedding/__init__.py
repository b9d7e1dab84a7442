"""Embedding: the embedder interface and its implementations, each loaded only when it is opened."""

import lazy_loader

__getattr__, __dir__, _ = lazy_loader.attach_stub(__name__, __file__)
