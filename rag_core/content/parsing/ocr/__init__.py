"""Character recognition of scans and images: `engine` in the sandbox, `reader` on our side."""
