"""Residual students (Liu et al. 2026, Figs. 23, 24)."""
