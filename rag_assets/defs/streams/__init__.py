"""The push inbox as an external asset, and the bounded drain when no worker is alive."""
