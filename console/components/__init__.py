"""Pieces of screens: widgets, charts, and panels that stand on their own."""
