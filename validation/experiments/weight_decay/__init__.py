"""Students under weight decay (Liu et al. 2026, Figs. 5cd)."""
