"""Residual students of a deep residual teacher (Liu et al. 2026, Figs. 23, 24)."""
