"""What finds alerts and feeds the notifiers."""
