"""Access: tokens, signing keys, API keys, revocations, and revocations that the index has not applied yet."""

import lazy_loader

__getattr__, __dir__, _ = lazy_loader.attach_stub(__name__, __file__)
