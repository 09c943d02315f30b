"""Adam with its weights kept (Liu et al. 2026, Figs. 2, 12)."""
