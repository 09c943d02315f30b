"""Residual students of a teacher of our own (after Liu et al. 2026, Figs. 23, 24)."""
