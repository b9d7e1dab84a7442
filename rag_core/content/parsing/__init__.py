"""Bytes to text with structure: detection, decoding, one parser per format, in a process without rights."""

import lazy_loader

__getattr__, __dir__, _ = lazy_loader.attach_stub(__name__, __file__)
