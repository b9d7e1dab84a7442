"""Qdrant Edge: the index engine in this process, over a folder that one process owns."""

import lazy_loader

__getattr__, __dir__, _ = lazy_loader.attach_stub(__name__, __file__)
