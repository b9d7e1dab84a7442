"""The engines of the vector index (`edge`, `qdrant`, `remote`), and the one that the settings configure."""

import lazy_loader

__getattr__, __dir__, _ = lazy_loader.attach_stub(__name__, __file__)
