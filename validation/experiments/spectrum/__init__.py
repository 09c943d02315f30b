"""Teachers whose matrix has a power-law spectrum (Liu et al. 2026, conference version, Appendix D.6)."""
