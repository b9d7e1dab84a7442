"""The pipeline from source to index: four stages over a shard or given documents, events and accounting."""

import lazy_loader

__getattr__, __dir__, _ = lazy_loader.attach_stub(__name__, __file__)
