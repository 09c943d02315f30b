"""Numbers without training (Liu et al. 2026, Figs. 3, 6a, 9)."""
