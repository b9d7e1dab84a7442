"""The owners' questions as an asset: asked of what readers have, with a check that answers did not become worse."""
