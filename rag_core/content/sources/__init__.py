"""Sources: connector protocol, listings, cursors, deletion detection, item memory and secret references."""

import lazy_loader

__getattr__, __dir__, _ = lazy_loader.attach_stub(__name__, __file__)
