"""Exact averages at any finite n: thermodynamics, expansions, losses, entropy matching."""
