"""Students that start at other scales (Liu et al. 2026, Figs. 5ab, 19-22)."""
