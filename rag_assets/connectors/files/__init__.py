"""Files of a server that fsspec reads: SFTP and WebDAV."""
