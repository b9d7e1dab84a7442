"""The layers that every call passes through, as one list built from settings (outermost first)."""
