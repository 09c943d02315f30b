"""Controls: what the theory says does not matter."""
