"""Index generations: their rows, and the settings, chunker and embedder each is built with."""

import lazy_loader

__getattr__, __dir__, _ = lazy_loader.attach_stub(__name__, __file__)
