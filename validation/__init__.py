"""Training experiments in torch that the theory is compared with."""
