"""One module per command; `ragctl.app` names them."""
