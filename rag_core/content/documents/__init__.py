"""Documents: filters, rows, tombstones, lookup under an ACL, and inspection."""

import lazy_loader

__getattr__, __dir__, _ = lazy_loader.attach_stub(__name__, __file__)
