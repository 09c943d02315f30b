"""The published points of Pythia's checkpoints (Liu et al. 2026, Figs. 6b, 6c, 25-27)."""
