"""The inverse temperature that matches the entropy of language."""
