"""Operations: the audit log with its hash chain, and blue/green deployments."""

import lazy_loader

__getattr__, __dir__, _ = lazy_loader.attach_stub(__name__, __file__)
