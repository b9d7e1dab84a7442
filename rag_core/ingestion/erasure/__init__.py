"""Erasure: remove a document, or a whole tenant, from every table and from the index, with a receipt."""

import lazy_loader

__getattr__, __dir__, _ = lazy_loader.attach_stub(__name__, __file__)
