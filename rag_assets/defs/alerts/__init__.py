"""The sensor that finds alerts and feeds the notifiers."""
