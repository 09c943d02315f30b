"""Scans of β* and learning rate (Liu et al. 2026, Figs. 1, 4, 7, 8, 10, 11 and 13-18)."""
