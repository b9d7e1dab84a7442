"""A page of a document as a picture with cited words marked: `image` in the sandbox, `values` on both sides."""
