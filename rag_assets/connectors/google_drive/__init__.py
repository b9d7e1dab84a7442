"""Files of Google Drive and its shared drives."""
