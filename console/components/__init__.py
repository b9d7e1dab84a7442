"""Components of screens: widgets, charts and self-contained panels."""
