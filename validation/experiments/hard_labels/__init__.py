"""Hard labels: rates, batches and the split of the loss (Lee et al. 2026)."""
