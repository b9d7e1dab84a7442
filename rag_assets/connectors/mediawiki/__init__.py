"""Pages and uploaded files of a wiki that runs MediaWiki."""
