"""Documents to chunks: spans of whole blocks, packed to a number of tokens, with their headings."""

import lazy_loader

__getattr__, __dir__, _ = lazy_loader.attach_stub(__name__, __file__)
